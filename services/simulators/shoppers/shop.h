// The shop that the retail file needs: stores, their products, participation, set up through the
// admin API as a store admin would, and again without effect if it stands already.
//
// Who calls: the shoppers, before they begin; the threads are its own. Errors: those of
// StaffSession; Refused (by the gateway; says what).
#pragma once

#include <string>
#include <vector>

#include "services/simulators/shoppers/retail.h"
#include "services/simulators/staff_session.h"

namespace mallbots::shoppers {

struct ShopOptions {
  simulators::HttpAddress admin;
  simulators::StaffAccount account;  ///< store-admin
  std::size_t stores = 8;
  std::size_t hands = 4;  ///< products are added by so many at once
};

/// The product's id: its SKU in characters that need no escape in an address.
[[nodiscard]] std::string product_id_of(const RetailLine& line);

[[nodiscard]] Result<void> set_up_shop(const Retail& retail, const ShopOptions& options);

}  // namespace mallbots::shoppers
