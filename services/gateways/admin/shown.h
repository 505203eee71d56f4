// What contexts answer, as the JSON of openapi.json.
//
// Who calls: the gateway's handlers. Pure. Heavy include: in the gateway's .cpp files only.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "services/customers/api.pb.h"
#include "services/depot/api.pb.h"
#include "services/orders/api.pb.h"
#include "services/payments/api.pb.h"
#include "services/runtime/outboxes.h"
#include "services/search/api.pb.h"
#include "services/stores/api.pb.h"

namespace mallbots::admin {

[[nodiscard]] nlohmann::json shown(const runtimepb::Money& money);
[[nodiscard]] nlohmann::json shown(const storespb::Store& store);
[[nodiscard]] nlohmann::json shown(const storespb::Product& product);
[[nodiscard]] nlohmann::json shown(const customerspb::Customer& customer);
[[nodiscard]] nlohmann::json shown(const searchpb::Order& order);
[[nodiscard]] nlohmann::json shown(const orderspb::Order& order);
[[nodiscard]] nlohmann::json shown(const depotpb::ShoppingList& list);
[[nodiscard]] nlohmann::json shown(const depotpb::Bot& bot);
[[nodiscard]] nlohmann::json shown(const paymentspb::Invoice& invoice);
[[nodiscard]] nlohmann::json shown(const toolkit::RefusedMessage& message);
[[nodiscard]] nlohmann::json shown(const OutboxBacklog& outbox);

/// Each of a repeated field.
template <class Items>
[[nodiscard]] nlohmann::json each_shown(const Items& items) {
  nlohmann::json all = nlohmann::json::array();
  for (const auto& item : items) all.push_back(shown(item));
  return all;
}

}  // namespace mallbots::admin
