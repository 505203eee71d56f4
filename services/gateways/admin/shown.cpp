#include "services/gateways/admin/shown.h"

#include <algorithm>

namespace mallbots::admin {

using nlohmann::json;

json shown(const runtimepb::Money& money) {
  return {{"minor", money.minor()}, {"currency", money.currency()}};
}

json shown(const storespb::Store& store) {
  return {{"id", store.id()},
          {"name", store.name()},
          {"location", store.location()},
          {"participation", store.participation()}};
}

json shown(const storespb::Product& product) {
  return {{"id", product.id()},     {"store_id", product.store_id()},
          {"name", product.name()}, {"description", product.description()},
          {"sku", product.sku()},   {"price", shown(product.price())}};
}

json shown(const customerspb::Customer& customer) {
  return {{"id", customer.id()},
          {"name", customer.name()},
          {"sms_number", customer.sms_number()},
          {"enabled", customer.enabled()}};
}

json shown(const searchpb::Order& order) {
  json stores = json::array();
  for (const auto& line : order.lines()) {
    const bool is_there = std::find(stores.begin(), stores.end(), line.store_id()) != stores.end();
    if (!is_there) stores.push_back(line.store_id());
  }
  return {{"id", order.id()},
          {"status", order.status()},
          {"customer_id", order.customer_id()},
          {"customer_name", order.customer_name()},
          {"total", shown(order.total())},
          {"line_count", order.lines_size()},
          {"store_ids", stores},
          {"shopping_id", order.shopping_id()},
          {"bot_id", order.bot_id()},
          {"invoice_state", order.invoice_state()},
          {"paid", order.invoice_state() == "paid"},
          {"reason", order.reason()},
          {"created_ms", order.created_ms()},
          {"updated_ms", order.updated_ms()}};
}

json shown(const orderspb::Order& order) {
  json lines = json::array();
  for (const auto& line : order.lines()) {
    lines.push_back({{"product_id", line.product_id()},
                     {"product_name", line.product_name()},
                     {"store_id", line.store_id()},
                     {"store_name", line.store_name()},
                     {"price", shown(line.price())},
                     {"quantity", line.quantity()}});
  }
  return {{"id", order.id()},
          {"status", order.status()},
          {"customer_id", order.customer_id()},
          {"lines", lines},
          {"total", shown(order.total())},
          {"paid", order.paid()},
          {"reason", order.reason()},
          {"shopping_id", order.shopping_id()}};
}

json shown(const depotpb::ShoppingList& list) {
  json stops = json::array();
  for (const auto& stop : list.stops()) {
    json items = json::array();
    for (const auto& item : stop.items()) {
      items.push_back({{"product_id", item.product_id()},
                       {"product_name", item.product_name()},
                       {"quantity", item.quantity()},
                       {"picked", item.picked()}});
    }
    stops.push_back({{"store_id", stop.store_id()},
                     {"store_name", stop.store_name()},
                     {"store_location", stop.store_location()},
                     {"state", stop.state()},
                     {"items", items}});
  }
  json counted = json::array();
  for (const auto& count : list.counted()) {
    counted.push_back({{"product_id", count.product_id()}, {"quantity", count.quantity()}});
  }
  return {{"id", list.id()},       {"order_id", list.order_id()}, {"status", list.status()},
          {"phase", list.phase()}, {"bot_id", list.bot_id()},     {"stops", stops},
          {"counted", counted}};
}

json shown(const depotpb::Bot& bot) {
  return {
      {"id", bot.id()}, {"name", bot.name()}, {"status", bot.status()}, {"list_id", bot.list_id()}};
}

json shown(const paymentspb::Invoice& invoice) {
  runtimepb::Money adjustment = invoice.amount();
  adjustment.set_minor(invoice.amount().minor() - invoice.first_amount().minor());
  return {{"id", invoice.id()},
          {"state", invoice.state()},
          {"first_amount", shown(invoice.first_amount())},
          {"amount", shown(invoice.amount())},
          {"adjustment", shown(adjustment)},
          {"paid", shown(invoice.paid())},
          {"paid_by", invoice.paid_by()}};
}

json shown(const toolkit::RefusedMessage& message) {
  return {{"row", message.row},
          {"topic", message.topic},
          {"key", message.key},
          {"reason", message.reason},
          {"added_ms", message.added_ms}};
}

json shown(const OutboxBacklog& outbox) {
  return {{"service", outbox.service},
          {"waiting", outbox.waiting},
          {"oldest_ms", outbox.oldest_ms},
          {"refused", outbox.refused},
          {"newest_refused", each_shown(outbox.newest_refused)},
          {"is_current", outbox.is_current}};
}

}  // namespace mallbots::admin
