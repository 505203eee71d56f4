// The contract of the context depot: its messages, their names and versions, their topics.
#pragma once

#include <string>

#include "clients/toolkit/cqrs/message_type.h"
#include "services/depot/contract.pb.h"

namespace mallbots::toolkit {

template <>
inline constexpr MessageType kMessageType<depotapi::ShoppingListAvailable> =
    event("ShoppingListAvailable", 1);
template <>
inline constexpr MessageType kMessageType<depotapi::ShoppingListAssigned> =
    event("ShoppingListAssigned", 1);
template <>
inline constexpr MessageType kMessageType<depotapi::ShoppingStarted> = event("ShoppingStarted", 1);
template <>
inline constexpr MessageType kMessageType<depotapi::BotArrivedAtStore> =
    event("BotArrivedAtStore", 1);
template <>
inline constexpr MessageType kMessageType<depotapi::ItemsPickedUp> = event("ItemsPickedUp", 1);
template <>
inline constexpr MessageType kMessageType<depotapi::ShoppingFinished> =
    event("ShoppingFinished", 1);
template <>
inline constexpr MessageType kMessageType<depotapi::BotArrivedAtDepot> =
    event("BotArrivedAtDepot", 1);
template <>
inline constexpr MessageType kMessageType<depotapi::ShoppingStranded> =
    event("ShoppingStranded", 1);
template <>
inline constexpr MessageType kMessageType<depotapi::ShoppingListCompleted> =
    event("ShoppingListCompleted", 1);
template <>
inline constexpr MessageType kMessageType<depotapi::ShoppingListCanceled> =
    event("ShoppingListCanceled", 1);
template <>
inline constexpr MessageType kMessageType<depotapi::BotCameOnline> = event("BotCameOnline", 1);
template <>
inline constexpr MessageType kMessageType<depotapi::BotActivated> = event("BotActivated", 1);
template <>
inline constexpr MessageType kMessageType<depotapi::BotIdled> = event("BotIdled", 1);
template <>
inline constexpr MessageType kMessageType<depotapi::BotWentOffline> = event("BotWentOffline", 1);
template <>
inline constexpr MessageType kMessageType<depotapi::CreateShoppingList> =
    command("CreateShoppingList", 1);
template <>
inline constexpr MessageType kMessageType<depotapi::CreatedShoppingList> =
    reply("CreatedShoppingList", 1);
template <>
inline constexpr MessageType kMessageType<depotapi::CancelShoppingList> =
    command("CancelShoppingList", 1);
template <>
inline constexpr MessageType kMessageType<depotapi::InitiateShopping> =
    command("InitiateShopping", 1);

}  // namespace mallbots::toolkit

namespace depotapi {

template <class Message>
  requires requires(const Message& message) { message.id(); }
[[nodiscard]] std::string partition_key_of(const Message& message) {
  return message.id();
}
[[nodiscard]] inline std::string partition_key_of(const CreateShoppingList& message) {
  return message.order_id();
}

}  // namespace depotapi

namespace mallbots::depot {

/// One topic for the events of shopping lists, one for those of robots.
[[nodiscard]] inline toolkit::TopicNames topic_names() {
  return {"depot", [](const toolkit::MessageType& type) {
            const bool is_of_bot = type.name == "BotCameOnline" || type.name == "BotActivated" ||
                                   type.name == "BotIdled" || type.name == "BotWentOffline";
            return is_of_bot ? "mallbots.depot.events.Bot" : "mallbots.depot.events.ShoppingList";
          }};
}

}  // namespace mallbots::depot
