#include "services/search/app/feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "services/customers/contract.h"
#include "services/depot/contract.h"
#include "services/orders/contract.h"
#include "services/payments/contract.h"
#include "services/runtime/money_proto.h"

namespace mallbots::search {
namespace {

using toolkit::Handled;
using toolkit::ViewWork;

constexpr const char* kSchema =
    "create table {orders} (id text primary key, customer_id text not null default '',"
    " status text not null default '', rank integer not null default 0,"
    " total integer not null default 0, currency text not null default 'GBP',"
    " lines_rank integer not null default 0, created_ms integer not null default 0,"
    " updated_ms integer not null default 0, shopping_id text not null default '',"
    " reason text not null default '', unique (created_ms, id),"
    " unique (customer_id, created_ms, id)) strict;"
    "create table {order_lines} (order_id text, place integer, product_id text, product_name text,"
    " store_id text, store_name text, price integer, currency text, quantity integer,"
    " primary key (order_id, place)) strict, without rowid;"
    "create table {order_invoices} (order_id text primary key, state text not null,"
    " rank integer not null) strict;"
    "create table {customer_names} (id text primary key, name text not null) strict;"
    "create table {lists} (id text primary key, order_id text not null default '',"
    " status text not null default '', rank integer not null default 0,"
    " bot_id text not null default '', created_ms integer not null, updated_ms integer not null,"
    " unique (created_ms, id), unique (order_id, id)) strict;"
    "create table {bots} (id text primary key, name text not null default '',"
    " status text not null default 'offline', list_id text not null default '',"
    " updated_ms integer not null) strict;"
    "create table {moments} (number integer primary key, subject text not null, what text not null,"
    " at_ms integer not null, detail text not null, unique (subject, number)) strict";

enum class Subject : char { kOrder = 'o', kList = 'l' };

/// For the time line of an order, or of a list, which is its order's.
Handled note(ViewWork& work, Subject subject, const std::string& id, const std::string& detail) {
  const std::string_view name = work.message().name();
  MALLBOTS_TRY(work.run("insert into {moments} (subject, what, at_ms, detail) values (?, ?, ?, ?)",
                        {fmt::format("{}:{}", static_cast<char>(subject), id),
                         name.substr(0, name.rfind("_v")), work.message().published_ms(), detail}));
  return {};
}

// --- Orders. Ranks: what comes later in an order's life is higher; the ends are the highest.

struct Status {
  std::string_view name;
  int rank;
};
constexpr Status kPending{"pending", 1};
constexpr Status kApproved{"approved", 2};
constexpr Status kInProgress{"in-progress", 3};
constexpr Status kReady{"ready", 4};
constexpr Status kRejected{"rejected", 5};
constexpr Status kCancelled{"cancelled", 5};
constexpr Status kCompleted{"completed", 5};

constexpr int kOrdered = 1;  // ranks of lines
constexpr int kCounted = 2;

Handled set_status(ViewWork& work, const std::string& id, const Status& status) {
  const std::int64_t now_ms = work.message().published_ms();
  MALLBOTS_TRY(
      work.run("insert into {orders} (id, status, rank, updated_ms) values (?1, ?2, ?3, ?4)"
               " on conflict (id) do update set status = iif(rank < ?3, ?2, status),"
               " rank = max(rank, ?3), updated_ms = max(updated_ms, ?4)",
               {id, status.name, status.rank, now_ms}));
  return {};
}

/// What was counted at the depot stands, whenever it is heard what was ordered.
template <class Event>
Handled set_lines(ViewWork& work, const Event& event, int rank) {
  const auto total = from_proto(event.total());
  if (!total) return toolkit::give_up("Undecodable", total.error().reason);
  const auto changed = work.run(
      "update {orders} set total = ?2, currency = ?3, lines_rank = ?4"
      " where id = ?1 and lines_rank < ?4",
      {event.id(), total->minor, event.total().currency(), rank});
  if (!changed) return std::unexpected(toolkit::HandlerFailure(changed.error()));
  if (*changed == 0) return {};
  MALLBOTS_TRY(work.run("delete from {order_lines} where order_id = ?", {event.id()}));
  int place = 0;
  for (const ordersapi::Line& line : event.lines()) {
    MALLBOTS_TRY(work.run(
        "insert into {order_lines} values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        {event.id(), place++, line.product_id(), line.product_name(), line.store_id(),
         line.store_name(), line.price().minor(), line.price().currency(), line.quantity()}));
  }
  return {};
}

std::string shown(const runtimepb::Money& money) {
  return to_text(from_proto(money).value_or(Money{}));
}

Handled on(ViewWork& work, const ordersapi::OrderCreated& event) {
  if (auto done = set_status(work, event.id(), kPending); !done) return done;
  MALLBOTS_TRY(work.run("update {orders} set customer_id = ?, created_ms = ? where id = ?",
                        {event.customer_id(), work.message().published_ms(), event.id()}));
  if (auto done = set_lines(work, event, kOrdered); !done) return done;
  return note(work, Subject::kOrder, event.id(), shown(event.total()));
}

Handled on(ViewWork& work, const ordersapi::OrderApproved& event) {
  if (auto done = set_status(work, event.id(), kApproved); !done) return done;
  MALLBOTS_TRY(work.run("update {orders} set shopping_id = ? where id = ?",
                        {event.shopping_id(), event.id()}));
  return note(work, Subject::kOrder, event.id(), {});
}

Handled on(ViewWork& work, const ordersapi::OrderStarted& event) {
  if (auto done = set_status(work, event.id(), kInProgress); !done) return done;
  return note(work, Subject::kOrder, event.id(), {});
}

Handled on(ViewWork& work, const ordersapi::OrderReadied& event) {
  if (auto done = set_status(work, event.id(), kReady); !done) return done;
  if (auto done = set_lines(work, event, kCounted); !done) return done;
  return note(work, Subject::kOrder, event.id(), shown(event.total()));
}

Handled end_order(ViewWork& work, const std::string& id, const Status& status,
                  const std::string& reason) {
  if (auto done = set_status(work, id, status); !done) return done;
  MALLBOTS_TRY(work.run("update {orders} set reason = ? where id = ?", {reason, id}));
  return note(work, Subject::kOrder, id, reason);
}

Handled on(ViewWork& work, const ordersapi::OrderRejected& event) {
  return end_order(work, event.id(), kRejected, event.reason());
}

Handled on(ViewWork& work, const ordersapi::OrderCanceled& event) {
  return end_order(work, event.id(), kCancelled, event.reason());
}

Handled on(ViewWork& work, const ordersapi::OrderPaid& event) {
  return note(work, Subject::kOrder, event.id(), {});
}

Handled on(ViewWork& work, const ordersapi::OrderCompleted& event) {
  if (auto done = set_status(work, event.id(), kCompleted); !done) return done;
  return note(work, Subject::kOrder, event.id(), {});
}

// --- Invoices

Handled set_invoice(ViewWork& work, const std::string& order_id, const Status& state,
                    const std::string& detail) {
  MALLBOTS_TRY(work.run(
      "insert into {order_invoices} values (?1, ?2, ?3) on conflict (order_id) do update set"
      " state = iif(rank < ?3, ?2, state), rank = max(rank, ?3)",
      {order_id, state.name, state.rank}));
  return note(work, Subject::kOrder, order_id, detail);
}

Handled on(ViewWork& work, const paymentsapi::InvoiceCreated& event) {
  return set_invoice(work, event.order_id(), {"pending", 1}, shown(event.amount()));
}

Handled on(ViewWork& work, const paymentsapi::InvoiceAdjusted& event) {
  return set_invoice(work, event.order_id(), {"pending", 1}, shown(event.amount()));
}

Handled on(ViewWork& work, const paymentsapi::InvoicePaid& event) {
  return set_invoice(work, event.order_id(), {"paid", 2},
                     fmt::format("{}, {}", shown(event.amount()), event.paid_by()));
}

Handled on(ViewWork& work, const paymentsapi::InvoiceCanceled& event) {
  return set_invoice(work, event.order_id(), {"canceled", 3}, {});
}

Handled on(ViewWork& work, const paymentsapi::InvoiceRefunded& event) {
  const Status state = event.is_whole() ? Status{"refunded", 3} : Status{"paid", 2};
  return set_invoice(work, event.order_id(), state, shown(event.amount()));
}

// --- Shopping lists, whose events come in order (one topic, one key), and may go back to the
// queue; only the ends are final.

constexpr int kListEnd = 1;

struct ListState {
  std::string_view status;
  std::string bot_id{};
  int rank = 0;
};

template <class Event>
Handled set_list(ViewWork& work, const Event& event, const ListState& state,
                 const std::string& detail = {}) {
  std::string order_id;
  if constexpr (requires { event.order_id(); }) order_id = event.order_id();
  MALLBOTS_TRY(work.run(
      "insert into {lists} values (?1, ?2, ?3, ?4, ?5, ?6, ?6) on conflict (id) do update set"
      " order_id = iif(?2 = '', order_id, ?2), status = iif(rank < 1 or ?4 = 1, ?3, status),"
      " bot_id = iif(rank < 1 and ?4 = 0, ?5, bot_id), rank = max(rank, ?4),"
      " updated_ms = max(updated_ms, ?6)",
      {event.id(), order_id, state.status, state.rank, state.bot_id,
       work.message().published_ms()}));
  return note(work, Subject::kList, event.id(), detail);
}

Handled on(ViewWork& work, const depotapi::ShoppingListAvailable& event) {
  return set_list(work, event, {"available"});
}

Handled on(ViewWork& work, const depotapi::ShoppingListAssigned& event) {
  return set_list(work, event, {"assigned", event.bot_id()}, event.bot_id());
}

Handled on(ViewWork& work, const depotapi::ShoppingStarted& event) {
  return set_list(work, event, {"active", event.bot_id()}, event.bot_id());
}

Handled on(ViewWork& work, const depotapi::BotArrivedAtStore& event) {
  return set_list(work, event, {"active", event.bot_id()}, event.store_id());
}

Handled on(ViewWork& work, const depotapi::ItemsPickedUp& event) {
  const auto count = [](const auto& items) {
    std::int64_t sum = 0;
    for (const depotapi::Count& item : items) sum += item.quantity();
    return sum;
  };
  return set_list(work, event, {"active", event.bot_id()},
                  fmt::format("{} picked, {} unavailable, {}", count(event.picked()),
                              count(event.unavailable()), event.store_id()));
}

Handled on(ViewWork& work, const depotapi::ShoppingFinished& event) {
  return set_list(work, event, {"active", event.bot_id()});
}

Handled on(ViewWork& work, const depotapi::BotArrivedAtDepot& event) {
  return set_list(work, event, {"active", event.bot_id()}, event.bot_id());
}

Handled on(ViewWork& work, const depotapi::ShoppingStranded& event) {
  return set_list(work, event, {"available"}, event.bot_id());
}

Handled on(ViewWork& work, const depotapi::ShoppingListCompleted& event) {
  return set_list(work, event, {"completed", {}, kListEnd});
}

Handled on(ViewWork& work, const depotapi::ShoppingListCanceled& event) {
  return set_list(work, event, {"canceled", {}, kListEnd});
}

// --- Robots

/// `change`: of a row that is there, with the values ?1 id, ?2 name, ?3 list, ?4 now.
struct BotChange {
  std::string name{};
  std::string list_id{};
  std::string_view status;
  std::string_view change;
};

Handled set_bot(ViewWork& work, const std::string& id, const BotChange& to) {
  const std::int64_t now_ms = work.message().published_ms();
  MALLBOTS_TRY(
      work.run(fmt::format("insert into {{bots}} values (?1, ?2, ?5, ?3, ?4) on conflict (id) do"
                           " update set updated_ms = ?4, {}",
                           to.change),
               {id, to.name, to.list_id, now_ms, to.status}));
  return {};
}

Handled on(ViewWork& work, const depotapi::BotCameOnline& event) {
  return set_bot(work, event.id(),
                 {.name = event.name(), .status = "idle", .change = "name = ?2, status = ?5"});
}

Handled on(ViewWork& work, const depotapi::BotActivated& event) {
  return set_bot(
      work, event.id(),
      {.list_id = event.list_id(), .status = "active", .change = "list_id = ?3, status = ?5"});
}

Handled on(ViewWork& work, const depotapi::BotIdled& event) {
  // Its list was taken away while it was offline: offline it stays.
  return set_bot(
      work, event.id(),
      {.status = "idle", .change = "list_id = '', status = iif(status = 'active', ?5, status)"});
}

Handled on(ViewWork& work, const depotapi::BotWentOffline& event) {
  return set_bot(work, event.id(), {.status = "offline", .change = "status = ?5"});
}

// --- Customers

Handled on(ViewWork& work, const customersapi::CustomerRegistered& event) {
  MALLBOTS_TRY(work.run("insert or replace into {customer_names} values (?, ?)",
                        {event.id(), event.name()}));
  return {};
}

template <class... Events>
void hear(toolkit::View& view) {
  (view.on<Events>([](ViewWork& work, const Events& event) { return on(work, event); }), ...);
}

}  // namespace

