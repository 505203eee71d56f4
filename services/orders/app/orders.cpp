#include "services/orders/app/orders.h"

#include <optional>

#include "services/runtime/money_proto.h"

namespace mallbots::orders {
namespace {

using toolkit::Aggregate;
using toolkit::Cause;
using toolkit::Context;
using toolkit::Handled;

/// `decide` looks at the aggregate and gives the rule's decision.
template <class State, class Decide>
Outcome<void> change(toolkit::Repository<State>& repository, const std::string& id,
                     const Cause& cause, const Decide& decide) {
  std::optional<Refusal> refusal;
  const auto changed = repository.change(id, cause, [&](Aggregate<State>& state) -> Result<void> {
    const auto decision = decide(*state);
    if (!decision) {
      refusal = decision.error();
      return std::unexpected(Error{ErrorCode::kRefused, refusal->reason});
    }
    for (const auto& event : *decision) record(state, event);
    return {};
  });
  if (changed) return {};
  if (changed.error().code == ErrorCode::kRefused && refusal) return std::unexpected(*refusal);
  return std::unexpected(changed.error());
}

Handled handled(const Outcome<void>& outcome) {
  if (!outcome) return std::unexpected(as_handler_failure(outcome.error()));
  return {};
}

/// For what happened elsewhere and cannot be refused: if the order has gone on (it was cancelled
/// meanwhile), there is nothing to do here.
Handled noted(const Outcome<void>& outcome) {
  const auto* refusal = outcome ? nullptr : std::get_if<Refusal>(&outcome.error());
  if (refusal != nullptr && refusal->kind == RefusalKind::kWrongState) return {};
  return handled(outcome);
}

/// For what the depot tells of an order: its robots may be faster than the saga, whose approval is
/// on its way. Then it comes again.
template <class Decide>
Handled note_shopping(toolkit::Repository<StoredOrder>& repository, const std::string& id,
                      const Cause& cause, const Decide& decide) {
  constexpr std::int64_t kAgainMs = 50;
  bool is_early = false;
  const auto outcome = change(repository, id, cause, [&](const StoredOrder& stored) {
    is_early = stored.order.status == OrderStatus::kPending;
    return decide(stored.order);
  });
  if (is_early) return toolkit::not_now("Early", "the order is not approved yet", kAgainMs);
  return noted(outcome);
}

}  // namespace

// --- Carts

Outcome<void> Orders::start_cart(const std::string& id, const Cause& cause) {
  return change(carts_, id, cause, [](const StoredCart& stored) { return start(stored.cart); });
}

Outcome<void> Orders::set_quantity(const std::string& cart_id, std::string_view product_id,
                                   std::uint32_t quantity, const Cause& cause) {
  const auto offer = offers_->find(product_id);
  if (!offer) return std::unexpected(offer.error());
  return change(carts_, cart_id, cause, [&](const StoredCart& stored) {
    return orders::set_quantity(stored.cart, *offer, quantity);
  });
}

Outcome<bool> Orders::review(const std::string& cart_id, const Cause& cause) {
  const auto before = cart(cart_id);
  if (!before) return std::unexpected(before.error());
  const auto offers = offers_->of(before->lines);
  if (!offers) return std::unexpected(offers.error());
  bool is_changed = false;
  const auto done = change(carts_, cart_id, cause, [&](const StoredCart& stored) {
    CartDecision decision = reprice(stored.cart, *offers);
    is_changed = decision && !decision->empty();
    return decision;
  });
  if (!done) return std::unexpected(done.error());
  return is_changed;
}

Outcome<void> Orders::check_out(const std::string& cart_id, const CheckOut& with,
                                const Cause& cause) {
  return change(carts_, cart_id, cause,
                [&](const StoredCart& stored) { return orders::check_out(stored.cart, with); });
}

Outcome<void> Orders::cancel_cart(const std::string& cart_id, std::string_view reason,
                                  const Cause& cause) {
  return change(carts_, cart_id, cause,
                [&](const StoredCart& stored) { return cancel(stored.cart, reason); });
}

Outcome<Cart> Orders::cart(const std::string& id) {
  const auto stored = carts_.load(id);
  if (!stored) return std::unexpected(stored.error());
  if (stored->version() != 0) return (*stored)->cart;
  return std::unexpected(Refusal{RefusalKind::kUnknown, "there is no such cart"});
}

// --- Orders

Outcome<void> Orders::cancel_order(const std::string& id, std::string_view reason, bool by_staff,
                                   const Cause& cause) {
  return change(orders_, id, cause,
                [&](const StoredOrder& stored) { return cancel(stored.order, reason, by_staff); });
}

Outcome<void> Orders::release(const std::string& id, const Cause& cause) {
  return change(orders_, id, cause,
                [](const StoredOrder& stored) { return orders::release(stored.order); });
}

Outcome<Order> Orders::order(const std::string& id) {
  const auto stored = orders_.load(id);
  if (!stored) return std::unexpected(stored.error());
  if (stored->version() != 0) return (*stored)->order;
  return std::unexpected(Refusal{RefusalKind::kUnknown, "there is no such order"});
}

// --- Commands and events

Handled Orders::approve(Context& context, const ordersapi::ApproveOrder& command) {
  return handled(change(orders_, command.id(), context.cause(), [&](const StoredOrder& stored) {
    return orders::approve(stored.order, command.shopping_id());
  }));
}

Handled Orders::reject(Context& context, const ordersapi::RejectOrder& command) {
  return handled(change(orders_, command.id(), context.cause(), [&](const StoredOrder& stored) {
    return orders::reject(stored.order, command.reason());
  }));
}

Handled Orders::on_checked_out(Context& context, const ordersapi::CartCheckedOut& event) {
  auto lines = lines_from(event.lines());
  const auto total = from_proto(event.total());
  if (!lines || !total) return toolkit::give_up("Undecodable", "lines or total do not read");
  const OrderCreated wanted{event.customer_id(), event.payment_id(), *std::move(lines), *total};
  return handled(change(orders_, event.id(), context.cause(),
                        [&](const StoredOrder& stored) { return create(stored.order, wanted); }));
}

Handled Orders::on_started(Context& context, const depotapi::ShoppingStarted& event) {
  return note_shopping(orders_, event.order_id(), context.cause(), start_shopping);
}

Handled Orders::on_completed(Context& context, const depotapi::ShoppingListCompleted& event) {
  std::vector<Counted> counted;
  for (const depotapi::Count& item : event.items()) {
    if (item.quantity() < 0) return toolkit::give_up("Undecodable", "a count is below 0");
    counted.push_back({item.product_id(), static_cast<std::uint32_t>(item.quantity())});
  }
  return note_shopping(orders_, event.order_id(), context.cause(),
                       [&](const Order& order) { return ready(order, counted); });
}

Handled Orders::on_paid(Context& context, const paymentsapi::InvoicePaid& event) {
  return noted(change(orders_, event.order_id(), context.cause(), [&](const StoredOrder& stored) {
    return note_paid(stored.order, event.id());
  }));
}

}  // namespace mallbots::orders
