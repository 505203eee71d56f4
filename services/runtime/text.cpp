#include "services/runtime/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace mallbots {
namespace {

/// The code point at the front of `rest`, which is taken off; -1 if it is none (Unicode 15, table
/// 3-7: no overlong forms, no surrogates, nothing above U+10FFFF).
std::int32_t take_code_point(std::string_view& rest) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(rest[i]); };
  const std::uint8_t first = byte(0);
  const std::size_t size = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  static constexpr std::int32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if ((first >= 0x80 && first < 0xC2) || first > 0xF4 || rest.size() < size) return -1;
  std::int32_t point = size == 1 ? first : first & (0x7F >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return -1;
    point = point << 6 | (byte(i) & 0x3F);
  }
  rest.remove_prefix(size);
  const bool is_surrogate = point >= 0xD800 && point <= 0xDFFF;
  return point < kLeast[size] || point > 0x10FFFF || is_surrogate ? -1 : point;
}

}  // namespace

bool is_readable(std::string_view text) {
  while (!text.empty()) {
    const std::int32_t point = take_code_point(text);
    if (point < 0x20 || (point >= 0x7F && point < 0xA0)) return false;
  }
  return true;
}

Decision<std::string> checked_text(std::string_view field, std::string_view text,
                                   std::size_t max_bytes) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.empty()) return refuse(RefusalKind::kInvalid, fmt::format("{} is blank", field));
  if (text.size() > max_bytes) {
    return refuse(RefusalKind::kInvalid,
                  fmt::format("{} has {} bytes, {} are allowed", field, text.size(), max_bytes));
  }
  if (!is_readable(text)) {
    return refuse(RefusalKind::kInvalid,
                  fmt::format("{} is not plain UTF-8 text of one line", field));
  }
  return std::string(text);
}

std::string clipped(std::string_view sentence) {
  if (sentence.size() <= kMaxSaidBytes) return std::string(sentence);
  constexpr std::string_view kRest = "...";
  std::size_t size = kMaxSaidBytes - kRest.size();
  while (size > 0 && (static_cast<std::uint8_t>(sentence[size]) & 0xC0) == 0x80) --size;
  return std::string(sentence.substr(0, size)).append(kRest);
}

Decision<std::string> checked_phone(std::string_view text) {
  const std::string_view as_given = text;
  std::string digits;
  bool has_plus = text.starts_with('+');
  if (has_plus) text.remove_prefix(1);
  for (const char c : text) {
    if (c >= '0' && c <= '9') {
      digits += c;
    } else if (std::string_view(" -()").find(c) == std::string_view::npos) {
      digits.clear();
      break;
    }
  }
  if (!has_plus && digits.starts_with("00")) {
    digits.erase(0, 2);
    has_plus = true;
  }
  if (!has_plus || digits.size() < 7 || digits.size() > 15) {
    return refuse(RefusalKind::kInvalid,
                  fmt::format("a phone number of {} characters cannot be read: write +, country, "
                              "number, 7 to 15 digits in all",
                              as_given.size()));
  }
  return "+" + digits;
}

std::string masked_phone(std::string_view phone) {
  if (phone.size() <= 5) return std::string(phone.size(), '*');
  return fmt::format("{}{}{}", phone.substr(0, 3), std::string(phone.size() - 5, '*'),
                     phone.substr(phone.size() - 2));
}

}  // namespace mallbots
