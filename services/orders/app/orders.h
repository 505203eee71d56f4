// Orders: the application of the context: carts at the kiosk, orders until they are carried away.
//
// Carts and orders are stored as their events; the append is the publication. A call decides on the
// state that it read, and again if somebody else was faster. A command or event that comes twice is
// known by its id and changes nothing.
//
// Who calls: the kiosk's and the staff's gateways, the router (commands and events of other
// contexts), any thread. What a completed call promises is what its streams do (EventStreams).
// Failures: the domain's refusals (cart.h, order.h); errors of the streams.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "clients/toolkit/aggregates/aggregate.h"
#include "services/depot/contract.h"
#include "services/orders/app/offers.h"
#include "services/orders/app/stored.h"
#include "services/payments/contract.h"
#include "services/runtime/outcome.h"

namespace mallbots::orders {

class Orders {
 public:
  /// Both live longer.
  Orders(toolkit::EventStreams& streams, const Offers& offers)
      : carts_(streams), orders_(streams), offers_(&offers) {}

  // --- Carts. `cause` is the request; its causation id makes a repeated request harmless.

  [[nodiscard]] Outcome<void> start_cart(const std::string& id, const toolkit::Cause& cause = {});
  [[nodiscard]] Outcome<void> set_quantity(const std::string& cart_id, std::string_view product_id,
                                           std::uint32_t quantity,
                                           const toolkit::Cause& cause = {});
  /// Today's prices; true if something changed, which the customer has to see.
  [[nodiscard]] Outcome<bool> review(const std::string& cart_id, const toolkit::Cause& cause = {});
  [[nodiscard]] Outcome<void> check_out(const std::string& cart_id, const CheckOut& with,
                                        const toolkit::Cause& cause = {});
  [[nodiscard]] Outcome<void> cancel_cart(const std::string& cart_id, std::string_view reason,
                                          const toolkit::Cause& cause = {});
  /// kUnknown: no such cart.
  [[nodiscard]] Outcome<Cart> cart(const std::string& id);

  // --- Orders

  [[nodiscard]] Outcome<void> cancel_order(const std::string& id, std::string_view reason,
                                           bool by_staff, const toolkit::Cause& cause = {});
  /// The items are handed over.
  [[nodiscard]] Outcome<void> release(const std::string& id, const toolkit::Cause& cause = {});
  /// kUnknown: no such order.
  [[nodiscard]] Outcome<Order> order(const std::string& id);

  // --- Commands of the saga, and what the other contexts tell

  [[nodiscard]] toolkit::Handled approve(toolkit::Context& context,
                                         const ordersapi::ApproveOrder& command);
  [[nodiscard]] toolkit::Handled reject(toolkit::Context& context,
                                        const ordersapi::RejectOrder& command);
  [[nodiscard]] toolkit::Handled on_checked_out(toolkit::Context& context,
                                                const ordersapi::CartCheckedOut& event);
  [[nodiscard]] toolkit::Handled on_started(toolkit::Context& context,
                                            const depotapi::ShoppingStarted& event);
  [[nodiscard]] toolkit::Handled on_completed(toolkit::Context& context,
                                              const depotapi::ShoppingListCompleted& event);
  [[nodiscard]] toolkit::Handled on_paid(toolkit::Context& context,
                                         const paymentsapi::InvoicePaid& event);

 private:
  toolkit::Repository<StoredCart> carts_;
  toolkit::Repository<StoredOrder> orders_;
  const Offers* offers_;
};

}  // namespace mallbots::orders
