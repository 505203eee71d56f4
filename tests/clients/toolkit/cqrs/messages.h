// Messages of the tests: an event with a history, an internal one, commands and a reply.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "clients/toolkit/cqrs/codec.h"

namespace mallbots::test {

using toolkit::field;

struct Line {
  std::string sku;
  std::int64_t count = 0;
  static constexpr auto fields() {
    return std::tuple{field("sku", &Line::sku), field("count", &Line::count)};
  }
  friend bool operator==(const Line&, const Line&) = default;
};

struct OrderPlacedV0 {
  static constexpr auto kMessage = toolkit::event("OrderPlaced", 0);
  std::string id;
  std::int64_t euros = 0;
  static constexpr auto fields() {
    return std::tuple{field("id", &OrderPlacedV0::id), field("euros", &OrderPlacedV0::euros)};
  }
};

struct OrderPlacedV1 {
  static constexpr auto kMessage = toolkit::event("OrderPlaced", 1);
  std::string order_id;
  std::string total;
  static constexpr auto fields() {
    return std::tuple{field("order_id", &OrderPlacedV1::order_id),
                      field("total", &OrderPlacedV1::total)};
  }
  static OrderPlacedV1 upcast(OrderPlacedV0 before) {
    return {.order_id = before.id, .total = std::to_string(before.euros) + ".00"};
  }
};

struct OrderPlaced {
  static constexpr auto kMessage = toolkit::event("OrderPlaced", 2);
  std::string order_id;
  std::string total;
  std::string currency = "USD";
  std::vector<Line> lines;
  std::optional<std::string> note;
  std::map<std::string, bool> flags;
  static constexpr auto fields() {
    return std::tuple{
        field("order_id", &OrderPlaced::order_id), field("total", &OrderPlaced::total),
        field("currency", &OrderPlaced::currency), field("lines", &OrderPlaced::lines),
        field("note", &OrderPlaced::note),         field("flags", &OrderPlaced::flags)};
  }
  [[nodiscard]] std::string partition_key() const { return order_id; }
  static OrderPlaced upcast(OrderPlacedV1 before) {
    return {.order_id = before.order_id, .total = before.total};
  }
  friend bool operator==(const OrderPlaced&, const OrderPlaced&) = default;
};

struct StockCounted {
  static constexpr auto kMessage = toolkit::internal_event("StockCounted", 1);
  std::string sku;
  static constexpr auto fields() { return std::tuple{field("sku", &StockCounted::sku)}; }
};

struct ShipOrder {
  static constexpr auto kMessage = toolkit::command("ShipOrder", 1);
  std::string order_id;
  static constexpr auto fields() { return std::tuple{field("order_id", &ShipOrder::order_id)}; }
};

struct Shipped {
  static constexpr auto kMessage = toolkit::reply("Shipped", 1);
  std::string parcel;
  static constexpr auto fields() { return std::tuple{field("parcel", &Shipped::parcel)}; }
};

}  // namespace mallbots::test
