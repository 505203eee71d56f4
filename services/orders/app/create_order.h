// The create-order saga: what has to be agreed before an order is approved, and what undoes it.
//
//   begins with OrderCreated        undone by RejectOrder
//   authorize customer              (nothing to undo)
//   create shopping list            undone by CancelShoppingList
//   confirm payment                 undone by ReleasePayment
//   initiate shopping               (the list's cancellation covers it)
//   approve order
//
// A step that is not answered in time is undone like a refused one. An order that its customer
// cancels meanwhile refuses ApproveOrder, so the saga undoes what it had agreed.
//
// Who calls: the process of the orders context makes one SagaRunner of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "clients/toolkit/cqrs/fields.h"
#include "clients/toolkit/saga/saga.h"

namespace mallbots::orders {

/// What the saga remembers. Amounts are in minor units.
struct NewOrder {
  struct Item {
    std::string product_id;
    std::string product_name;
    std::string store_id;
    std::string store_name;
    std::string store_location;
    std::int32_t quantity = 0;

    static constexpr auto fields() {
      using toolkit::field;
      return std::tuple{field("product_id", &Item::product_id),
                        field("product_name", &Item::product_name),
                        field("store_id", &Item::store_id),
                        field("store_name", &Item::store_name),
                        field("store_location", &Item::store_location),
                        field("quantity", &Item::quantity)};
    }
  };

  std::string order_id;
  std::string customer_id;
  std::string payment_id;
  std::int64_t total_minor = 0;
  std::string currency;
  std::vector<Item> items;
  std::string shopping_id;  ///< once the depot has made the list

  static constexpr auto fields() {
    using toolkit::field;
    return std::tuple{
        field("order_id", &NewOrder::order_id),      field("customer_id", &NewOrder::customer_id),
        field("payment_id", &NewOrder::payment_id),  field("total_minor", &NewOrder::total_minor),
        field("currency", &NewOrder::currency),      field("items", &NewOrder::items),
        field("shopping_id", &NewOrder::shopping_id)};
  }
};

/// Time for one step to be answered: a context that is away for a minute rejects nobody's order.
inline constexpr std::int64_t kStepMs = 300'000;

[[nodiscard]] toolkit::Saga<NewOrder> create_order_saga();

}  // namespace mallbots::orders
