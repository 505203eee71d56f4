// Line: so many of one product at one price; what carts, orders and invoices are made of. Any
// thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "services/runtime/money.h"
#include "services/runtime/refusal.h"

namespace mallbots::orders {

/// Names and price are those of the moment when the line was written: the customer saw them.
struct Line {
  std::string store_id;
  std::string product_id;
  std::string store_name;
  std::string store_location;
  std::string product_name;
  Money price;
  std::uint32_t quantity = 0;

  friend bool operator==(const Line&, const Line&) = default;
};

/// Zero of `currency` without lines. kInvalid: the sum is more than an amount may be, or a line has
/// another currency.
[[nodiscard]] Decision<Money> total(std::span<const Line> lines, Currency currency = {});

}  // namespace mallbots::orders
