// The contract of the context stores: its messages, their names and versions, their topics.
#pragma once

#include <string>

#include "clients/toolkit/cqrs/message_type.h"
#include "services/stores/contract.pb.h"

namespace mallbots::toolkit {

template <>
inline constexpr MessageType kMessageType<storesapi::StoreCreated> = event("StoreCreated", 1);
template <>
inline constexpr MessageType kMessageType<storesapi::StoreParticipatingToggled> =
    event("StoreParticipatingToggled", 1);
template <>
inline constexpr MessageType kMessageType<storesapi::StoreRebranded> = event("StoreRebranded", 1);
template <>
inline constexpr MessageType kMessageType<storesapi::StoreParticipationRequested> =
    internal_event("StoreParticipationRequested", 1);
template <>
inline constexpr MessageType kMessageType<storesapi::StoreParticipationDenied> =
    internal_event("StoreParticipationDenied", 1);
template <>
inline constexpr MessageType kMessageType<storesapi::ProductAdded> = event("ProductAdded", 1);
template <>
inline constexpr MessageType kMessageType<storesapi::ProductRebranded> =
    event("ProductRebranded", 1);
template <>
inline constexpr MessageType kMessageType<storesapi::ProductPriceIncreased> =
    event("ProductPriceIncreased", 1);
template <>
inline constexpr MessageType kMessageType<storesapi::ProductPriceDecreased> =
    event("ProductPriceDecreased", 1);
template <>
inline constexpr MessageType kMessageType<storesapi::ProductRemoved> = event("ProductRemoved", 1);

}  // namespace mallbots::toolkit

namespace storesapi {

template <class Message>
  requires requires(const Message& message) { message.id(); }
[[nodiscard]] std::string partition_key_of(const Message& message) {
  return message.id();
}

}  // namespace storesapi

namespace mallbots::stores {

/// One topic for the events of stores, one for those of products.
[[nodiscard]] inline toolkit::TopicNames topic_names() {
  return {"stores", [](const toolkit::MessageType& type) {
            return type.name.starts_with("Product") ? "mallbots.stores.events.Product"
                                                    : "mallbots.stores.events.Store";
          }};
}

}  // namespace mallbots::stores
