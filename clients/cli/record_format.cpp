#include "clients/cli/record_format.h"

#include <fmt/format.h>

#include <cstddef>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "clients/event_store.h"

namespace mallbots::client::cli {
namespace {

using std::string_view;

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

/// The escape at the front of `text` (which starts with a backslash), taken off it.
std::optional<char> take_escape(string_view& text) {
  if (text.size() < 2) return std::nullopt;
  const char letter = text[1];
  constexpr string_view kLetters = "ntr0\\";
  constexpr string_view kBytes{"\n\t\r\0\\", 5};
  if (const auto at = kLetters.find(letter); at != string_view::npos) {
    text.remove_prefix(2);
    return kBytes[at];
  }
  if (letter != 'x' || text.size() < 4) return std::nullopt;
  const auto high = hex_digit(text[2]);
  const auto low = hex_digit(text[3]);
  if (!high || !low) return std::nullopt;
  text.remove_prefix(4);
  return static_cast<char>(*high * 16 + *low);
}

void append_headers(const RecordText& record, std::string& out) {
  bool first = true;
  for (const auto& [name, value] : record.headers) {
    if (!first) out += ',';
    first = false;
    out.append(name).append(1, '=').append(value);
  }
}

nlohmann::ordered_json text_or_base64(string_view bytes) {
  return is_utf8(bytes) ? std::string{bytes} : base64(bytes);
}

}  // namespace

RecordText text_of(const Message& message,
                   std::vector<std::pair<std::string_view, std::string_view>>& headers) {
  headers.clear();
  for (const Header header : message.headers()) headers.emplace_back(header.name, header.value);
  return {message.topic,      message.partition, message.offset, message.timestamp_ms,
          message.key_text(), message.text(),    headers,        stream_version(message),
          message.is_internal};
}

Result<std::string> unescape(string_view text) {
  std::string out;
  for (string_view rest = text; !rest.empty();) {
    if (rest.front() != '\\') {
      out += rest.front();
      rest.remove_prefix(1);
      continue;
    }
    const auto byte = take_escape(rest);
    if (!byte)
      return fail(ErrorCode::kBadArgument,
                  fmt::format("'{}' has an unknown escape at '{}'; known are \\n \\t \\r \\0 \\\\ "
                              "\\xHH",
                              text, rest.substr(0, 2)));
    out += *byte;
  }
  return out;
}

Result<RecordPattern> RecordPattern::parse(string_view pattern) {
  constexpr string_view kLetters = "tpokKsSThv";
  RecordPattern parsed;
  std::string literal;
  for (string_view rest = pattern; !rest.empty();) {
    if (rest.front() == '\\') {
      const auto byte = take_escape(rest);
      if (!byte) return std::unexpected(unescape(rest).error());
      literal += *byte;
      continue;
    }
    if (rest.front() != '%' || rest.starts_with("%%")) {
      literal += rest.front();
      rest.remove_prefix(rest.front() == '%' ? 2 : 1);
      continue;
    }
    if (rest.size() < 2 || kLetters.find(rest[1]) == string_view::npos)
      return fail(ErrorCode::kBadArgument,
                  fmt::format("the pattern '{}' has an unknown letter '{}'; known are %t topic, "
                              "%p partition, %o offset, %k key, %K its size, %s payload, %S its "
                              "size, %T time stamp, %h headers, %v version, %%",
                              pattern, rest.substr(0, 2)));
    if (!literal.empty()) parsed.pieces_.push_back({0, std::exchange(literal, {})});
    parsed.pieces_.push_back({rest[1], {}});
    rest.remove_prefix(2);
  }
  if (!literal.empty()) parsed.pieces_.push_back({0, std::move(literal)});
  return parsed;
}

void RecordPattern::render(const RecordText& record, std::string& out) const {
  auto number = [&out](auto value) { fmt::format_to(std::back_inserter(out), "{}", value); };
  for (const Piece& piece : pieces_) {
    switch (piece.letter) {
      case 't':
        out += record.topic;
        break;
      case 'p':
        number(record.partition);
        break;
      case 'o':
        number(record.offset);
        break;
      case 'k':
        out += record.key;
        break;
      // kcat prints -1 for a key that is not there.
      case 'K':
        number(record.key.empty() ? -1 : static_cast<std::int64_t>(record.key.size()));
        break;
      case 's':
        out += record.payload;
        break;
      case 'S':
        number(record.payload.size());
        break;
      case 'T':
        number(record.timestamp_ms);
        break;
      case 'h':
        append_headers(record, out);
        break;
      case 'v':
        if (record.version) number(*record.version);
        break;
      default:
        out += piece.literal;
    }
  }
}

void render_json(const RecordText& record, std::string& out) {
  nlohmann::ordered_json line;
  line["topic"] = record.topic;
  line["partition"] = record.partition;
  line["offset"] = record.offset;
  line["ts"] = record.timestamp_ms;
  if (record.key.empty())
    line["key"] = nullptr;
  else
    line[is_utf8(record.key) ? "key" : "key_base64"] = text_or_base64(record.key);
  line[is_utf8(record.payload) ? "payload" : "payload_base64"] = text_or_base64(record.payload);
  auto headers = nlohmann::ordered_json::array();
  for (const auto& [name, value] : record.headers) {
    headers.push_back(text_or_base64(name));
    headers.push_back(text_or_base64(value));
  }
  line["headers"] = std::move(headers);
  if (record.version) {
    line["version"] = *record.version;
    line["internal"] = record.is_internal;
  }
  if (!record.token.empty()) {
    line["token"] = record.token;
    line["attempt"] = record.attempt;
  }
  out += line.dump();
  out += '\n';
}

bool is_utf8(string_view bytes) noexcept {
  for (std::size_t i = 0; i < bytes.size();) {
    const auto lead = static_cast<unsigned char>(bytes[i]);
    const std::size_t size = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if ((lead >= 0x80 && lead < 0xC2) || lead > 0xF4 || i + size > bytes.size()) return false;
    for (std::size_t k = 1; k < size; ++k)
      if ((static_cast<unsigned char>(bytes[i + k]) & 0xC0) != 0x80) return false;
    const auto second = size > 1 ? static_cast<unsigned char>(bytes[i + 1]) : 0;
    // Overlong forms, surrogates, and beyond U+10FFFF (RFC 3629 section 4).
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
        (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F))
      return false;
    i += size;
  }
  return true;
}

std::string base64(string_view bytes) {
  constexpr string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t here = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t word = 0;
    for (std::size_t k = 0; k < 3; ++k)
      word = word << 8 | (k < here ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k)
      out += k <= here ? kAlphabet[word >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

}  // namespace mallbots::client::cli
