#include "services/analytics/app/feed.h"

#include "services/orders/contract.h"

namespace mallbots::analytics {
namespace {

using toolkit::Handled;
using toolkit::ViewWork;

constexpr const char* kSchema =
    "create table {seen_orders} (id text primary key, started_ms integer, counted_ms integer,"
    " completed_ms integer, ended text not null default '', reason text not null default '')"
    " strict;"
    "create table {sold_lines} (order_id text, place integer, store_id text not null,"
    " store_name text not null, minor integer not null, currency text not null,"
    " primary key (order_id, place)) strict, without rowid";

template <class Event>
Handled set_lines(ViewWork& work, const Event& event) {
  MALLBOTS_TRY(work.run("delete from {sold_lines} where order_id = ?", {event.id()}));
  int place = 0;
  for (const ordersapi::Line& line : event.lines()) {
    MALLBOTS_TRY(work.run("insert into {sold_lines} values (?, ?, ?, ?, ?, ?)",
                          {event.id(), place++, line.store_id(), line.store_name(),
                           line.price().minor() * line.quantity(), line.price().currency()}));
  }
  return {};
}

Handled set(ViewWork& work, const std::string& id, std::string_view change) {
  MALLBOTS_TRY(work.run("insert or ignore into {seen_orders} (id) values (?)", {id}));
  MALLBOTS_TRY(work.run("update {seen_orders} set " + std::string{change} + " where id = ?1",
                        {id, work.message().published_ms()}));
  return {};
}

Handled end(ViewWork& work, const std::string& id, std::string_view how,
            const std::string& reason) {
  MALLBOTS_TRY(work.run("insert or ignore into {seen_orders} (id) values (?)", {id}));
  MALLBOTS_TRY(
      work.run("update {seen_orders} set ended = ?, reason = ? where id = ?", {how, reason, id}));
  return {};
}

}  // namespace

toolkit::View view() {
  toolkit::View view("analytics", 1, kSchema, {.service = "analytics"});
  view.on<ordersapi::OrderCreated>([](ViewWork& work, const ordersapi::OrderCreated& event) {
        if (auto known = end(work, event.id(), "", ""); !known) return known;
        return set_lines(work, event);
      })
      .on<ordersapi::OrderStarted>([](ViewWork& work, const ordersapi::OrderStarted& event) {
        return set(work, event.id(), "started_ms = ?2");
      })
      .on<ordersapi::OrderReadied>([](ViewWork& work, const ordersapi::OrderReadied& event) {
        if (auto counted = set(work, event.id(), "counted_ms = ?2"); !counted) return counted;
        return set_lines(work, event);
      })
      .on<ordersapi::OrderCompleted>([](ViewWork& work, const ordersapi::OrderCompleted& event) {
        return set(work, event.id(), "completed_ms = ?2, ended = 'completed'");
      })
      .on<ordersapi::OrderCanceled>([](ViewWork& work, const ordersapi::OrderCanceled& event) {
        return end(work, event.id(), "cancelled", event.reason());
      })
      .on<ordersapi::OrderRejected>([](ViewWork& work, const ordersapi::OrderRejected& event) {
        return end(work, event.id(), "rejected", event.reason());
      });
  return view;
}

std::vector<std::string> topics() {
  return {orders::topic_names().topic_of(toolkit::kMessageType<ordersapi::OrderCreated>)};
}

}  // namespace mallbots::analytics
