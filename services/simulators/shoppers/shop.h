// The shop that the retail file needs: stores, their products, participation, set up as a store
// admin would, and again without effect if it stands already.
//
// Who calls: the shoppers, before they begin; the threads are its own. Errors: those of Desk;
// BadArgument (no floor plan); Refused (the mall refused something; says what).
#pragma once

#include <istream>
#include <string>

#include "services/simulators/desk.h"
#include "services/simulators/shoppers/retail.h"

namespace mallbots::shoppers {

struct ShopOptions {
  simulators::DeskPlace desk;  ///< of a store-admin
  std::size_t stores = 8;
  std::size_t hands = 4;  ///< products are added by so many at once
};

/// The product's id: its SKU in characters that need no escape in an address.
[[nodiscard]] std::string product_id_of(const RetailLine& line);

/// `plan`: the mall's floor, over which the stores are spread.
[[nodiscard]] Result<void> set_up_shop(const Retail& retail, std::istream& plan,
                                       const ShopOptions& options);

}  // namespace mallbots::shoppers
