// The contract of the context customers: its messages, their names and versions, their topics.
#pragma once

#include <string>

#include "clients/toolkit/cqrs/message_type.h"
#include "services/customers/contract.pb.h"

namespace mallbots::toolkit {

template <>
inline constexpr MessageType kMessageType<customersapi::CustomerRegistered> =
    event("CustomerRegistered", 1);
template <>
inline constexpr MessageType kMessageType<customersapi::CustomerSmsChanged> =
    event("CustomerSmsChanged", 1);
template <>
inline constexpr MessageType kMessageType<customersapi::CustomerEnabled> =
    event("CustomerEnabled", 1);
template <>
inline constexpr MessageType kMessageType<customersapi::CustomerDisabled> =
    event("CustomerDisabled", 1);
template <>
inline constexpr MessageType kMessageType<customersapi::AuthorizeCustomer> =
    command("AuthorizeCustomer", 1);

}  // namespace mallbots::toolkit

namespace customersapi {

template <class Message>
  requires requires(const Message& message) { message.id(); }
[[nodiscard]] std::string partition_key_of(const Message& message) {
  return message.id();
}

}  // namespace customersapi

namespace mallbots::customers {

/// All events of customers travel on one topic, so that those of one customer keep their order.
[[nodiscard]] inline toolkit::TopicNames topic_names() {
  return {"customers",
          [](const toolkit::MessageType&) { return "mallbots.customers.events.Customer"; }};
}

}  // namespace mallbots::customers
