// Stored: carts and orders as aggregates of the toolkit. What is stored are the messages of the
// contract, so that the append is the publication; the rules know nothing of them.
//
// Who calls: the application (orders.h). Any thread; a value.
#pragma once

#include <string>
#include <string_view>

#include "clients/toolkit/aggregates/aggregate.h"
#include "services/orders/contract.h"
#include "services/orders/domain/cart.h"
#include "services/orders/domain/order.h"

namespace mallbots::orders {

struct StoredCart {
  static constexpr std::string_view kAggregate = "cart";
  using Events =
      toolkit::EventTypes<ordersapi::CartStarted, ordersapi::CartLineSet, ordersapi::CartRepriced,
                          ordersapi::CartCanceled, ordersapi::CartCheckedOut>;
  Cart cart;

  void apply(const ordersapi::CartStarted& message);
  void apply(const ordersapi::CartLineSet& message);
  void apply(const ordersapi::CartRepriced& message);
  void apply(const ordersapi::CartCanceled& message);
  void apply(const ordersapi::CartCheckedOut& message);
};

struct StoredOrder {
  static constexpr std::string_view kAggregate = "order";
  using Events = toolkit::EventTypes<ordersapi::OrderCreated, ordersapi::OrderRejected,
                                     ordersapi::OrderApproved, ordersapi::OrderStarted,
                                     ordersapi::OrderReadied, ordersapi::OrderPaid,
                                     ordersapi::OrderCanceled, ordersapi::OrderCompleted>;
  Order order;

  void apply(const ordersapi::OrderCreated& message);
  void apply(const ordersapi::OrderRejected& message);
  void apply(const ordersapi::OrderApproved& message);
  void apply(const ordersapi::OrderStarted& message);
  void apply(const ordersapi::OrderReadied& message);
  void apply(const ordersapi::OrderPaid& message);
  void apply(const ordersapi::OrderCanceled& message);
  void apply(const ordersapi::OrderCompleted& message);
};

/// Records what the rule decided, as messages.
void record(toolkit::Aggregate<StoredCart>& cart, const CartEvent& event);
void record(toolkit::Aggregate<StoredOrder>& order, const OrderEvent& event);

/// The lines of a message; kInvalid if a price is none or a quantity is below 0.
[[nodiscard]] Decision<std::vector<Line>> lines_from(
    const google::protobuf::RepeatedPtrField<ordersapi::Line>& lines);

}  // namespace mallbots::orders
