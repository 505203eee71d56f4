// Every call of the kiosk with what would be right for it, and a request as it goes over the wire:
// what the hostile tests spoil.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace mallbots::kiosk {

using nlohmann::json;

inline constexpr const char* kCard = "tok_visa_secret";
inline constexpr const char* kPhone = "+44 1234 567890";

/// A call as the router knows it, with a body that would be right.
struct Call {
  std::string method;
  std::string pattern;
  json body = nullptr;
  std::set<std::string> optional{};  ///< fields that may be left out
  bool has_token = false;
  bool has_key = false;
  bool has_card = false;  ///< only the order's own card will do
  bool is_list = false;
};

inline const json kTotal = {{"minor", 699}, {"currency", "GBP"}};
inline const json kSubmit = {
    {"phone", kPhone}, {"name", "Ann"}, {"card_token", kCard}, {"confirmed_total", kTotal}};
inline const std::string kCart = "/kiosk/v1/carts/{cart_id}";
inline const std::string kOrder = "/kiosk/v1/orders/{order_id}";

inline const std::vector<Call> kCalls = {
    {.method = "GET", .pattern = "/kiosk/v1/health"},
    {.method = "GET", .pattern = "/kiosk/v1/version"},
    {.method = "GET", .pattern = "/kiosk/v1/openapi.json"},
    {.method = "GET", .pattern = "/kiosk/v1/stores", .is_list = true},
    {.method = "GET", .pattern = "/kiosk/v1/stores/{store_id}/products", .is_list = true},
    {.method = "POST", .pattern = "/kiosk/v1/carts", .has_key = true},
    {.method = "GET", .pattern = kCart, .has_token = true},
    {.method = "DELETE", .pattern = kCart, .has_token = true},
    {.method = "GET", .pattern = kCart + "/items", .has_token = true},
    {.method = "PUT",
     .pattern = kCart + "/items/{product_id}",
     .body = {{"quantity", 3}},
     .has_token = true},
    {.method = "DELETE", .pattern = kCart + "/items/{product_id}", .has_token = true},
    {.method = "POST", .pattern = kCart + "/review", .has_token = true},
    {.method = "POST",
     .pattern = kCart + "/submit",
     .body = kSubmit,
     .has_token = true,
     .has_key = true},
    {.method = "GET", .pattern = kOrder, .has_token = true},
    {.method = "POST",
     .pattern = kOrder + "/locate",
     .body = {{"card_token", kCard}},
     .has_card = true},
    {.method = "POST",
     .pattern = kOrder + "/cancel",
     .body = {{"card_token", kCard}, {"reason", "no need"}},
     .optional = {"reason"},
     .has_card = true},
    {.method = "POST",
     .pattern = kOrder + "/pay",
     .body = {{"card_token", kCard}},
     .has_card = true},
};

/// A request, as it goes over the wire.
struct Wire {
  std::string method, target;
  std::string host = "Host: localhost\r\n";
  std::string headers{};
  std::string type{};
  std::string body{};
  bool says_length = true;
  std::string version = "HTTP/1.1";

  [[nodiscard]] std::string head() const {
    std::string text = method + " " + target + " " + version + "\r\n" + host + headers + type;
    const bool has_length = says_length && method != "GET";
    if (has_length) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return text + "\r\n";
  }
  [[nodiscard]] std::string bytes() const { return head() + body; }
};

}  // namespace mallbots::kiosk
