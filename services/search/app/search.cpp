#include "services/search/app/search.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "services/runtime/page.h"
#include "services/runtime/text.h"

namespace mallbots::search {
namespace {

using toolkit::Row;

constexpr const char* kOrderColumns =
    "select o.id, o.customer_id, ifnull(c.name, ''), o.status, o.total, o.currency, o.created_ms,"
    " o.updated_ms, iif(o.shopping_id = '', ifnull((select id from lists l where l.order_id = o.id"
    "  order by created_ms desc limit 1), ''), o.shopping_id),"
    " ifnull((select bot_id from lists l where l.order_id = o.id"
    "  order by created_ms desc limit 1), ''), ifnull(i.state, ''), o.reason"
    " from orders o left join customer_names c on c.id = o.customer_id"
    " left join order_invoices i on i.order_id = o.id where o.created_ms > 0 ";

void set_money(runtimepb::Money& money, std::int64_t minor, std::string_view currency) {
  money.set_minor(minor);
  money.set_currency(std::string(currency));
}

searchpb::Order order_from(const Row& row) {
  searchpb::Order order;
  order.set_id(std::string(row.text(0)));
  order.set_customer_id(std::string(row.text(1)));
  order.set_customer_name(std::string(row.text(2)));
  order.set_status(std::string(row.text(3)));
  set_money(*order.mutable_total(), row.integer(4), row.text(5));
  order.set_created_ms(row.integer(6));
  order.set_updated_ms(row.integer(7));
  order.set_shopping_id(std::string(row.text(8)));
  order.set_bot_id(std::string(row.text(9)));
  order.set_invoice_state(std::string(row.text(10)));
  order.set_reason(std::string(row.text(11)));
  return order;
}

searchpb::List list_from(const Row& row) {
  searchpb::List list;
  list.set_id(std::string(row.text(0)));
  list.set_order_id(std::string(row.text(1)));
  list.set_status(std::string(row.text(2)));
  list.set_bot_id(std::string(row.text(3)));
  list.set_created_ms(row.integer(4));
  list.set_updated_ms(row.integer(5));
  return list;
}

searchpb::Bot bot_from(const Row& row) {
  searchpb::Bot bot;
  bot.set_id(std::string(row.text(0)));
  bot.set_name(std::string(row.text(1)));
  bot.set_status(std::string(row.text(2)));
  bot.set_list_id(std::string(row.text(3)));
  bot.set_updated_ms(row.integer(4));
  return bot;
}

/// Values of a filter as one value of a statement: a JSON array.
Decision<std::string> wanted_of(const google::protobuf::RepeatedPtrField<std::string>& values) {
  if (values.size() > kMaxWanted) {
    return refuse(RefusalKind::kInvalid,
                  fmt::format("a filter of {} values: {} are allowed", values.size(), kMaxWanted));
  }
  nlohmann::json all = nlohmann::json::array();
  for (const std::string& value : values) {
    auto checked = checked_text("a value to search for", value);
    if (!checked) return std::unexpected(std::move(checked).error());
    all.push_back(*std::move(checked));
  }
  return all.dump();
}

Decision<void> check_filter(std::string_view text) {
  if (text.size() <= kMaxNameBytes) return {};
  return refuse(RefusalKind::kInvalid, "what to search for is too long");
}

/// Behind which row a page begins that goes from the youngest to the oldest.
struct Place {
  std::int64_t created_ms = INT64_MAX;
  std::string id;
};

Decision<Place> place_of(std::string_view cursor) {
  auto parts = read_cursor(cursor, 2);
  if (!parts) return std::unexpected(std::move(parts).error());
  if (cursor.empty()) return Place{};
  Place place{0, parts->at(1)};
  const std::string& time = parts->at(0);
  const auto read = std::from_chars(time.data(), time.data() + time.size(), place.created_ms);
  if (read.ec == std::errc{} && read.ptr == time.data() + time.size()) return place;
  return refuse(RefusalKind::kInvalid, "the cursor is none that this list has given");
}

template <class Item>
std::string cursor_behind(const Item& item) {
  return make_cursor({std::to_string(item.created_ms()), item.id()});
}

}  // namespace

Outcome<searchpb::SearchOrdersResponse> Search::orders(
    const searchpb::SearchOrdersRequest& wanted) const {
  MALLBOTS_OUTCOME(limit, page_size(wanted.limit()));
  MALLBOTS_OUTCOME(behind, place_of(wanted.cursor()));
  MALLBOTS_OUTCOME(stores, wanted_of(wanted.store_ids()));
  MALLBOTS_OUTCOME(products, wanted_of(wanted.product_ids()));
  MALLBOTS_OUTCOME(statuses, wanted_of(wanted.statuses()));
  MALLBOTS_OUTCOME(is_customer, check_filter(wanted.customer_id()));
  MALLBOTS_OUTCOME(is_start, check_filter(wanted.id_starts_with()));
  MALLBOTS_OUTCOME(
      rows, database_->read(
                std::string(kOrderColumns) +
                    "and (?1 = '' or o.customer_id = ?1) and o.created_ms >= ?2"
                    " and (?3 = 0 or o.created_ms < ?3)"
                    " and (?4 = '[]' or exists (select 1 from order_lines l where l.order_id = o.id"
                    "  and l.store_id in (select value from json_each(?4))))"
                    " and (?5 = '[]' or exists (select 1 from order_lines l where l.order_id = o.id"
                    "  and l.product_id in (select value from json_each(?5))))"
                    " and o.total >= ?6 and (?7 = 0 or o.total <= ?7)"
                    " and (?8 = '[]' or o.status in (select value from json_each(?8)))"
                    " and substr(o.id, 1, length(?9)) = ?9 and (o.created_ms, o.id) < (?10, ?11)"
                    " order by o.created_ms desc, o.id desc limit ?12",
                {wanted.customer_id(), wanted.after_ms(), wanted.before_ms(), *stores, *products,
                 wanted.min_total_minor(), wanted.max_total_minor(), *statuses,
                 wanted.id_starts_with(), behind->created_ms, behind->id, *limit + 1}));
  searchpb::SearchOrdersResponse found;
  for (const Row& row : *rows) {
    if (found.orders_size() == *limit) {
      found.set_next(cursor_behind(*found.orders().rbegin()));
      break;
    }
    *found.add_orders() = order_from(row);
    auto& order = *found.mutable_orders()->rbegin();
    if (auto added = add_lines(order); !added) return std::unexpected(std::move(added).error());
  }
  return found;
}

Outcome<searchpb::Order> Search::order(const std::string& id) const {
  MALLBOTS_OUTCOME(rows, database_->read(std::string(kOrderColumns) + "and o.id = ?", {id}));
  if (rows->empty()) {
    return std::unexpected(Refusal{RefusalKind::kUnknown, "there is no such order"});
  }
  searchpb::Order order = order_from(rows->front());
  if (auto added = add_lines(order); !added) return std::unexpected(std::move(added).error());
  if (auto added = add_moments(order); !added) return std::unexpected(std::move(added).error());
  return order;
}

Outcome<void> Search::add_lines(searchpb::Order& order) const {
  MALLBOTS_OUTCOME(rows,
                   database_->read("select product_id, product_name, store_id, store_name, price,"
                                   " currency, quantity from order_lines where order_id = ?"
                                   " order by place",
                                   {order.id()}));
  for (const Row& row : *rows) {
    searchpb::Line& line = *order.add_lines();
    line.set_product_id(std::string(row.text(0)));
    line.set_product_name(std::string(row.text(1)));
    line.set_store_id(std::string(row.text(2)));
    line.set_store_name(std::string(row.text(3)));
    set_money(*line.mutable_price(), row.integer(4), row.text(5));
    line.set_quantity(static_cast<std::int32_t>(row.integer(6)));
  }
  return {};
}

Outcome<void> Search::add_moments(searchpb::Order& order) const {
  MALLBOTS_OUTCOME(
      rows, database_->read("select what, at_ms, detail from moments where subject = 'o:' || ?1"
                            " or subject in (select 'l:' || id from lists where order_id = ?1)"
                            " order by at_ms, number",
                            {order.id()}));
  for (const Row& row : *rows) {
    searchpb::Moment& moment = *order.add_moments();
    moment.set_what(std::string(row.text(0)));
    moment.set_at_ms(row.integer(1));
    moment.set_detail(std::string(row.text(2)));
  }
  return {};
}

Outcome<searchpb::CountOrdersResponse> Search::count_orders() const {
  MALLBOTS_OUTCOME(rows, database_->read("select status, count(*) from orders"
                                         " where created_ms > 0 group by status"));
  searchpb::CountOrdersResponse counts;
  for (const Row& row : *rows) {
    (*counts.mutable_by_status())[std::string(row.text(0))] = row.integer(1);
  }
  return counts;
}

Outcome<searchpb::SearchListsResponse> Search::lists(
    const searchpb::SearchListsRequest& wanted) const {
  MALLBOTS_OUTCOME(limit, page_size(wanted.limit()));
  MALLBOTS_OUTCOME(behind, place_of(wanted.cursor()));
  MALLBOTS_OUTCOME(statuses, wanted_of(wanted.statuses()));
  MALLBOTS_OUTCOME(is_bot, check_filter(wanted.bot_id()));
  MALLBOTS_OUTCOME(is_order, check_filter(wanted.order_id()));
  MALLBOTS_OUTCOME(
      rows, database_->read("select id, order_id, status, bot_id, created_ms, updated_ms from lists"
                            " where (?1 = '[]' or status in (select value from json_each(?1)))"
                            " and (?2 = '' or bot_id = ?2) and (?3 = '' or order_id = ?3)"
                            " and (created_ms, id) < (?4, ?5)"
                            " order by created_ms desc, id desc limit ?6",
                            {*statuses, wanted.bot_id(), wanted.order_id(), behind->created_ms,
                             behind->id, *limit + 1}));
  searchpb::SearchListsResponse found;
  for (const Row& row : *rows) {
    if (found.lists_size() == *limit) {
      found.set_next(cursor_behind(*found.lists().rbegin()));
      break;
    }
    *found.add_lists() = list_from(row);
  }
  return found;
}

Outcome<searchpb::SearchBotsResponse> Search::bots(
    const searchpb::SearchBotsRequest& wanted) const {
  MALLBOTS_OUTCOME(limit, page_size(wanted.limit()));
  MALLBOTS_OUTCOME(behind, read_cursor(wanted.cursor(), 1));
  MALLBOTS_OUTCOME(statuses, wanted_of(wanted.statuses()));
  MALLBOTS_OUTCOME(
      rows, database_->read("select id, name, status, list_id, updated_ms from bots"
                            " where (?1 = '[]' or status in (select value from json_each(?1)))"
                            " and id > ?2 order by id limit ?3",
                            {*statuses, behind->front(), *limit + 1}));
  searchpb::SearchBotsResponse found;
  for (const Row& row : *rows) {
    if (found.bots_size() == *limit) {
      found.set_next(make_cursor({found.bots().rbegin()->id()}));
      break;
    }
    *found.add_bots() = bot_from(row);
  }
  return found;
}

}  // namespace mallbots::search
