#include "services/runtime/money.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "shm/base/check.h"

namespace mallbots {
namespace {

constexpr std::int64_t kMinorPerMajor = 100;

std::unexpected<Refusal> not_money(std::string_view text, std::string_view why) {
  return refuse(RefusalKind::kInvalid, fmt::format("'{}' is not an amount: {}", text, why));
}

/// Digits only, at most twelve of them: more do not fit kMaxMinor.
bool read_digits(std::string_view text, std::int64_t& value) {
  value = 0;
  if (text.size() > 12) return false;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  return true;
}

}  // namespace

Decision<Currency> parse_currency(std::string_view text) {
  const auto is_capital = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (text.size() != 3 || !std::ranges::all_of(text, is_capital)) {
    return refuse(RefusalKind::kInvalid,
                  fmt::format("'{}' is not a currency: write three capital letters", text));
  }
  return Currency{{text[0], text[1], text[2]}};
}

Money operator+(const Money& left, const Money& right) {
  CHECK(left.currency == right.currency);
  return {left.minor + right.minor, left.currency};
}

Money operator-(const Money& left, const Money& right) {
  CHECK(left.currency == right.currency);
  return {left.minor - right.minor, left.currency};
}

std::strong_ordering operator<=>(const Money& left, const Money& right) {
  CHECK(left.currency == right.currency);
  return left.minor <=> right.minor;
}

Decision<Money> times(const Money& price, std::int64_t quantity) {
  std::int64_t minor = 0;
  if (__builtin_mul_overflow(price.minor, quantity, &minor) || std::abs(minor) > Money::kMaxMinor) {
    return refuse(RefusalKind::kInvalid, fmt::format("{} times {} is more than one amount may be",
                                                     to_text(price), quantity));
  }
  return Money{minor, price.currency};
}

Decision<Money> parse_money(std::string_view text, Currency currency) {
  std::string_view rest = text;
  const bool is_negative = rest.starts_with('-');
  if (is_negative) rest.remove_prefix(1);
  const std::size_t point = rest.find('.');
  const std::string_view whole = rest.substr(0, point);
  std::string_view decimals = point == std::string_view::npos ? "" : rest.substr(point + 1);
  if (whole.empty() || (point != std::string_view::npos && decimals.empty())) {
    return not_money(text, "write it as 12 or 12.34");
  }
  while (decimals.size() > 2 && decimals.back() == '0') decimals.remove_suffix(1);
  if (decimals.size() > 2) return not_money(text, "it has more than two decimals");
  std::int64_t major = 0;
  std::int64_t minor = 0;
  if (!read_digits(whole, major) || !read_digits(decimals, minor)) {
    return not_money(text, "write it as 12 or 12.34");
  }
  if (decimals.size() == 1) minor *= 10;
  minor += major * kMinorPerMajor;
  if (minor > Money::kMaxMinor) return not_money(text, "it is too large");
  return Money{is_negative ? -minor : minor, currency};
}

std::string to_text(const Money& money) {
  const std::int64_t minor = std::abs(money.minor);
  return fmt::format(
      "{}{}.{:02} {}", money.minor < 0 ? "-" : "", minor / kMinorPerMajor, minor % kMinorPerMajor,
      std::string_view(money.currency.letters.data(), money.currency.letters.size()));
}

}  // namespace mallbots
