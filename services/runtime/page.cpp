#include "services/runtime/page.h"

#include <fmt/format.h>

namespace mallbots {
namespace {

constexpr std::size_t kMaxCursorBytes = 4'096;
constexpr std::string_view kDigits = "0123456789abcdef";
constexpr char kBetween = '.';

}  // namespace

Decision<std::int64_t> page_size(std::int64_t asked, const PageSizes& sizes) {
  if (asked == 0) return sizes.usual;
  if (asked > 0 && asked <= sizes.most) return asked;
  return refuse(RefusalKind::kInvalid,
                fmt::format("a page of {} rows: 1 to {} are allowed", asked, sizes.most));
}

std::string make_cursor(std::initializer_list<std::string_view> parts) {
  std::string cursor;
  for (const std::string_view part : parts) {
    for (const char letter : part) {
      const auto byte = static_cast<std::uint8_t>(letter);
      cursor.append({kDigits[byte >> 4], kDigits[byte & 0xF]});
    }
    cursor += kBetween;
  }
  return cursor;
}

Decision<std::vector<std::string>> read_cursor(std::string_view cursor, std::size_t parts) {
  if (cursor.empty()) return std::vector<std::string>(parts);
  const auto none = [] {
    return refuse(RefusalKind::kInvalid, "the cursor is none that this list has given");
  };
  if (cursor.size() > kMaxCursorBytes) return none();
  std::vector<std::string> all(1);
  std::size_t high = kDigits.size();  // the first half of a byte, or none yet
  for (const char letter : cursor) {
    if (letter == kBetween && high == kDigits.size()) {
      all.emplace_back();
      continue;
    }
    const std::size_t digit = kDigits.find(letter);
    if (digit == std::string_view::npos) return none();
    if (high == kDigits.size()) {
      high = digit;
    } else {
      all.back() += static_cast<char>(high << 4 | digit);
      high = kDigits.size();
    }
  }
  const bool is_whole = high == kDigits.size() && all.back().empty();
  if (!is_whole || all.size() != parts + 1) return none();
  all.pop_back();
  return all;
}

}  // namespace mallbots
