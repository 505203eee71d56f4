#include "services/simulators/shoppers/shop.h"

#include <fmt/format.h>

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "services/simulators/bots/floor_plan.h"

namespace mallbots::shoppers {
namespace {

using simulators::Desk;

std::string store_id(std::size_t index) { return fmt::format("store-{}", index + 1); }

Result<void> done(const Result<bool>& is_done, const Desk& desk, std::string_view what) {
  if (!is_done) return std::unexpected(is_done.error());
  if (*is_done) return {};
  return std::unexpected(Error{ErrorCode::kRefused, fmt::format("{}: {}", what, desk.why_not())});
}

Result<void> open_stores(Desk& desk, std::istream& plan, std::size_t stores) {
  const auto floor = bots::FloorPlan::read(plan, "the floor plan");
  if (!floor) return std::unexpected(floor.error());
  const auto cells = floor->places(stores);
  for (std::size_t i = 0; i < stores; ++i) {
    const bots::Cell cell = cells[i % cells.size()];
    const std::string at = fmt::format("{},{}", cell % floor->width(), cell / floor->width());
    const std::string id = store_id(i);
    MALLBOTS_TRY(done(desk.open_store(id, fmt::format("Store {}", i + 1), at), desk, id));
  }
  return {};
}

Result<void> add_product(Desk& desk, const RetailLine& line, std::size_t stores) {
  return done(desk.add_product({.id = product_id_of(line),
                                .store_id = store_id(store_of(line.code, stores)),
                                .name = line.name,
                                .sku = line.sku(),
                                .price = line.price}),
              desk, line.sku());
}

/// Products, each by the first name that the file gives it.
std::vector<const RetailLine*> products_of(const Retail& retail) {
  std::map<std::string, const RetailLine*> by_sku;
  for (const RetailOrder& order : retail.orders)
    for (const RetailLine& line : order.lines) by_sku.emplace(line.sku(), &line);
  std::vector<const RetailLine*> products;
  for (const auto& [sku, line] : by_sku) products.push_back(line);
  return products;
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

Result<void> set_up_shop(const Retail& retail, std::istream& plan, const ShopOptions& options) {
  auto desk = Desk::stand_at(options.desk);
  if (!desk) return std::unexpected(desk.error());
  MALLBOTS_TRY(open_stores(**desk, plan, options.stores));
  const auto products = products_of(retail);
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<Error> failure;
  const auto stop = [&](const Error& error) {
    next = products.size();
    const std::lock_guard lock(mutex);
    failure = error;
  };
  std::vector<std::jthread> hands;
  for (std::size_t i = 0; i < options.hands; ++i) {
    hands.emplace_back([&] {
      auto own = Desk::stand_at(options.desk);
      if (!own) return stop(own.error());
      for (std::size_t at = next++; at < products.size(); at = next++) {
        const auto added = add_product(**own, *products[at], options.stores);
        if (!added) return stop(added.error());
      }
    });
  }
  hands.clear();
  if (failure) return std::unexpected(*failure);
  return {};
}

}  // namespace mallbots::shoppers
