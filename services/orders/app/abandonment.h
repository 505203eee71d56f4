// Abandonment: a cart that nobody has changed for a while is cancelled with the reason "abandoned".
// The open carts and when they were last changed are rows of the orders' database; a change is
// noted before it is made, so that a cart is never thought older than it is.
//
// Who calls: the router (events of carts), the adapter (touch), a timer (tick); any thread.
// Failures: errors of the database and of the carts' streams.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "clients/toolkit/clock.h"
#include "services/orders/app/orders.h"
#include "services/runtime/unit.h"

namespace mallbots::orders {

inline constexpr std::string_view kAbandoned = "abandoned";

class Abandonment {
 public:
  /// Makes its table if it is not there. All live longer.
  [[nodiscard]] static Result<std::unique_ptr<Abandonment>> open(Units units, Orders& orders,
                                                                 toolkit::Clock& clock,
                                                                 std::int64_t after_ms);

  [[nodiscard]] toolkit::Handled on_started(toolkit::Context& context,
                                            const ordersapi::CartStarted& event);
  [[nodiscard]] toolkit::Handled on_canceled(toolkit::Context& context,
                                             const ordersapi::CartCanceled& event);
  [[nodiscard]] toolkit::Handled on_checked_out(toolkit::Context& context,
                                                const ordersapi::CartCheckedOut& event);
  /// Somebody is about to change the cart.
  [[nodiscard]] Outcome<void> touch(std::string_view cart_id);
  /// Cancels what is due, up to 100 carts.
  [[nodiscard]] Outcome<void> tick();

 private:
  Abandonment(Units units, Orders& orders, toolkit::Clock& clock, std::int64_t after_ms) noexcept
      : units_(units), orders_(&orders), clock_(&clock), after_ms_(after_ms) {}
  [[nodiscard]] toolkit::Handled forget(toolkit::Context& context, std::string_view cart_id);

  Units units_;
  Orders* orders_;
  toolkit::Clock* clock_;
  std::int64_t after_ms_;
};

}  // namespace mallbots::orders
