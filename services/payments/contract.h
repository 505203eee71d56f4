// The contract of the context payments: its messages, their names and versions, their topics.
#pragma once

#include <string>

#include "clients/toolkit/cqrs/message_type.h"
#include "services/payments/contract.pb.h"

namespace mallbots::toolkit {

template <>
inline constexpr MessageType kMessageType<paymentsapi::InvoiceCreated> = event("InvoiceCreated", 1);
template <>
inline constexpr MessageType kMessageType<paymentsapi::InvoiceAdjusted> =
    event("InvoiceAdjusted", 1);
template <>
inline constexpr MessageType kMessageType<paymentsapi::InvoicePaid> = event("InvoicePaid", 1);
template <>
inline constexpr MessageType kMessageType<paymentsapi::InvoiceCanceled> =
    event("InvoiceCanceled", 1);
template <>
inline constexpr MessageType kMessageType<paymentsapi::InvoiceRefunded> =
    event("InvoiceRefunded", 1);
template <>
inline constexpr MessageType kMessageType<paymentsapi::ConfirmPayment> =
    command("ConfirmPayment", 1);
template <>
inline constexpr MessageType kMessageType<paymentsapi::ReleasePayment> =
    command("ReleasePayment", 1);
template <>
inline constexpr MessageType kMessageType<paymentsapi::Capture> = command("Capture", 1);
template <>
inline constexpr MessageType kMessageType<paymentsapi::GiveBack> = command("GiveBack", 1);

}  // namespace mallbots::toolkit

namespace paymentsapi {

template <class Message>
  requires requires(const Message& message) { message.id(); }
[[nodiscard]] std::string partition_key_of(const Message& message) {
  return message.id();
}

}  // namespace paymentsapi

namespace mallbots::payments {

/// All events of invoices travel on one topic, so that those of one invoice keep their order.
[[nodiscard]] inline toolkit::TopicNames topic_names() {
  return {"payments",
          [](const toolkit::MessageType&) { return "mallbots.payments.events.Invoice"; }};
}

}  // namespace mallbots::payments
