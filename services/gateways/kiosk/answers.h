// Answers: what the kiosk says, as JSON in the form of openapi.json, and refusals as problems.
//
// Who calls: the gateway's handlers, any thread. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/gateways/http/message.h"
#include "services/gateways/kiosk/contexts.h"

namespace mallbots::kiosk {

using gateways::Response;

/// What a review did to a line.
struct Change {
  std::string_view kind;  ///< price, name, vanished
  Line before;
  std::optional<Line> now;
};
[[nodiscard]] std::vector<Change> changes_between(const Cart& before, const Cart& now);

[[nodiscard]] std::string json_of(const Listed<Store>& page);
[[nodiscard]] std::string json_of(const Listed<Product>& page);
[[nodiscard]] std::string json_of(const Cart& cart);
[[nodiscard]] std::string json_of_new(const Cart& cart, const std::string& token);
[[nodiscard]] std::string json_of_review(const Cart& cart, const std::vector<Change>& changes);
[[nodiscard]] std::string json_of(const Order& order, const std::optional<Ahead>& ahead);
[[nodiscard]] std::string json_of_located(const Order& order, const std::optional<Ahead>& ahead,
                                          const std::string& token);

/// An order that is checked out and not made yet: it is on its way.
[[nodiscard]] Order pending_order(const Cart& cart);

[[nodiscard]] Response stale_total(const Cart& cart);
[[nodiscard]] Response cart_changed(const Cart& cart, const std::vector<Change>& changes);
/// A refusal by its kind; an error as 503.
[[nodiscard]] Response refused(const Failure& failure);
/// The kind alone decides what kForbidden is called.
[[nodiscard]] Response wrong_state(std::string detail, std::string remedy);

}  // namespace mallbots::kiosk
