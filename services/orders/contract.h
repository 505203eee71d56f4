// The contract of the context orders: its messages, their names and versions, their topics.
#pragma once

#include <string>
#include <string_view>

#include "clients/toolkit/cqrs/message_type.h"
#include "services/orders/contract.pb.h"

namespace mallbots::toolkit {

template <>
inline constexpr MessageType kMessageType<ordersapi::CartStarted> = event("CartStarted", 1);
template <>
inline constexpr MessageType kMessageType<ordersapi::CartLineSet> =
    internal_event("CartLineSet", 1);
template <>
inline constexpr MessageType kMessageType<ordersapi::CartRepriced> =
    internal_event("CartRepriced", 1);
template <>
inline constexpr MessageType kMessageType<ordersapi::CartCanceled> = event("CartCanceled", 1);
template <>
inline constexpr MessageType kMessageType<ordersapi::CartCheckedOut> = event("CartCheckedOut", 1);
template <>
inline constexpr MessageType kMessageType<ordersapi::OrderCreated> = event("OrderCreated", 1);
template <>
inline constexpr MessageType kMessageType<ordersapi::OrderRejected> = event("OrderRejected", 1);
template <>
inline constexpr MessageType kMessageType<ordersapi::OrderApproved> = event("OrderApproved", 1);
template <>
inline constexpr MessageType kMessageType<ordersapi::OrderStarted> = event("OrderStarted", 1);
template <>
inline constexpr MessageType kMessageType<ordersapi::OrderReadied> = event("OrderReadied", 1);
template <>
inline constexpr MessageType kMessageType<ordersapi::OrderPaid> = event("OrderPaid", 1);
template <>
inline constexpr MessageType kMessageType<ordersapi::OrderCanceled> = event("OrderCanceled", 1);
template <>
inline constexpr MessageType kMessageType<ordersapi::OrderCompleted> = event("OrderCompleted", 1);
template <>
inline constexpr MessageType kMessageType<ordersapi::RejectOrder> = command("RejectOrder", 1);
template <>
inline constexpr MessageType kMessageType<ordersapi::ApproveOrder> = command("ApproveOrder", 1);

}  // namespace mallbots::toolkit

namespace ordersapi {

template <class Message>
  requires requires(const Message& message) { message.id(); }
[[nodiscard]] std::string partition_key_of(const Message& message) {
  return message.id();
}

}  // namespace ordersapi

namespace mallbots::orders {

/// One topic for the events of carts, one for those of orders.
[[nodiscard]] inline toolkit::TopicNames topic_names() {
  return {"orders", [](const toolkit::MessageType& type) {
            return type.name.starts_with("Cart") ? "mallbots.orders.events.Cart"
                                                 : "mallbots.orders.events.Order";
          }};
}

}  // namespace mallbots::orders
