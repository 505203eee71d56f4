#include "services/gateways/admin/board_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace mallbots::gateways::board_rows {
namespace {

using nlohmann::json;

json json_of(const runtimepb::Money& money) {
  return {{"minor", money.minor()}, {"currency", money.currency()}};
}

}  // namespace

std::string text_of(const json& row) {
  return row.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string text_of(const runtimepb::Money& money) {
  const std::int64_t minor = money.minor();
  const std::int64_t size = minor < 0 ? -minor : minor;
  return fmt::format("{}{}.{:02d} {}", minor < 0 ? "-" : "", size / 100, size % 100,
                     money.currency());
}

json json_of(const std::vector<Moment>& moments) {
  std::vector<const Moment*> sorted;
  for (const Moment& moment : moments) sorted.push_back(&moment);
  std::ranges::stable_sort(sorted, {}, &Moment::at_ms);
  json all = json::array();
  for (const Moment* moment : sorted) {
    all.push_back({{"what", moment->what}, {"at_ms", moment->at_ms}, {"detail", moment->detail}});
  }
  return all;
}

std::string text_of(const Board::Wish& wish, const Piece& piece, std::string_view run,
                    const json& moments) {
  std::string text =
      fmt::format(R"({{"op":"{}","topic":{},"run":"{}","from":{},"to":{},"more":{},"rows":[)",
                  piece.from == 0 ? "snapshot" : "delta", text_of(json(wish.name)), run, piece.from,
                  piece.to, piece.more);
  std::string_view separator;
  for (const std::string_view row : piece.rows) {
    text.append(separator).append(row);
    separator = ",";
    if (!wish.with_moments) continue;
    text.pop_back();
    text.append(R"(,"moments":)").append(text_of(moments)).append("}");
  }
  text.append(R"(],"removed":[)");
  separator = {};
  for (const std::string_view key : piece.removed) {
    text.append(separator).append(text_of(json(key)));
    separator = ",";
  }
  text.append("]}");
  return text;
}

std::string row_of(const Order& order, std::string_view customer_name) {
  json row = {{"id", order.id},
              {"status", order.status},
              {"customer_id", order.customer_id},
              {"customer_name", customer_name},
              {"total", json_of(order.total)},
              {"line_count", order.lines},
              {"store_ids", order.stores},
              {"shopping_id", order.shopping_id},
              {"bot_id", order.bot_id},
              {"invoice_state", order.invoice_state},
              {"paid", order.paid},
              {"reason", order.reason},
              {"created_ms", order.created_ms},
              {"updated_ms", order.updated_ms}};
  return text_of(row);
}

std::string row_of(const std::string& id, const List& list, UnixMillis at_ms) {
  json row = {{"id", id},
              {"order_id", list.order_id},
              {"status", list.status},
              {"phase", list.phase},
              {"bot_id", list.bot_id},
              {"store_id", list.store_id},
              {"stops_done", list.stops_done},
              {"picked", list.picked},
              {"unavailable", list.unavailable},
              {"updated_ms", at_ms}};
  return text_of(row);
}

std::string row_of(const std::string& id, const Bot& bot, const std::string& order_id) {
  json row = {{"id", id},
              {"name", bot.name},
              {"status", bot.status},
              {"list_id", bot.list_id},
              {"order_id", order_id}};
  if (bot.position) {
    row["x"] = bot.position->x;
    row["y"] = bot.position->y;
    row["battery"] = bot.position->battery_percent;
    row["at_ms"] = bot.position_ms;
  }
  return text_of(row);
}

std::string row_of(const std::string& id, const Invoice& invoice, UnixMillis at_ms) {
  const std::string currency = invoice.amount.currency();
  const auto money = [&](std::int64_t minor) {
    return json{{"minor", minor}, {"currency", currency}};
  };
  json row = {{"id", id},
              {"state", invoice.state},
              {"first_amount", json_of(invoice.first_amount)},
              {"amount", json_of(invoice.amount)},
              {"paid", money(invoice.paid_minor - invoice.refunded_minor)},
              {"refunded", money(invoice.refunded_minor)},
              {"paid_by", invoice.paid_by},
              {"updated_ms", at_ms}};
  return text_of(row);
}

std::string row_of(const std::string& id, const Store& store) {
  json row = {{"id", id},
              {"name", store.name},
              {"location", store.location},
              {"participation", store.participation}};
  return text_of(row);
}

}  // namespace mallbots::gateways::board_rows
