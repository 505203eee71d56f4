#include "clients/cli/units.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

namespace mallbots::client::cli {
namespace {

using std::string_view;

constexpr std::int64_t kSecondMs = 1000;
constexpr std::int64_t kMinuteMs = 60 * kSecondMs;
constexpr std::int64_t kHourMs = 60 * kMinuteMs;
constexpr std::int64_t kDayMs = 24 * kHourMs;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The digits at the front of `text`, taken off it; nothing if there are none or too many.
std::optional<std::uint64_t> take_number(string_view& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

/// Exactly `digits` digits at the front of `text`.
std::optional<int> take_digits(string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (!is_digit(text[i])) return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take(string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<std::uint64_t> size_unit(string_view unit) {
  if (unit.empty() || unit == "B" || unit == "b") return 1;
  constexpr string_view kUnits = "KMGTP";
  const auto upper = static_cast<char>(std::toupper(static_cast<unsigned char>(unit.front())));
  const auto power = kUnits.find(upper);
  if (power == string_view::npos) return std::nullopt;
  const string_view rest = unit.substr(1);
  if (!rest.empty() && rest != "i" && rest != "iB") return std::nullopt;
  return std::uint64_t{1} << (10 * (power + 1));
}

std::optional<std::int64_t> duration_unit(string_view unit) {
  if (unit == "ms") return 1;
  if (unit == "s") return kSecondMs;
  if (unit == "m") return kMinuteMs;
  if (unit == "h") return kHourMs;
  if (unit == "d") return kDayMs;
  return std::nullopt;
}

struct ClockTime {
  std::int64_t ms = 0;
};

/// `HH:MM[:SS[.fraction]]`. A leap second counts as the second before it.
std::optional<ClockTime> take_clock(string_view& text) {
  const auto hour = take_digits(text, 2);
  if (!hour || *hour > 23 || !take(text, ':')) return std::nullopt;
  const auto minute = take_digits(text, 2);
  if (!minute || *minute > 59) return std::nullopt;
  std::int64_t ms = *hour * kHourMs + *minute * kMinuteMs;
  if (!take(text, ':')) return ClockTime{ms};
  const auto second = take_digits(text, 2);
  if (!second || *second > 60) return std::nullopt;
  ms += std::min(*second, 59) * kSecondMs;
  if (!take(text, '.')) return ClockTime{ms};
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  for (std::int64_t weight = 100; !text.empty() && is_digit(text.front()); weight /= 10) {
    ms += weight * (text.front() - '0');
    text.remove_prefix(1);
  }
  return ClockTime{ms};
}

/// `Z`, `+HH:MM`, `-HH:MM` or nothing: milliseconds to subtract.
std::optional<std::int64_t> take_zone(string_view& text) {
  if (text.empty()) return 0;
  if (take(text, 'Z') || take(text, 'z')) return 0;
  const std::int64_t sign = text.front() == '-' ? -1 : 1;
  if (!take(text, '+') && !take(text, '-')) return std::nullopt;
  const auto hour = take_digits(text, 2);
  if (!hour || *hour > 23 || !take(text, ':')) return std::nullopt;
  const auto minute = take_digits(text, 2);
  if (!minute || *minute > 59) return std::nullopt;
  return sign * (*hour * kHourMs + *minute * kMinuteMs);
}

std::optional<UnixMillis> parse_rfc3339(string_view text) {
  const auto year = take_digits(text, 4);
  if (!year || !take(text, '-')) return std::nullopt;
  const auto month = take_digits(text, 2);
  if (!month || !take(text, '-')) return std::nullopt;
  const auto day = take_digits(text, 2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{*year},
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days{date}.time_since_epoch().count();
  if (text.empty()) return days * kDayMs;
  if (!take(text, 'T') && !take(text, 't') && !take(text, ' ')) return std::nullopt;
  const auto clock = take_clock(text);
  if (!clock) return std::nullopt;
  const auto zone = take_zone(text);
  if (!zone || !text.empty()) return std::nullopt;
  return days * kDayMs + clock->ms - *zone;
}

}  // namespace

Result<std::uint64_t> parse_number(string_view text, string_view what) {
  string_view rest = text;
  const auto value = take_number(rest);
  if (!value || !rest.empty())
    return fail(ErrorCode::kBadArgument, fmt::format("{} '{}' is not a whole number", what, text));
  return *value;
}

Result<std::uint64_t> parse_size(string_view text) {
  const auto refuse = [&](string_view why) {
    return fail(ErrorCode::kBadArgument,
                fmt::format("size '{}' {}; write it like 512, 64K, 1.5MiB or 10G", text, why));
  };
  string_view rest = text;
  const auto whole = take_number(rest);
  if (!whole) return refuse("does not start with a number");
  double fraction = 0;
  if (take(rest, '.')) {
    if (rest.empty() || !is_digit(rest.front())) return refuse("has a '.' without digits");
    for (double weight = 0.1; !rest.empty() && is_digit(rest.front()); weight /= 10) {
      fraction += weight * (rest.front() - '0');
      rest.remove_prefix(1);
    }
  }
  const auto unit = size_unit(rest);
  if (!unit) return refuse(fmt::format("has the unknown unit '{}'", rest));
  const auto part = static_cast<std::uint64_t>(std::llround(fraction * static_cast<double>(*unit)));
  if (*whole > (std::numeric_limits<std::uint64_t>::max() - part) / *unit)
    return refuse("is too large");
  return *whole * *unit + part;
}

std::string format_size(std::uint64_t bytes) {
  constexpr std::array<const char*, 6> kNames = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return fmt::format("{}B", bytes);
  std::size_t unit = 0;
  auto value = static_cast<double>(bytes);
  // 1023.95 would print as 1024.0, which belongs to the next unit.
  while (value >= 1023.95 && unit + 1 < kNames.size()) {
    value /= 1024;
    ++unit;
  }
  const std::string number = fmt::format("{:.1f}", value);
  const string_view shown = number.ends_with(".0")
                                ? string_view{number}.substr(0, number.size() - 2)
                                : string_view{number};
  return fmt::format("{}{}", shown, kNames[unit]);
}

Result<std::int64_t> parse_duration_ms(string_view text) {
  const auto refuse = [&](string_view why) {
    return fail(
        ErrorCode::kBadArgument,
        fmt::format("duration '{}' {}; write it like 500ms, 30s, 5m, 1h30m or 7d", text, why));
  };
  string_view rest = text;
  std::int64_t total = 0;
  if (rest.empty()) return refuse("is empty");
  while (!rest.empty()) {
    const auto number = take_number(rest);
    if (!number) return refuse("does not start with a number");
    std::size_t letters = 0;
    while (letters < rest.size() && !is_digit(rest[letters])) ++letters;
    const auto unit = duration_unit(rest.substr(0, letters));
    if (!unit) return refuse("needs a unit after each number: ms, s, m, h or d");
    rest.remove_prefix(letters);
    const std::int64_t room = std::numeric_limits<std::int64_t>::max() - total;
    if (*number > static_cast<std::uint64_t>(room / *unit)) return refuse("is too long");
    total += static_cast<std::int64_t>(*number) * *unit;
  }
  return total;
}

std::string format_duration(std::int64_t milliseconds) {
  if (milliseconds < 0)
    return "-" + format_duration(milliseconds == INT64_MIN ? INT64_MAX : -milliseconds);
  const std::int64_t ms = milliseconds;
  if (ms == 0) return "0s";
  if (ms < kSecondMs) return fmt::format("{}ms", ms);
  if (ms < kMinuteMs) return fmt::format("{}.{}s", ms / kSecondMs, ms % kSecondMs / 100);
  if (ms < kHourMs) return fmt::format("{}m{:02}s", ms / kMinuteMs, ms % kMinuteMs / kSecondMs);
  if (ms < kDayMs) return fmt::format("{}h{:02}m", ms / kHourMs, ms % kHourMs / kMinuteMs);
  return fmt::format("{}d{:02}h", ms / kDayMs, ms % kDayMs / kHourMs);
}

Result<UnixMillis> parse_time(string_view text, UnixMillis now_ms) {
  const auto refuse = [&](string_view why) {
    return fail(ErrorCode::kBadArgument,
                fmt::format("time '{}' {}; write 2026-01-31T09:05:00Z, Unix milliseconds, or -1h "
                            "for an hour ago",
                            text, why));
  };
  if (text.starts_with('-')) {
    const auto back = parse_duration_ms(text.substr(1));
    if (!back) return std::unexpected(back.error());
    if (*back > now_ms) return refuse("lies before 1970");
    return now_ms - *back;
  }
  string_view digits = text;
  if (const auto unix_ms = take_number(digits); unix_ms && digits.empty()) {
    if (*unix_ms > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      return refuse("is too late");
    return static_cast<UnixMillis>(*unix_ms);
  }
  const auto time_ms = parse_rfc3339(text);
  if (!time_ms) return refuse("is not a time");
  return *time_ms;
}

std::string format_time(UnixMillis time_ms) {
  using namespace std::chrono;
  // Outside the four-digit years there is no RFC 3339; the number itself is then the honest form.
  constexpr UnixMillis kFirst = -62'167'219'200'000;
  constexpr UnixMillis kLast = 253'402'300'799'999;
  if (time_ms < kFirst || time_ms > kLast) return fmt::format("{}", time_ms);
  const sys_time<milliseconds> moment{milliseconds{time_ms}};
  const auto day = floor<days>(moment);
  const year_month_day date{day};
  const hh_mm_ss clock{moment - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

}  // namespace mallbots::client::cli
