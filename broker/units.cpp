#include "broker/units.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>

namespace mallbots::broker {
namespace {

constexpr std::string_view kSizeLetters = "BKMGTP";

struct DurationUnit {
  std::string_view name;
  std::int64_t milliseconds;
};
constexpr std::array kDurationUnits = {DurationUnit{"d", 86'400'000}, DurationUnit{"h", 3'600'000},
                                       DurationUnit{"m", 60'000}, DurationUnit{"s", 1'000},
                                       DurationUnit{"ms", 1}};

/// 0 for B or nothing, 1 for K ...
std::optional<unsigned> size_power(std::string_view unit) {
  if (unit.empty()) return 0;
  const char letter = static_cast<char>(std::toupper(static_cast<unsigned char>(unit.front())));
  const auto power = kSizeLetters.find(letter);
  if (power == std::string_view::npos) return std::nullopt;
  std::string rest{unit.substr(1)};
  std::ranges::transform(rest, rest.begin(), [](unsigned char c) { return std::tolower(c); });
  if (!rest.empty() && (power == 0 || rest != "ib")) return std::nullopt;
  return static_cast<unsigned>(power);
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const auto digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view number = text.substr(0, digits);
  const auto power = size_power(text.substr(digits));
  if (number.empty() || !power) return std::nullopt;
  const std::uint64_t unit = std::uint64_t{1} << (10 * *power);
  if (const auto whole = parse_number(number)) {
    if (*whole > (std::uint64_t{1} << 63) / unit - 1) return std::nullopt;
    return *whole * unit;
  }
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value,
                                            std::chars_format::fixed);
  const double bytes = value * static_cast<double>(unit);
  if (error != std::errc{} || end != number.data() + number.size() || bytes > 9.0e18 ||
      number.front() == '.' || number.back() == '.')
    return std::nullopt;
  return static_cast<std::uint64_t>(std::llround(bytes));
}

std::string format_size(std::uint64_t bytes) {
  unsigned power = 0;
  while (bytes != 0 && bytes % 1024 == 0 && power + 1 < kSizeLetters.size()) {
    bytes /= 1024;
    ++power;
  }
  std::string text = std::to_string(bytes);
  if (power > 0) text.append(1, kSizeLetters[power]).append("iB");
  return text;
}

std::optional<std::int64_t> parse_duration_ms(std::string_view text) {
  constexpr std::uint64_t kLongestMs = 9'223'372'036'854;  // 292 years; the same in ns fits 63 bits
  if (const auto bare = parse_number(text)) {
    if (*bare > kLongestMs) return std::nullopt;
    return static_cast<std::int64_t>(*bare);
  }
  if (text.empty()) return std::nullopt;
  std::uint64_t total = 0;
  std::int64_t smallest = INT64_MAX;  // 1h30m, not 30m1h nor 1h1h
  while (!text.empty()) {
    const auto digits = text.find_first_not_of("0123456789");
    if (digits == std::string_view::npos) return std::nullopt;
    const auto letters = std::min(text.find_first_of("0123456789", digits), text.size());
    const auto number = parse_number(text.substr(0, digits));
    const std::string_view name = text.substr(digits, letters - digits);
    const auto* unit = std::ranges::find(kDurationUnits, name, &DurationUnit::name);
    if (!number || unit == kDurationUnits.end() || unit->milliseconds >= smallest ||
        *number > kLongestMs / static_cast<std::uint64_t>(unit->milliseconds))
      return std::nullopt;
    total += *number * static_cast<std::uint64_t>(unit->milliseconds);
    if (total > kLongestMs) return std::nullopt;
    smallest = unit->milliseconds;
    text.remove_prefix(letters);
  }
  return static_cast<std::int64_t>(total);
}

std::string format_duration_ms(std::int64_t milliseconds) {
  if (milliseconds == 0) return "0ms";
  std::string text;
  for (const DurationUnit& unit : kDurationUnits) {
    if (const std::int64_t count = milliseconds / unit.milliseconds; count > 0)
      text.append(std::to_string(count)).append(unit.name);
    milliseconds %= unit.milliseconds;
  }
  return text;
}

}  // namespace mallbots::broker
