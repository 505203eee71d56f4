#include "services/orders/app/stored.h"

#include "services/runtime/money_proto.h"

namespace mallbots::orders {
namespace {

ordersapi::Line to_proto(const Line& line) {
  ordersapi::Line message;
  message.set_product_id(line.product_id);
  message.set_store_id(line.store_id);
  *message.mutable_price() = mallbots::to_proto(line.price);
  message.set_quantity(static_cast<std::int32_t>(line.quantity));
  message.set_store_name(line.store_name);
  message.set_product_name(line.product_name);
  message.set_store_location(line.store_location);
  return message;
}

Decision<Line> line_from(const ordersapi::Line& message) {
  const auto price = from_proto(message.price());
  if (!price) return std::unexpected(price.error());
  if (message.quantity() < 0) return refuse(RefusalKind::kInvalid, "a quantity is below 0");
  return Line{message.store_id(),
              message.product_id(),
              message.store_name(),
              message.store_location(),
              message.product_name(),
              *price,
              static_cast<std::uint32_t>(message.quantity())};
}

/// Of what we wrote ourselves and the log has checked: it reads.
std::vector<Line> own_lines(const google::protobuf::RepeatedPtrField<ordersapi::Line>& lines) {
  return lines_from(lines).value_or(std::vector<Line>{});
}

template <class Message>
void add_lines(Message& message, const std::vector<Line>& lines) {
  for (const Line& line : lines) *message.add_lines() = to_proto(line);
}

template <class Message>
Message about(const std::string& id) {
  Message message;
  message.set_id(id);
  return message;
}

/// With who ordered it, for readers that keep no orders of their own.
template <class Message>
Message about(const toolkit::Aggregate<StoredOrder>& order) {
  auto message = about<Message>(order.id());
  message.set_customer_id(order->order.customer_id);
  message.set_payment_id(order->order.payment_id);
  return message;
}

}  // namespace

Decision<std::vector<Line>> lines_from(
    const google::protobuf::RepeatedPtrField<ordersapi::Line>& lines) {
  std::vector<Line> all;
  for (const ordersapi::Line& one : lines) {
    auto line = line_from(one);
    if (!line) return std::unexpected(std::move(line).error());
    all.push_back(*std::move(line));
  }
  return all;
}

// --- Carts

void StoredCart::apply(const ordersapi::CartStarted&) { cart.apply(CartStarted{}); }

void StoredCart::apply(const ordersapi::CartLineSet& message) {
  if (auto line = line_from(message.line())) cart.apply(CartLineSet{*std::move(line)});
}

void StoredCart::apply(const ordersapi::CartRepriced& message) {
  cart.apply(CartRepriced{own_lines(message.lines())});
}

void StoredCart::apply(const ordersapi::CartCanceled& message) {
  cart.apply(CartCanceled{message.reason()});
}

void StoredCart::apply(const ordersapi::CartCheckedOut& message) {
  cart.apply(CartCheckedOut{message.customer_id(), message.payment_id(), {}, {}});
}

void record(toolkit::Aggregate<StoredCart>& cart, const CartEvent& event) {
  const std::string& id = cart.id();
  if (const auto* set = std::get_if<CartLineSet>(&event)) {
    auto message = about<ordersapi::CartLineSet>(id);
    *message.mutable_line() = to_proto(set->line);
    cart.record(message);
  } else if (const auto* repriced = std::get_if<CartRepriced>(&event)) {
    auto message = about<ordersapi::CartRepriced>(id);
    add_lines(message, repriced->lines);
    cart.record(message);
  } else if (const auto* canceled = std::get_if<CartCanceled>(&event)) {
    auto message = about<ordersapi::CartCanceled>(id);
    message.set_reason(canceled->reason);
    cart.record(message);
  } else if (const auto* out = std::get_if<CartCheckedOut>(&event)) {
    auto message = about<ordersapi::CartCheckedOut>(id);
    message.set_customer_id(out->customer_id);
    message.set_payment_id(out->payment_id);
    add_lines(message, out->lines);
    *message.mutable_total() = mallbots::to_proto(out->total);
    cart.record(message);
  } else {
    cart.record(about<ordersapi::CartStarted>(id));
  }
}

// --- Orders

void StoredOrder::apply(const ordersapi::OrderCreated& message) {
  order.apply(OrderCreated{message.customer_id(), message.payment_id(), own_lines(message.lines()),
                           from_proto(message.total()).value_or(Money{})});
}

void StoredOrder::apply(const ordersapi::OrderRejected& message) {
  order.apply(OrderRejected{message.reason()});
}

void StoredOrder::apply(const ordersapi::OrderApproved& message) {
  order.apply(OrderApproved{message.shopping_id()});
}

void StoredOrder::apply(const ordersapi::OrderStarted&) { order.apply(OrderStarted{}); }

void StoredOrder::apply(const ordersapi::OrderReadied& message) {
  order.apply(
      OrderReadied{own_lines(message.lines()), from_proto(message.total()).value_or(Money{})});
}

void StoredOrder::apply(const ordersapi::OrderPaid& message) {
  order.apply(OrderPaid{message.invoice_id()});
}

void StoredOrder::apply(const ordersapi::OrderCanceled& message) {
  order.apply(OrderCanceled{message.reason(), message.by_staff()});
}

void StoredOrder::apply(const ordersapi::OrderCompleted&) { order.apply(OrderCompleted{}); }

namespace {

struct Record {
  toolkit::Aggregate<StoredOrder>& order;

  void operator()(const OrderCreated& created) const {
    auto message = about<ordersapi::OrderCreated>(order.id());
    message.set_customer_id(created.customer_id);
    message.set_payment_id(created.payment_id);
    add_lines(message, created.lines);
    *message.mutable_total() = mallbots::to_proto(created.total);
    order.record(message);
  }
  void operator()(const OrderRejected& rejected) const {
    auto message = about<ordersapi::OrderRejected>(order);
    message.set_reason(rejected.reason);
    order.record(message);
  }
  void operator()(const OrderApproved& approved) const {
    auto message = about<ordersapi::OrderApproved>(order);
    message.set_shopping_id(approved.shopping_id);
    *message.mutable_total() = mallbots::to_proto(order->order.total);
    order.record(message);
  }
  void operator()(const OrderStarted&) const {
    order.record(about<ordersapi::OrderStarted>(order.id()));
  }
  void operator()(const OrderReadied& readied) const {
    auto message = about<ordersapi::OrderReadied>(order);
    add_lines(message, readied.lines);
    *message.mutable_total() = mallbots::to_proto(readied.total);
    order.record(message);
  }
  void operator()(const OrderPaid& paid) const {
    auto message = about<ordersapi::OrderPaid>(order.id());
    message.set_invoice_id(paid.invoice_id);
    order.record(message);
  }
  void operator()(const OrderCanceled& canceled) const {
    auto message = about<ordersapi::OrderCanceled>(order);
    message.set_reason(canceled.reason);
    message.set_by_staff(canceled.by_staff);
    message.set_shopping_id(order->order.shopping_id);
    order.record(message);
  }
  void operator()(const OrderCompleted&) const {
    auto message = about<ordersapi::OrderCompleted>(order.id());
    message.set_customer_id(order->order.customer_id);
    message.set_invoice_id(order->order.invoice_id);
    order.record(message);
  }
};

}  // namespace

void record(toolkit::Aggregate<StoredOrder>& order, const OrderEvent& event) {
  std::visit(Record{order}, event);
}

}  // namespace mallbots::orders
