#include "services/simulators/desk.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace mallbots::simulators {

using nlohmann::json;

Result<std::unique_ptr<Desk>> Desk::stand_at(const DeskPlace& place) {
  auto address = HttpAddress::parse(place.admin);
  if (!address) return std::unexpected(address.error());
  StaffAccount account{.name = place.name, .password = {}};
  std::ifstream file(place.password_file);
  if (!std::getline(file, account.password)) {
    return std::unexpected(
        Error{ErrorCode::kBadArgument, fmt::format("no password in '{}'", place.password_file)});
  }
  return std::unique_ptr<Desk>(new Desk(*std::move(address), std::move(account)));
}

template <class Visit>
Result<void> Desk::each(const std::string& path, const std::string& rows, const Visit& visit) {
  for (std::string cursor;;) {
    auto answer = session_.see(path + (path.find('?') == std::string::npos ? "?" : "&") +
                               "limit=200" + (cursor.empty() ? "" : "&cursor=" + cursor));
    if (!answer) return std::unexpected(answer.error());
    const json page = json::parse(answer->body, nullptr, false);
    if (!answer->is_good() || !page.is_object()) {
      return std::unexpected(
          Error{ErrorCode::kRefused,
                fmt::format("{}: {} {}", path, answer->status, answer->body.substr(0, 300))});
    }
    for (const json& row : page.value(rows, json::array())) visit(row);
    const auto next = page.find("next");
    if (next == page.end() || !next->is_string()) return {};
    cursor = next->get<std::string>();
  }
}

/// A new key for each: what was refused is tried again, and the domain knows repetitions.
Result<bool> Desk::command(const std::string& method, const std::string& path,
                           const std::string& body) {
  const std::string key = fmt::format("desk-{:x}-{}", began_ns_, ++commands_);
  auto answer = session_.command(method, path, key, body);
  if (!answer) return std::unexpected(answer.error());
  const bool is_done = answer->is_good() || answer->body.find("done-already") != std::string::npos;
  if (!is_done) why_not_ = fmt::format("{} {}", answer->status, answer->body.substr(0, 300));
  return is_done;
}

Result<std::vector<ListAtDepot>> Desk::at_depot() {
  std::vector<ListAtDepot> found;
  MALLBOTS_TRY(each(
      "/admin/v1/depot/lists?status=active&phase=at-depot", "lists", [&found](const json& row) {
        ListAtDepot list{row.value("id", ""), row.value("order_id", ""), {}};
        for (const json& stop : row.value("stops", json::array()))
          for (const json& item : stop.value("items", json::array()))
            list.picked[item.value("product_id", "")] += item.value("picked", std::int64_t{0});
        found.push_back(std::move(list));
      }));
  return found;
}

Result<std::vector<OrderSeen>> Desk::orders(const std::string& status) {
  std::vector<OrderSeen> found;
  MALLBOTS_TRY(each("/admin/v1/orders?status=" + status, "orders", [&found](const json& row) {
    found.push_back({row.value("id", ""), row.value("customer_id", ""),
                     row.value("customer_name", ""), row.value("paid", false)});
  }));
  return found;
}

Result<bool> Desk::count(const ListAtDepot& list) {
  json counted = json::array();
  for (const auto& [product, quantity] : list.picked)
    counted.push_back({{"product_id", product}, {"quantity", quantity}});
  return command("POST", "/admin/v1/depot/lists/" + list.id + "/inventory",
                 json{{"counted", counted}}.dump());
}
Result<bool> Desk::pay(const std::string& order_id, bool in_cash) {
  return command("POST", "/admin/v1/pickup/orders/" + order_id + "/payment",
                 json{{"by", in_cash ? "cash" : "card"}}.dump());
}
Result<bool> Desk::release(const std::string& order_id) {
  return command("POST", "/admin/v1/pickup/orders/" + order_id + "/release", "");
}
Result<bool> Desk::cancel(const std::string& order_id, const std::string& reason) {
  return command("POST", "/admin/v1/orders/" + order_id + "/cancellation",
                 json{{"reason", reason}}.dump());
}
Result<bool> Desk::disable(const std::string& customer_id) {
  return command("PUT", "/admin/v1/customers/" + customer_id + "/enabled",
                 json{{"enabled", false}}.dump());
}

Result<bool> Desk::open_store(const std::string& id, const std::string& name,
                              const std::string& at) {
  const std::string path = "/admin/v1/stores/" + id;
  auto is_made = command("POST", "/admin/v1/stores",
                         json{{"id", id}, {"name", name}, {"location", at}}.dump());
  if (!is_made || !*is_made) return is_made;
  auto store = session_.see(path);
  if (!store) return std::unexpected(store.error());
  const json seen = json::parse(store->body, nullptr, false);
  if (seen.is_object() && seen.value("participation", "") == "participating") return true;
  auto is_asked = command("POST", path + "/participation-request", "");
  if (!is_asked || !*is_asked) return is_asked;
  return command("POST", path + "/participation", "");
}
Result<bool> Desk::add_product(const NewProduct& product) {
  const json money = {{"minor", product.price.minor}, {"currency", "GBP"}};
  return command(
      "POST", "/admin/v1/stores/" + product.store_id + "/products",
      json{{"id", product.id}, {"name", product.name}, {"sku", product.sku}, {"price", money}}
          .dump());
}

}  // namespace mallbots::simulators
