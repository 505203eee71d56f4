#include "services/gateways/kiosk/answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace mallbots::kiosk {
namespace {

using Json = nlohmann::ordered_json;
using gateways::problem;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json view(const Money& money) {
  return {{"minor", money.minor},
          {"currency", std::string(money.currency.letters.begin(), money.currency.letters.end())}};
}

Json next_of(const std::string& next) { return next.empty() ? Json(nullptr) : Json(next); }

Json view(const Line& line) {
  const Money amount{line.price.minor * line.quantity, line.price.currency};
  return {{"product_id", line.product_id}, {"product_name", line.product_name},
          {"store_id", line.store_id},     {"store_name", line.store_name},
          {"quantity", line.quantity},     {"price", view(line.price)},
          {"amount", view(amount)}};
}

Json view(const std::vector<Line>& lines) {
  Json list = Json::array();
  for (const Line& line : lines) list.push_back(view(line));
  return list;
}

Json view(const Cart& cart) {
  return {{"id", cart.id},
          {"state", cart.state},
          {"items", view(cart.lines)},
          {"total", view(cart.total)}};
}

Json view(const std::vector<Change>& changes) {
  Json list = Json::array();
  for (const Change& change : changes) {
    list.push_back({{"kind", change.kind},
                    {"product_id", change.before.product_id},
                    {"before", view(change.before)},
                    {"now", change.now ? view(*change.now) : Json(nullptr)}});
  }
  return list;
}

bool is_waiting(const Order& order) {
  return order.status == "pending" || order.status == "approved";
}

Json view(const Order& order, const std::optional<Ahead>& ahead) {
  Json queue = nullptr;
  if (ahead && is_waiting(order)) queue = {{"ahead", ahead->orders}, {"more", ahead->is_more}};
  return {{"id", order.id},
          {"status", order.status},
          {"items", view(order.lines)},
          {"total", view(order.total)},
          {"paid", order.is_paid},
          {"cancelable", is_waiting(order) || order.status == "in-progress"},
          {"reason", order.reason.empty() ? Json(nullptr) : Json(order.reason)},
          {"queue", std::move(queue)}};
}

Response refused(const Refusal& refusal) {
  switch (refusal.kind) {
    case RefusalKind::kInvalid:
      return problem({400, "invalid", refusal.reason, "correct what is named"});
    case RefusalKind::kUnknown:
      return problem({404, "unknown", refusal.reason, "look at the list again"});
    case RefusalKind::kForbidden:
      return problem({403, "declined", refusal.reason, "use another card"});
    case RefusalKind::kWrongState:
    case RefusalKind::kConflict:
      break;
  }
  return wrong_state(refusal.reason, "look at the present state, then decide again");
}

}  // namespace

std::vector<Change> changes_between(const Cart& before, const Cart& now) {
  std::vector<Change> changes;
  for (const Line& line : before.lines) {
    const auto at = std::ranges::find(now.lines, line.product_id, &Line::product_id);
    if (at == now.lines.end()) {
      changes.push_back({"vanished", line, std::nullopt});
    } else if (at->price != line.price) {
      changes.push_back({"price", line, *at});
    } else if (*at != line) {
      changes.push_back({"name", line, *at});
    }
  }
  return changes;
}

std::string json_of(const Listed<Store>& page) {
  Json list = Json::array();
  for (const Store& store : page.items) {
    list.push_back({{"id", store.id}, {"name", store.name}, {"location", store.location}});
  }
  return text_of({{"stores", std::move(list)}, {"next", next_of(page.next)}});
}

std::string json_of(const Listed<Product>& page) {
  Json list = Json::array();
  for (const Product& product : page.items) {
    list.push_back({{"id", product.id},
                    {"store_id", product.store_id},
                    {"name", product.name},
                    {"description", product.description},
                    {"sku", product.sku},
                    {"price", view(product.price)}});
  }
  return text_of({{"products", std::move(list)}, {"next", next_of(page.next)}});
}

std::string json_of(const Cart& cart) { return text_of(view(cart)); }

std::string json_of_new(const Cart& cart, const std::string& token) {
  return text_of({{"cart", view(cart)}, {"token", token}});
}

std::string json_of_review(const Cart& cart, const std::vector<Change>& changes) {
  return text_of({{"changed", !changes.empty()}, {"changes", view(changes)}, {"cart", view(cart)}});
}

std::string json_of(const Order& order, const std::optional<Ahead>& ahead) {
  return text_of(view(order, ahead));
}

std::string json_of_located(const Order& order, const std::optional<Ahead>& ahead,
                            const std::string& token) {
  return text_of({{"order", view(order, ahead)}, {"token", token}});
}

Order pending_order(const Cart& cart) {
  return {.id = cart.id, .status = "pending", .lines = cart.lines, .total = cart.total};
}

Response stale_total(const Cart& cart) {
  return problem({409, "stale-total",
                  fmt::format("the total is {}, another one was confirmed", to_text(cart.total)),
                  "show the total of `cart`, let it be confirmed, submit with a new key",
                  "\"cart\":" + json_of(cart)});
}

Response cart_changed(const Cart& cart, const std::vector<Change>& changes) {
  return problem(
      {409, "cart-changed",
       fmt::format("{} of the cart's products have another price or are not offered any "
                   "more",
                   changes.size()),
       "show `changes` and `cart`, let the total be confirmed, submit with a new key",
       fmt::format("\"changes\":{},\"cart\":{}", text_of(view(changes)), json_of(cart))});
}

Response wrong_state(std::string detail, std::string remedy) {
  return problem({409, "wrong-state", std::move(detail), std::move(remedy)});
}

Response refused(const Failure& failure) {
  if (const auto* refusal = std::get_if<Refusal>(&failure)) return refused(*refusal);
  return gateways::unavailable("a part of the mall does not answer");
}

}  // namespace mallbots::kiosk
