#include "services/simulators/shoppers/shop.h"

#include <fmt/format.h>

#include <atomic>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <thread>

#include "services/simulators/bots/floor_plan.h"

namespace mallbots::shoppers {
namespace {

using nlohmann::json;
using simulators::Answer;
using simulators::StaffSession;

Result<void> done(const Result<Answer>& answer, std::string_view what) {
  if (!answer) return std::unexpected(answer.error());
  if (answer->is_good()) return {};
  return std::unexpected(Error{
      ErrorCode::kRefused,
      fmt::format("{} was refused: {} {}", what, answer->status, answer->body.substr(0, 300))});
}

/// "x,y" of each store, spread over the mall's floor.
Result<std::vector<std::string>> locations(StaffSession& session, std::size_t stores) {
  const auto answer = session.see("/admin/v1/plan");
  MALLBOTS_TRY(done(answer, "the floor plan"));
  const json plan = json::parse(answer->body, nullptr, false);
  std::string map = fmt::format("type octile\nheight {}\nwidth {}\nmap\n", plan.value("height", 0),
                                plan.value("width", 0));
  for (const json& row : plan.value("rows", json::array())) map += row.get<std::string>() + "\n";
  std::istringstream source(map);
  const auto floor = bots::FloorPlan::read(source, "the mall's plan");
  if (!floor) return std::unexpected(floor.error());
  const auto cells = floor->places(stores);
  std::vector<std::string> places;
  for (std::size_t i = 0; i < stores; ++i) {
    const bots::Cell cell = cells[i % cells.size()];
    places.push_back(fmt::format("{},{}", cell % floor->width(), cell / floor->width()));
  }
  return places;
}

std::string store_id(std::size_t index) { return fmt::format("store-{}", index + 1); }

Result<void> open_stores(StaffSession& session, std::size_t stores) {
  const auto places = locations(session, stores);
  if (!places) return std::unexpected(places.error());
  for (std::size_t i = 0; i < stores; ++i) {
    const std::string id = store_id(i);
    const json store = {
        {"id", id}, {"name", fmt::format("Store {}", i + 1)}, {"location", (*places)[i]}};
    const std::string path = "/admin/v1/stores/" + id;
    MALLBOTS_TRY(
        done(session.command("POST", "/admin/v1/stores", "shop-set-up-" + id, store.dump()), id));
    const auto is_so = session.see(path);
    MALLBOTS_TRY(done(is_so, id));
    if (json::parse(is_so->body, nullptr, false).value("participation", "") == "participating")
      continue;
    MALLBOTS_TRY(
        done(session.command("POST", path + "/participation-request", "shop-set-up-request-" + id),
             id + "'s request to take part"));
    MALLBOTS_TRY(done(session.command("POST", path + "/participation", "shop-set-up-approve-" + id),
                      id + "'s participation"));
  }
  return {};
}

Result<void> add_product(StaffSession& session, const RetailLine& line, std::size_t stores) {
  const std::string id = product_id_of(line);
  const json product = {{"id", id},
                        {"name", line.name},
                        {"description", ""},
                        {"sku", line.sku()},
                        {"price", {{"minor", line.price.minor}, {"currency", "GBP"}}}};
  const std::string store = store_id(store_of(line.code, stores));
  return done(session.command("POST", "/admin/v1/stores/" + store + "/products",
                              "shop-set-up-" + id, product.dump()),
              line.sku());
}

}  // namespace

std::string product_id_of(const RetailLine& line) {
  std::string id = fmt::format("{}-{}", line.code, line.price.minor);
  for (char& c : id) {
    const bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '-';
    if (!is_plain) c = '_';
  }
  return id;
}

Result<void> set_up_shop(const Retail& retail, const ShopOptions& options) {
  StaffSession session(options.admin, options.account);
  MALLBOTS_TRY(open_stores(session, options.stores));
  std::map<std::string, const RetailLine*> by_sku;  // the first name that the file gives it
  for (const RetailOrder& order : retail.orders)
    for (const RetailLine& line : order.lines) by_sku.emplace(line.sku(), &line);
  std::vector<const RetailLine*> products;
  for (const auto& [sku, line] : by_sku) products.push_back(line);

  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<Error> failure;
  std::vector<std::jthread> hands;
  for (std::size_t i = 0; i < options.hands; ++i) {
    hands.emplace_back([&] {
      StaffSession own(options.admin, options.account);
      for (std::size_t at = next++; at < products.size(); at = next++) {
        const auto added = add_product(own, *products[at], options.stores);
        if (added) continue;
        next = products.size();
        const std::lock_guard lock(mutex);
        failure = added.error();
      }
    });
  }
  hands.clear();
  if (failure) return std::unexpected(*failure);
  return {};
}

}  // namespace mallbots::shoppers
