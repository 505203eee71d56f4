// Message types: what a message is called, said once, on its type.
//
//   struct OrderPlaced {
//     static constexpr auto kMessage = event("OrderPlaced", 1);
//     std::string order_id;
//     static constexpr auto fields() { return std::tuple{field("order_id",
//     &OrderPlaced::order_id)}; } std::string partition_key() const { return order_id; }   // keeps
//     one order's events in order static OrderPlaced upcast(OrderPlacedV0 before);         // what
//     version 0 meant
//   };
//
// A protobuf message cannot have members of ours; the same is said beside it:
//
//   template <> inline constexpr MessageType kMessageType<shop::OrderPlaced> = event("OrderPlaced",
//   1); template <> inline constexpr auto kUpcast<shop::OrderPlaced> = &order_placed_from_v0;
//   std::string partition_key_of(const shop::OrderPlaced&);    // in the message's namespace
//
// The name on the wire carries the version: OrderPlaced_v1. Topics do not: all versions of an event
// travel on one topic, so that during a migration both are published side by side.
//
// An event tells what happened and anybody may listen; an internal event is its context's own, goes
// to a topic of its own and into no archive; a command asks one handler to do something; a reply
// answers a command. Any thread; constants only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace mallbots::toolkit {

enum class MessageKind : std::uint8_t { kEvent, kInternalEvent, kCommand, kReply };

struct MessageType {
  MessageKind kind;
  std::string_view name;
  std::uint32_t version;

  /// NAME_vVERSION
  [[nodiscard]] std::string wire_name() const;
};

[[nodiscard]] constexpr MessageType event(std::string_view name, std::uint32_t version) {
  return {MessageKind::kEvent, name, version};
}
[[nodiscard]] constexpr MessageType internal_event(std::string_view name, std::uint32_t version) {
  return {MessageKind::kInternalEvent, name, version};
}
[[nodiscard]] constexpr MessageType command(std::string_view name, std::uint32_t version) {
  return {MessageKind::kCommand, name, version};
}
[[nodiscard]] constexpr MessageType reply(std::string_view name, std::uint32_t version) {
  return {MessageKind::kReply, name, version};
}

[[nodiscard]] std::string_view kind_name(MessageKind kind) noexcept;

/// The type's own kMessage, unless it is said beside it.
template <class T>
inline constexpr MessageType kMessageType = T::kMessage;

namespace message_type_detail {
template <class T>
constexpr auto upcast_of() {
  if constexpr (requires { &T::upcast; })
    return &T::upcast;
  else
    return nullptr;
}
}  // namespace message_type_detail

/// The step from the version before, a function of that version's type; null: there is none.
template <class T>
inline constexpr auto kUpcast = message_type_detail::upcast_of<T>();

/// Which topic carries which message. The defaults, for a service "orders":
///   events.OrderPlaced   internal-events.orders.OrderPlaced   commands.PlaceOrder   replies.orders
struct TopicNames {
  std::string service;
  /// Instead of events.NAME: e.g. one topic "events" for all, whose order across types is kept.
  std::function<std::string(const MessageType&)> event_topic{};

  [[nodiscard]] std::string topic_of(const MessageType& type) const;
};

}  // namespace mallbots::toolkit
