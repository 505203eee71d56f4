// Order: from check-out to the moment when the customer carries it away. Event-sourced; pure rules,
// any thread.
//
//   (none) ── create ──▶ pending ── approve ──▶ approved ── start ──▶ in progress
//                          │ reject                └──────┬──────────────┘
//                          ▼                        ready │ (at least one item counted)
//                       rejected                          ▼
//                                                       ready ── paid and released ──▶ completed
//   pending, approved, in progress: cancel by customer or staff; ready: by staff only ──▶ cancelled
//
// Payment may come before or after ready; items are released only when both are there. Nothing
// counted at all: cancelled, with that reason. A command in the state that it leads to succeeds
// without an event. A reject of a cancelled order succeeds too: the saga compensates behind a
// cancellation. Refusals: kInvalid, kUnknown (no such order), kForbidden (who may cancel),
// kWrongState.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "services/orders/domain/line.h"

namespace mallbots::orders {

enum class OrderStatus : std::uint8_t {
  kNone,
  kPending,
  kRejected,
  kApproved,
  kInProgress,
  kReady,
  kCompleted,
  kCancelled,
};
inline constexpr std::size_t kOrderStatuses = 8;

/// "pending", "in-progress", ...; "none"
[[nodiscard]] std::string_view name_of(OrderStatus status) noexcept;

struct OrderCreated {
  std::string customer_id;
  std::string payment_id;
  std::vector<Line> lines;
  Money total;
};
struct OrderRejected {
  std::string reason;
};
struct OrderApproved {
  std::string shopping_id;
};
struct OrderStarted {};
struct OrderReadied {
  std::vector<Line> lines;  ///< as counted at the depot
  Money total;
};
struct OrderPaid {
  std::string invoice_id;
};
struct OrderCanceled {
  std::string reason;
  bool by_staff = false;
};
struct OrderCompleted {};
using OrderEvent = std::variant<OrderCreated, OrderRejected, OrderApproved, OrderStarted,
                                OrderReadied, OrderPaid, OrderCanceled, OrderCompleted>;

struct Order {
  OrderStatus status = OrderStatus::kNone;
  std::string customer_id;
  std::string payment_id;
  std::string shopping_id;
  std::string invoice_id;  ///< from its payment on
  std::vector<Line> lines;
  Money total;
  std::string reason;  ///< of its rejection or cancellation

  void apply(const OrderEvent& event);
  [[nodiscard]] bool is_paid() const noexcept { return !invoice_id.empty(); }
};

/// How many of a product the depot counted.
struct Counted {
  std::string product_id;
  std::uint32_t quantity = 0;
};

using OrderDecision = Decision<std::vector<OrderEvent>>;

[[nodiscard]] OrderDecision create(const Order& order, const OrderCreated& wanted);
[[nodiscard]] OrderDecision reject(const Order& order, std::string_view reason);
[[nodiscard]] OrderDecision approve(const Order& order, std::string_view shopping_id);
[[nodiscard]] OrderDecision start_shopping(const Order& order);
/// kInvalid: a product that was not ordered, or more of it than was.
[[nodiscard]] OrderDecision ready(const Order& order, std::span<const Counted> counted);
[[nodiscard]] OrderDecision note_paid(const Order& order, std::string_view invoice_id);
[[nodiscard]] OrderDecision release(const Order& order);
[[nodiscard]] OrderDecision cancel(const Order& order, std::string_view reason, bool by_staff);

}  // namespace mallbots::orders
