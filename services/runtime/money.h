// Money: a whole number of minor units (pence, cents) of one currency. Never a float: 0.1 + 0.2
// must be 0.3, and the auditor counts to the penny.
//
// Who calls: every domain, any thread. Amounts lie within +-kMaxMinor, so that sums of a million of
// them fit; what comes from outside is checked by parse() and times(), which refuse.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "services/runtime/refusal.h"

namespace mallbots {

/// ISO 4217, three capital letters. The mall has one currency; two are never mixed.
struct Currency {
  std::array<char, 3> letters{'G', 'B', 'P'};
  friend bool operator==(const Currency&, const Currency&) = default;
};

/// kInvalid: not three capital letters.
[[nodiscard]] Decision<Currency> parse_currency(std::string_view text);

struct Money {
  static constexpr std::int64_t kMaxMinor = 1'000'000'000'000;  ///< ten thousand million pounds

  std::int64_t minor = 0;
  Currency currency{};

  friend bool operator==(const Money&, const Money&) = default;
};

/// Both of one currency (CHECK: currencies are compared where they enter).
[[nodiscard]] Money operator+(const Money& left, const Money& right);
[[nodiscard]] Money operator-(const Money& left, const Money& right);
[[nodiscard]] std::strong_ordering operator<=>(const Money& left, const Money& right);

/// kInvalid: the product lies beyond kMaxMinor.
[[nodiscard]] Decision<Money> times(const Money& price, std::int64_t quantity);

/// "12", "12.3", "12.34", "-0.05", also with zeros behind the second decimal ("1.250" is refused,
/// "1.200" is 1.20). kInvalid: no number, more than two decimals that count, or beyond kMaxMinor.
[[nodiscard]] Decision<Money> parse_money(std::string_view text, Currency currency = {});

/// "12.34 GBP"
[[nodiscard]] std::string to_text(const Money& money);

}  // namespace mallbots
