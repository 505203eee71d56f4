#include "clients/cli/output.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "clients/cli/record_format.h"
#include "clients/cli/units.h"
#include "shm/base/check.h"

namespace mallbots::client::cli {
namespace {

using std::string_view;

constexpr std::size_t kGap = 2;
constexpr std::size_t kNarrowest = 8;

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// The first `width` - 1 code points and an ellipsis, if it is longer than `width`.
std::string cut(string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string{text};
  std::size_t bytes = 0;
  for (std::size_t shown = 0; bytes < text.size(); ++bytes) {
    if (continues(text[bytes])) continue;
    if (++shown == width) break;
  }
  return std::string{text.substr(0, bytes)} + "…";
}

void append_padded(std::string& line, const std::string& text, std::size_t width, Align align) {
  const std::string room(width - std::min(width, display_width(text)), ' ');
  line += align == Align::kRight ? room + text : text + room;
}

void end_line(std::string& out, std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  out.append(line).append(1, '\n');
}

}  // namespace

Cell text_cell(string_view text) {
  std::string shown = printable(text);
  return {Json(shown), shown.empty() ? "-" : shown};
}
Cell number_cell(std::uint64_t number) { return {Json(number), fmt::format("{}", number)}; }
Cell size_cell(std::uint64_t bytes) { return {Json(bytes), format_size(bytes)}; }
Cell duration_cell(std::int64_t milliseconds) {
  return {Json(milliseconds), format_duration(milliseconds)};
}
Cell offset_cell(Offset offset) { return offset == kNoOffset ? empty_cell() : number_cell(offset); }
Cell empty_cell() { return {Json(nullptr), "-"}; }

void Table::add(std::vector<Cell> row) {
  CHECK(row.size() == columns_.size());
  rows_.push_back(std::move(row));
}

std::string Table::text(std::size_t width) const {
  std::vector<std::size_t> widths;
  std::size_t total = 0;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t widest = columns_[c].title.size();
    for (const auto& row : rows_) widest = std::max(widest, display_width(row[c].text));
    widths.push_back(widest);
    total += widest + (c == 0 ? 0 : kGap);
  }
  while (width != 0 && total > width) {
    std::size_t widest = columns_.size();
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const std::size_t least = std::max(kNarrowest, columns_[c].title.size());
      if (columns_[c].align == Align::kLeft && widths[c] > least &&
          (widest == columns_.size() || widths[c] > widths[widest]))
        widest = c;
    }
    if (widest == columns_.size()) break;
    --widths[widest];
    --total;
  }
  std::string out;
  std::string line;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    line.append(c == 0 ? 0 : kGap, ' ');
    append_padded(line, std::string{columns_[c].title}, widths[c], columns_[c].align);
  }
  end_line(out, std::move(line));
  for (const auto& row : rows_) {
    line.clear();
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      line.append(c == 0 ? 0 : kGap, ' ');
      append_padded(line, cut(row[c].text, widths[c]), widths[c], columns_[c].align);
    }
    end_line(out, std::move(line));
  }
  return out;
}

Json Table::json() const {
  Json list = Json::array();
  for (const auto& row : rows_) {
    Json object = Json::object();
    for (std::size_t c = 0; c < columns_.size(); ++c)
      object[std::string{columns_[c].key}] = row[c].json;
    list.push_back(std::move(object));
  }
  return list;
}

void Facts::add(string_view name, string_view key, Cell value) {
  facts_.push_back({std::string{name}, std::string{key}, std::move(value)});
}

std::string Facts::text() const {
  std::size_t widest = 0;
  for (const Fact& fact : facts_) widest = std::max(widest, display_width(fact.name));
  std::string out;
  for (const Fact& fact : facts_) {
    std::string line;
    append_padded(line, fact.name, widest + kGap, Align::kLeft);
    end_line(out, line + fact.value.text);
  }
  return out;
}

Json Facts::json() const {
  Json object = Json::object();
  for (const Fact& fact : facts_) object[fact.key] = fact.value.json;
  return object;
}

std::size_t terminal_width() {
  winsize size{};
  if (isatty(STDOUT_FILENO) == 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

bool print(string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
         std::fflush(stdout) == 0;
}

bool print_json(const Json& json) { return print(json.dump(2) + "\n"); }

std::string printable(string_view text) {
  const bool utf8 = is_utf8(text);
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || (byte >= 0x80 && !utf8))
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    else
      out += c;
  }
  return out;
}

std::size_t display_width(string_view text) noexcept {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

}  // namespace mallbots::client::cli