toolkit::View view() {
  toolkit::View view("search", 1, kSchema, {.service = "search"});
  hear<ordersapi::OrderCreated, ordersapi::OrderRejected, ordersapi::OrderApproved,
       ordersapi::OrderStarted, ordersapi::OrderReadied, ordersapi::OrderPaid,
       ordersapi::OrderCanceled, ordersapi::OrderCompleted>(view);
  hear<paymentsapi::InvoiceCreated, paymentsapi::InvoiceAdjusted, paymentsapi::InvoicePaid,
       paymentsapi::InvoiceCanceled, paymentsapi::InvoiceRefunded>(view);
  hear<depotapi::ShoppingListAvailable, depotapi::ShoppingListAssigned, depotapi::ShoppingStarted,
       depotapi::BotArrivedAtStore, depotapi::ItemsPickedUp, depotapi::ShoppingFinished,
       depotapi::BotArrivedAtDepot, depotapi::ShoppingStranded, depotapi::ShoppingListCompleted,
       depotapi::ShoppingListCanceled>(view);
  hear<depotapi::BotCameOnline, depotapi::BotActivated, depotapi::BotIdled,
       depotapi::BotWentOffline>(view);
  hear<customersapi::CustomerRegistered>(view);
  return view;
}

std::vector<std::string> topics() {
  using toolkit::kMessageType;
  return {orders::topic_names().topic_of(kMessageType<ordersapi::OrderCreated>),
          payments::topic_names().topic_of(kMessageType<paymentsapi::InvoiceCreated>),
          depot::topic_names().topic_of(kMessageType<depotapi::ShoppingListAvailable>),
          depot::topic_names().topic_of(kMessageType<depotapi::BotCameOnline>),
          customers::topic_names().topic_of(kMessageType<customersapi::CustomerRegistered>)};
}

}  // namespace mallbots::search
