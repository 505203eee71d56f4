#include "services/notifications/app/notifications.h"

#include <fmt/format.h>

#include <array>

#include "services/runtime/money_proto.h"

namespace mallbots::notifications {
namespace {

using toolkit::Context;
using toolkit::Handled;

constexpr std::int64_t kAgainMs = 1'000;

constexpr const char* kSchema =
    "create table if not exists notices (order_id text, kind text, customer_id text not null,"
    " at_ms integer not null, was_sent integer not null, primary key (order_id, kind)) strict";

std::string shown(const runtimepb::Money& money) {
  return to_text(from_proto(money).value_or(Money{}));
}

}  // namespace

std::string_view name_of(Kind kind) noexcept {
  static constexpr std::array<std::string_view, 6> kNames = {"received", "rejected", "ready",
                                                             "canceled", "paid",     "released"};
  return kNames[static_cast<std::size_t>(kind)];
}

Result<std::unique_ptr<Notifications>> Notifications::open(toolkit::Database& database,
                                                           const Ports& ports) {
  MALLBOTS_TRY(database.ensure(kSchema));
  return std::unique_ptr<Notifications>(new Notifications(database, ports));
}

toolkit::Registration Notifications::registration() {
  toolkit::EventGroup group("notifications", orders::topic_names());
  const auto hear = [&]<class Event>(const Event*) {
    group.on<Event>([this](Context& context, const Event& event) { return on(context, event); });
  };
  hear(static_cast<const ordersapi::OrderCreated*>(nullptr));
  hear(static_cast<const ordersapi::OrderRejected*>(nullptr));
  hear(static_cast<const ordersapi::OrderReadied*>(nullptr));
  hear(static_cast<const ordersapi::OrderPaid*>(nullptr));
  hear(static_cast<const ordersapi::OrderCanceled*>(nullptr));
  hear(static_cast<const ordersapi::OrderCompleted*>(nullptr));
  return group.registration();
}

Handled Notifications::on(Context& context, const ordersapi::OrderCreated& event) {
  return tell(context, {event.id(), Kind::kReceived, event.customer_id(),
                        fmt::format("Your order {} over {} has come in.", event.id(),
                                    shown(event.total()))});
}

Handled Notifications::on(Context& context, const ordersapi::OrderRejected& event) {
  return tell(context, {event.id(), Kind::kRejected, event.customer_id(),
                        fmt::format("Your order {} cannot be taken: {}. You pay nothing.",
                                    event.id(), event.reason())});
}

Handled Notifications::on(Context& context, const ordersapi::OrderReadied& event) {
  return tell(context, {event.id(), Kind::kReady, event.customer_id(),
                        fmt::format("Your order {} waits at the depot: {}.", event.id(),
                                    shown(event.total()))});
}

Handled Notifications::on(Context& context, const ordersapi::OrderPaid& event) {
  return tell(context,
              {event.id(), Kind::kPaid, {}, fmt::format("Your order {} is paid.", event.id())});
}

Handled Notifications::on(Context& context, const ordersapi::OrderCanceled& event) {
  return tell(context, {event.id(), Kind::kCanceled, event.customer_id(),
                        fmt::format("Your order {} is cancelled: {}. What you paid comes back.",
                                    event.id(), event.reason())});
}

Handled Notifications::on(Context& context, const ordersapi::OrderCompleted& event) {
  return tell(context, {event.id(), Kind::kReleased, event.customer_id(),
                        fmt::format("Your order {} is handed over. Thank you.", event.id())});
}

Handled Notifications::tell(Context& context, Notice notice) {
  const auto known = database_->read("select 1 from notices where order_id = ? and kind = ?",
                                     {notice.order_id, name_of(notice.kind)});
  if (!known) return std::unexpected(toolkit::HandlerFailure(known.error()));
  if (!known->empty()) return {};
  auto customer = customer_of(notice);
  if (!customer) return std::unexpected(toolkit::HandlerFailure(customer.error()));
  notice.customer_id = *std::move(customer);

  const auto number = ports_.numbers.number_of(notice.customer_id, context.cause());
  if (!number && std::holds_alternative<Error>(number.error())) {
    return toolkit::not_now("NoNumber", std::get<Error>(number.error()).sentence(), kAgainMs);
  }
  if (!number) {
    MALLBOTS_TRY(write_down(notice, false));
    return {};
  }
  const auto carried = ports_.carrier.send(
      {fmt::format("{}/{}", notice.order_id, name_of(notice.kind)), *number, notice.text});
  if (!carried) return toolkit::not_now("NotSent", carried.error().sentence(), kAgainMs);
  MALLBOTS_TRY(write_down(notice, true));
  return {};
}

Result<std::string> Notifications::customer_of(const Notice& notice) const {
  if (!notice.customer_id.empty()) return notice.customer_id;
  const auto rows =
      database_->read("select customer_id from notices where order_id = ? and kind = ?",
                      {notice.order_id, name_of(Kind::kReceived)});
  if (!rows) return std::unexpected(rows.error());
  return rows->empty() ? std::string{} : std::string(rows->front().text(0));
}

Result<void> Notifications::write_down(const Notice& notice, bool was_sent) {
  return database_->transact([&](toolkit::Transaction& transaction) -> Result<void> {
    MALLBOTS_TRY(transaction.run("insert or ignore into notices values (?, ?, ?, ?, ?)",
                                 {notice.order_id, name_of(notice.kind), notice.customer_id,
                                  ports_.clock.wall_ms(), was_sent ? 1 : 0}));
    return {};
  });
}

Result<std::vector<Sent>> Notifications::sent(std::string_view order_id) const {
  const auto rows = database_->read(
      "select order_id, kind, at_ms, was_sent from notices where order_id = ?"
      " order by at_ms, rowid",
      {order_id});
  if (!rows) return std::unexpected(rows.error());
  std::vector<Sent> all;
  for (const toolkit::Row& row : *rows) {
    all.push_back(
        {std::string(row.text(0)), std::string(row.text(1)), row.integer(2), row.integer(3) != 0});
  }
  return all;
}

}  // namespace mallbots::notifications
