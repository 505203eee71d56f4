#include "services/simulators/staff/staff.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "shm/base/hash.h"

namespace mallbots::staff {

using nlohmann::json;
using simulators::Answer;

bool Staff::falls(std::string_view what, std::string_view on, std::uint32_t per_mille) const {
  const std::string text = fmt::format("{} {} {}", options_->seed, what, on);
  return xxh3(text.data(), text.size()) % 1'000 < per_mille;
}

template <class Visit>
Result<void> Staff::each(const std::string& path, const std::string& rows, const Visit& visit) {
  for (std::string cursor;;) {
    auto answer = session_.see(path + "&limit=200" + (cursor.empty() ? "" : "&cursor=" + cursor));
    if (!answer) return std::unexpected(answer.error());
    const json page = json::parse(answer->body, nullptr, false);
    if (!answer->is_good() || !page.is_object()) {
      return std::unexpected(
          Error{ErrorCode::kRefused,
                fmt::format("{}: {} {}", path, answer->status, answer->body.substr(0, 300))});
    }
    for (const json& row : page.value(rows, json::array())) MALLBOTS_TRY(visit(row));
    const auto next = page.find("next");
    if (next == page.end() || !next->is_string()) return {};
    cursor = next->get<std::string>();
  }
}

Result<bool> Staff::command(const std::string& method, const std::string& path,
                            const std::string& body) {
  const std::string key = fmt::format("staff-{}-{}", options_->shift, ++commands_);
  auto answer = session_.command(method, path, key, body);
  if (!answer) return std::unexpected(answer.error());
  has_worked_ = has_worked_ || answer->is_good();
  if (!answer->is_good()) ++progress_.refused;
  return answer->is_good() || answer->body.find("done-already") != std::string::npos;
}

Result<void> Staff::count(const json& list) {
  const std::string id = list.value("id", "");
  if (lists_.contains(id)) return {};
  std::map<std::string, std::int64_t> picked;
  for (const json& stop : list.value("stops", json::array()))
    for (const json& item : stop.value("items", json::array()))
      picked[item.value("product_id", "")] += item.value("picked", std::int64_t{0});
  const bool is_one_short =
      falls("correct", list.value("order_id", ""), options_->correct_per_mille);
  if (is_one_short && !picked.empty() && picked.begin()->second > 0) {
    --picked.begin()->second;
    ++progress_.corrected;
  }
  json counted = json::array();
  for (const auto& [product, quantity] : picked)
    counted.push_back({{"product_id", product}, {"quantity", quantity}});
  const auto done = command("POST", "/admin/v1/depot/lists/" + id + "/inventory",
                            json{{"counted", counted}}.dump());
  if (!done) return std::unexpected(done.error());
  if (!*done) return {};
  lists_.insert(id);
  ++progress_.counted;
  return {};
}

Result<bool> Staff::pay(const std::string& order_id) {
  const bool in_cash = falls("cash", order_id, options_->cash_per_mille);
  const std::string path = "/admin/v1/pickup/orders/" + order_id + "/payment";
  auto paid = command("POST", path, json{{"by", in_cash ? "cash" : "card"}}.dump());
  if (!paid || !*paid) return paid;
  ++progress_.paid;
  return true;
}

Result<void> Staff::before_ready(const json& order) {
  const std::string id = order.value("id", "");
  Known& known = orders_[id];
  if (known.is_done) return {};
  if (falls("cancel", id, options_->cancel_per_mille)) {
    const auto done = command("POST", "/admin/v1/orders/" + id + "/cancellation",
                              json{{"reason", "the customer has called the depot"}}.dump());
    if (!done) return std::unexpected(done.error());
    known.is_done = *done;
    progress_.cancelled += *done ? 1 : 0;
    return {};
  }
  if (known.is_paid || !falls("early", id, options_->early_per_mille)) return {};
  const auto paid = pay(id);
  if (!paid) return std::unexpected(paid.error());
  known.is_paid = *paid;
  return {};
}

Result<void> Staff::pick_up(const json& order) {
  const std::string id = order.value("id", "");
  Known& known = orders_[id];
  if (known.is_done) return {};
  if (!known.is_paid && !order.value("paid", false)) {
    const auto paid = pay(id);
    if (!paid) return std::unexpected(paid.error());
    known.is_paid = *paid;
    return {};  // released in a later round, when the order knows of the payment
  }
  const auto done = command("POST", "/admin/v1/pickup/orders/" + id + "/release");
  if (!done) return std::unexpected(done.error());
  known.is_done = *done;
  progress_.released += *done ? 1 : 0;
  return after(order);
}

Result<void> Staff::after(const json& order) {
  const std::string customer = order.value("customer_id", "");
  const std::string name = order.value("customer_name", "");
  if (!falls("disable", name, options_->disable_per_mille) || customers_.contains(customer))
    return {};
  const auto done = command("PUT", "/admin/v1/customers/" + customer + "/enabled",
                            json{{"enabled", false}}.dump());
  if (!done) return std::unexpected(done.error());
  if (*done && customers_.insert(customer).second) ++progress_.disabled;
  return {};
}

Result<bool> Staff::round() {
  has_worked_ = false;
  MALLBOTS_TRY(each("/admin/v1/depot/lists?status=active&phase=at-depot", "lists",
                    [this](const json& list) { return count(list); }));
  MALLBOTS_TRY(each("/admin/v1/orders?status=ready", "orders",
                    [this](const json& order) { return pick_up(order); }));
  for (const char* status : {"approved", "in-progress"}) {
    MALLBOTS_TRY(each(fmt::format("/admin/v1/orders?status={}", status), "orders",
                      [this](const json& order) { return before_ready(order); }));
  }
  return has_worked_;
}

}  // namespace mallbots::staff
