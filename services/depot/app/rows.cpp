#include "services/depot/app/rows.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "services/runtime/text.h"

namespace mallbots::depot {
namespace {

using nlohmann::json;
using toolkit::Row;

json to_json(const std::vector<Stop>& stops) {
  json all = json::array();
  for (const Stop& stop : stops) {
    json items = json::array();
    for (const WantedItem& item : stop.items) {
      items.push_back({{"product_id", item.product_id},
                       {"product_name", item.product_name},
                       {"quantity", item.quantity},
                       {"picked", item.picked}});
    }
    all.push_back({{"store_id", stop.store_id},
                   {"store_name", stop.store_name},
                   {"store_location", stop.store_location},
                   {"state", static_cast<int>(stop.state)},
                   {"items", std::move(items)}});
  }
  return all;
}

json to_json(const std::vector<ItemCount>& counts) {
  json all = json::array();
  for (const ItemCount& count : counts) all.push_back({count.product_id, count.quantity});
  return all;
}

std::vector<Stop> stops_from(const json& all) {
  std::vector<Stop> stops;
  for (const json& one : all) {
    Stop stop{one.at("store_id"),
              one.at("store_name"),
              one.at("store_location"),
              static_cast<Stop::State>(one.at("state").get<int>()),
              {}};
    for (const json& item : one.at("items")) {
      stop.items.push_back(
          {item.at("product_id"), item.at("product_name"), item.at("quantity"), item.at("picked")});
    }
    stops.push_back(std::move(stop));
  }
  return stops;
}

constexpr const char* kListColumns =
    "select id, order_id, status, phase, bot_id, stops, counted from shopping_lists ";

Outcome<ShoppingList> list_from(const Row& row) {
  ShoppingList list;
  list.id = row.text(0);
  list.order_id = row.text(1);
  list.status = static_cast<ListStatus>(row.integer(2));
  list.phase = static_cast<Phase>(row.integer(3));
  list.bot_id = row.text(4);
  try {
    list.stops = stops_from(json::parse(row.text(5)));
    for (const json& count : json::parse(row.text(6))) {
      list.counted.push_back({count.at(0), count.at(1)});
    }
  } catch (const json::exception& wrong) {
    return std::unexpected(
        Error{ErrorCode::kCorrupt, fmt::format("shopping list '{}': {}", list.id, wrong.what())});
  }
  return list;
}

Outcome<ShoppingList> first_list(const Result<toolkit::Rows>& rows) {
  if (!rows) return std::unexpected(rows.error());
  return rows->empty() ? ShoppingList{} : list_from(rows->front());
}

constexpr const char* kBotColumns = "select id, name, status, epoch, list_id from bots ";

Bot bot_from(const Row& row) {
  return {std::string(row.text(0)), std::string(row.text(1)),
          static_cast<BotStatus>(row.integer(2)), static_cast<std::uint64_t>(row.integer(3)),
          std::string(row.text(4))};
}

Outcome<std::vector<Bot>> bots_from(const Result<toolkit::Rows>& rows) {
  if (!rows) return std::unexpected(rows.error());
  std::vector<Bot> bots;
  for (const Row& row : *rows) bots.push_back(bot_from(row));
  return bots;
}

}  // namespace

const char* const kSchema =
    "create table if not exists shopping_lists ("
    " id text primary key, order_id text not null unique, status integer not null,"
    " phase integer not null, bot_id text not null, stops text not null, counted text not null,"
    " created_ms integer not null, since_ms integer not null) strict;"
    "create index if not exists lists_by_status on shopping_lists (status, created_ms);"
    "create table if not exists bots ("
    " id text primary key, name text not null, status integer not null, epoch integer not null,"
    " list_id text not null, since_ms integer not null, heard_ms integer not null) strict;"
    "create index if not exists bots_by_status on bots (status, since_ms);"
    "create table if not exists answers ("
    " bot_id text not null, sequence integer not null, refused integer, reason text not null,"
    " primary key (bot_id, sequence)) strict, without rowid";

Outcome<std::vector<DatedList>> read_lists(toolkit::Database& database, const ListQuery& query) {
  MALLBOTS_OUTCOME(
      rows, database.read("select id, order_id, status, phase, bot_id, stops, counted, created_ms"
                          " from shopping_lists where (?1 < 0 or status = ?1)"
                          " and (?2 < 0 or (phase = ?2 and status = ?3))"
                          " and (created_ms, id) > (?4, ?5) order by created_ms, id limit ?6",
                          {query.status, query.phase, static_cast<int>(ListStatus::kActive),
                           query.after_ms, query.after_id, query.limit}));
  std::vector<DatedList> lists;
  for (const Row& row : *rows) {
    MALLBOTS_OUTCOME(list, list_from(row));
    lists.push_back({*std::move(list), row.integer(7)});
  }
  return lists;
}

Outcome<std::vector<Bot>> read_bots(toolkit::Database& database, std::string_view after_id,
                                    std::int64_t limit) {
  return bots_from(database.read(std::string(kBotColumns) + "where id > ? order by id limit ?",
                                 {after_id, limit}));
}

Outcome<ShoppingList> load_list(toolkit::Transaction& transaction, std::string_view id) {
  return first_list(transaction.rows(std::string(kListColumns) + "where id = ?", {id}));
}

Outcome<ShoppingList> load_list_of_order(toolkit::Transaction& transaction,
                                         std::string_view order_id) {
  return first_list(transaction.rows(std::string(kListColumns) + "where order_id = ?", {order_id}));
}

Outcome<void> save_list(toolkit::Transaction& transaction, const ShoppingList& list,
                        UnixMillis now_ms) {
  MALLBOTS_OUTCOME(
      saved,
      transaction.run(
          "insert into shopping_lists values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (id)"
          " do update set status = excluded.status, phase = excluded.phase,"
          " bot_id = excluded.bot_id, stops = excluded.stops, counted = excluded.counted,"
          " since_ms = excluded.since_ms",
          {list.id, list.order_id, static_cast<int>(list.status), static_cast<int>(list.phase),
           list.bot_id, to_json(list.stops).dump(), to_json(list.counted).dump(), now_ms, now_ms}));
  return {};
}

Outcome<std::vector<WaitingList>> waiting_lists(toolkit::Transaction& transaction) {
  MALLBOTS_OUTCOME(rows, transaction.rows("select id, created_ms from shopping_lists where"
                                          " status = ? order by created_ms, id limit 100",
                                          {static_cast<int>(ListStatus::kAvailable)}));
  std::vector<WaitingList> lists;
  for (const Row& row : *rows) lists.push_back({std::string(row.text(0)), row.integer(1)});
  return lists;
}

Outcome<std::vector<ShoppingList>> unanswered_offers(toolkit::Transaction& transaction,
                                                     UnixMillis before_ms) {
  MALLBOTS_OUTCOME(rows,
                   transaction.rows(std::string(kListColumns) + "where status = ? and since_ms < ?",
                                    {static_cast<int>(ListStatus::kAssigned), before_ms}));
  std::vector<ShoppingList> lists;
  for (const Row& row : *rows) {
    auto list = list_from(row);
    if (!list) return std::unexpected(std::move(list).error());
    lists.push_back(*std::move(list));
  }
  return lists;
}

Outcome<Bot> load_bot(toolkit::Transaction& transaction, std::string_view id) {
  MALLBOTS_OUTCOME(rows, transaction.rows(std::string(kBotColumns) + "where id = ?", {id}));
  if (!rows->empty()) return bot_from(rows->front());
  Bot stranger;
  stranger.id = id;
  return stranger;
}

Outcome<void> save_bot(toolkit::Transaction& transaction, const Bot& bot, UnixMillis now_ms) {
  MALLBOTS_OUTCOME(
      saved, transaction.run("insert into bots values (?, ?, ?, ?, ?, ?, ?) on conflict (id) do"
                             " update set name = excluded.name, status = excluded.status,"
                             " epoch = excluded.epoch, list_id = excluded.list_id,"
                             " since_ms = excluded.since_ms, heard_ms = excluded.heard_ms",
                             {bot.id, bot.name, static_cast<int>(bot.status), bot.epoch,
                              bot.list_id, now_ms, now_ms}));
  return {};
}

Outcome<void> note_heard(toolkit::Transaction& transaction, std::string_view id,
                         UnixMillis now_ms) {
  MALLBOTS_OUTCOME(noted,
                   transaction.run("update bots set heard_ms = ? where id = ?", {now_ms, id}));
  return {};
}

Outcome<std::uint64_t> last_sequence(toolkit::Transaction& transaction, std::string_view bot_id) {
  MALLBOTS_OUTCOME(
      rows, transaction.rows("select max(sequence) from answers where bot_id = ?", {bot_id}));
  return static_cast<std::uint64_t>(rows->front().integer(0));
}

Outcome<std::optional<Decision<void>>> find_answer(toolkit::Transaction& transaction,
                                                   std::string_view bot_id,
                                                   std::uint64_t sequence) {
  if (sequence == 0) return std::nullopt;
  MALLBOTS_OUTCOME(rows, transaction.rows("select refused, reason from answers"
                                          " where bot_id = ? and sequence = ?",
                                          {bot_id, sequence}));
  if (!rows->empty()) {
    const Row& row = rows->front();
    if (row.is_null(0)) return Decision<void>{};
    return Decision<void>(
        refuse(static_cast<RefusalKind>(row.integer(0)), std::string(row.text(1))));
  }
  MALLBOTS_OUTCOME(last, last_sequence(transaction, bot_id));
  if (sequence > *last) return std::nullopt;
  return std::unexpected(Refusal{
      RefusalKind::kInvalid, fmt::format("the answer to report {} is no longer known", sequence)});
}

Outcome<void> keep_answer(toolkit::Transaction& transaction, std::string_view bot_id,
                          std::uint64_t sequence, const Decision<void>& answer) {
  if (sequence == 0) return {};
  const toolkit::SqlValue refused = answer
                                        ? toolkit::SqlValue(nullptr)
                                        : toolkit::SqlValue(static_cast<int>(answer.error().kind));
  MALLBOTS_OUTCOME(kept,
                   transaction.run("insert into answers values (?, ?, ?, ?)",
                                   {bot_id, sequence, refused,
                                    answer ? std::string{} : clipped(answer.error().reason)}));
  MALLBOTS_OUTCOME(
      forgotten, transaction.run("delete from answers where bot_id = ? and sequence <= ?",
                                 {bot_id, sequence < kAnswersKept ? 0 : sequence - kAnswersKept}));
  return {};
}

Outcome<std::vector<WaitingBot>> waiting_bots(toolkit::Transaction& transaction) {
  MALLBOTS_OUTCOME(rows, transaction.rows("select id, since_ms from bots where status = ?"
                                          " order by since_ms, id limit 100",
                                          {static_cast<int>(BotStatus::kIdle)}));
  std::vector<WaitingBot> bots;
  for (const Row& row : *rows) bots.push_back({std::string(row.text(0)), row.integer(1)});
  return bots;
}

Outcome<std::vector<Bot>> silent_bots(toolkit::Transaction& transaction, UnixMillis before_ms) {
  return bots_from(transaction.rows(std::string(kBotColumns) + "where status <> ? and heard_ms < ?",
                                    {static_cast<int>(BotStatus::kOffline), before_ms}));
}

Outcome<std::vector<Bot>> lost_bots(toolkit::Transaction& transaction, UnixMillis before_ms) {
  return bots_from(transaction.rows(
      std::string(kBotColumns) + "where status = ? and since_ms < ? and list_id <> ''",
      {static_cast<int>(BotStatus::kOffline), before_ms}));
}

}  // namespace mallbots::depot
