#include "services/orders/domain/order.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "services/runtime/text.h"

namespace mallbots::orders {
namespace {

using Events = std::vector<OrderEvent>;
using enum OrderStatus;

std::unexpected<Refusal> not_now(const Order& order, std::string_view what) {
  if (order.status == kNone) return refuse(RefusalKind::kUnknown, "there is no such order");
  return refuse(RefusalKind::kWrongState,
                fmt::format("the order is {}: it cannot be {}", name_of(order.status), what));
}

bool is_one_of(OrderStatus status, std::initializer_list<OrderStatus> statuses) {
  return std::ranges::find(statuses, status) != statuses.end();
}

/// What the lines are when only the counted items are delivered.
Decision<std::vector<Line>> delivered(const Order& order, std::span<const Counted> counted) {
  std::vector<Line> lines;
  for (const Counted& item : counted) {
    const auto ordered = std::ranges::find(order.lines, item.product_id, &Line::product_id);
    if (ordered == order.lines.end() || item.quantity > ordered->quantity) {
      return refuse(
          RefusalKind::kInvalid,
          fmt::format("{} of product '{}' were counted, {} ordered", item.quantity, item.product_id,
                      ordered == order.lines.end() ? 0 : ordered->quantity));
    }
  }
  for (Line line : order.lines) {
    const auto item = std::ranges::find(counted, line.product_id, &Counted::product_id);
    line.quantity = item == counted.end() ? 0 : item->quantity;
    if (line.quantity != 0) lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

std::string_view name_of(OrderStatus status) noexcept {
  static constexpr std::array<std::string_view, kOrderStatuses> kNames = {
      "none", "pending", "rejected", "approved", "in-progress", "ready", "completed", "cancelled"};
  return kNames[static_cast<std::size_t>(status)];
}

void Order::apply(const OrderEvent& event) {
  struct {
    Order& order;
    void operator()(const OrderCreated& created) const {
      order.status = kPending;
      order.customer_id = created.customer_id;
      order.payment_id = created.payment_id;
      order.lines = created.lines;
      order.total = created.total;
    }
    void operator()(const OrderRejected& rejected) const {
      order.status = kRejected;
      order.reason = rejected.reason;
    }
    void operator()(const OrderApproved& approved) const {
      order.status = kApproved;
      order.shopping_id = approved.shopping_id;
    }
    void operator()(const OrderStarted&) const { order.status = kInProgress; }
    void operator()(const OrderReadied& readied) const {
      order.status = kReady;
      order.lines = readied.lines;
      order.total = readied.total;
    }
    void operator()(const OrderPaid& paid) const { order.invoice_id = paid.invoice_id; }
    void operator()(const OrderCanceled& canceled) const {
      order.status = kCancelled;
      order.reason = canceled.reason;
    }
    void operator()(const OrderCompleted&) const { order.status = kCompleted; }
  } then{*this};
  std::visit(then, event);
}

OrderDecision create(const Order& order, const OrderCreated& wanted) {
  if (order.status != kNone) {
    if (order.payment_id == wanted.payment_id) return Events{};  // the same check-out again
    return refuse(RefusalKind::kWrongState, "an order of that id exists already");
  }
  if (wanted.lines.empty()) return refuse(RefusalKind::kInvalid, "an order needs a line");
  auto customer = checked_text("the customer's id", wanted.customer_id);
  if (!customer) return std::unexpected(customer.error());
  auto payment = checked_text("the payment's id", wanted.payment_id);
  if (!payment) return std::unexpected(payment.error());
  auto sum = total(wanted.lines);
  if (!sum) return std::unexpected(sum.error());
  if (*sum != wanted.total) {
    return refuse(RefusalKind::kInvalid, fmt::format("the lines cost {}, the order says {}",
                                                     to_text(*sum), to_text(wanted.total)));
  }
  return Events{wanted};
}

OrderDecision reject(const Order& order, std::string_view reason) {
  if (is_one_of(order.status, {kRejected, kCancelled})) return Events{};
  if (order.status != kPending) return not_now(order, "rejected");
  return Events{OrderRejected{std::string(reason)}};
}

OrderDecision approve(const Order& order, std::string_view shopping_id) {
  if (order.status == kApproved && order.shopping_id == shopping_id) return Events{};
  if (order.status != kPending) return not_now(order, "approved");
  auto shopping = checked_text("the shopping list's id", shopping_id);
  if (!shopping) return std::unexpected(shopping.error());
  return Events{OrderApproved{*std::move(shopping)}};
}

OrderDecision start_shopping(const Order& order) {
  if (order.status == kInProgress) return Events{};
  if (order.status != kApproved) return not_now(order, "started");
  return Events{OrderStarted{}};
}

OrderDecision ready(const Order& order, std::span<const Counted> counted) {
  if (order.status == kReady) return Events{};
  if (!is_one_of(order.status, {kApproved, kInProgress})) return not_now(order, "ready");
  auto lines = delivered(order, counted);
  if (!lines) return std::unexpected(lines.error());
  if (lines->empty()) return Events{OrderCanceled{"none of the items was available", true}};
  auto sum = total(*lines);
  if (!sum) return std::unexpected(sum.error());
  return Events{OrderReadied{*std::move(lines), *sum}};
}

OrderDecision note_paid(const Order& order, std::string_view invoice_id) {
  if (order.is_paid() && order.invoice_id == invoice_id) return Events{};
  if (order.is_paid() || !is_one_of(order.status, {kApproved, kInProgress, kReady})) {
    return not_now(order, "paid");
  }
  auto invoice = checked_text("the invoice's id", invoice_id);
  if (!invoice) return std::unexpected(invoice.error());
  return Events{OrderPaid{*std::move(invoice)}};
}

OrderDecision release(const Order& order) {
  if (order.status == kCompleted) return Events{};
  if (order.status != kReady) return not_now(order, "released");
  if (!order.is_paid()) return refuse(RefusalKind::kWrongState, "the order is not paid yet");
  return Events{OrderCompleted{}};
}

OrderDecision cancel(const Order& order, std::string_view reason, bool by_staff) {
  if (order.status == kCancelled) return Events{};
  if (!is_one_of(order.status, {kPending, kApproved, kInProgress, kReady})) {
    return not_now(order, "cancelled");
  }
  if (order.status == kReady && !by_staff) {
    return refuse(RefusalKind::kForbidden, "the items are at the depot: ask the staff to cancel");
  }
  auto good_reason = checked_text("the reason", reason, kMaxReasonBytes);
  if (!good_reason) return std::unexpected(good_reason.error());
  return Events{OrderCanceled{*std::move(good_reason), by_staff}};
}

}  // namespace mallbots::orders
