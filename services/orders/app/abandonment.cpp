#include "services/orders/app/abandonment.h"

namespace mallbots::orders {
namespace {

using toolkit::Context;
using toolkit::Durability;
using toolkit::Handled;
using toolkit::Row;
using toolkit::Transaction;

constexpr const char* kSchema =
    "create table if not exists open_carts ("
    " id text primary key, changed_ms integer not null) strict;"
    "create index if not exists open_carts_by_change on open_carts (changed_ms)";

}  // namespace

Result<std::unique_ptr<Abandonment>> Abandonment::open(Units units, Orders& orders,
                                                       toolkit::Clock& clock,
                                                       std::int64_t after_ms) {
  MALLBOTS_TRY(units.database().ensure(kSchema));
  return std::unique_ptr<Abandonment>(new Abandonment(units, orders, clock, after_ms));
}

Handled Abandonment::on_started(Context& context, const ordersapi::CartStarted& event) {
  MALLBOTS_TRY(toolkit::transaction_of(context).run(
      "insert or ignore into open_carts values (?, ?)", {event.id(), clock_->wall_ms()}));
  return {};
}

Handled Abandonment::on_canceled(Context& context, const ordersapi::CartCanceled& event) {
  return forget(context, event.id());
}

Handled Abandonment::on_checked_out(Context& context, const ordersapi::CartCheckedOut& event) {
  return forget(context, event.id());
}

Handled Abandonment::forget(Context& context, std::string_view cart_id) {
  MALLBOTS_TRY(
      toolkit::transaction_of(context).run("delete from open_carts where id = ?", {cart_id}));
  return {};
}

Outcome<void> Abandonment::touch(std::string_view cart_id) {
  // A power cut may take it back: then the clock runs from the change before.
  MALLBOTS_OUTCOME(touched, units_.database().transact(
                                [&](Transaction& transaction) {
                                  return transaction.run(
                                      "update open_carts set changed_ms = ? where id = ?",
                                      {clock_->wall_ms(), cart_id});
                                },
                                Durability::kProcess));
  return {};
}

Outcome<void> Abandonment::tick() {
  MALLBOTS_OUTCOME(
      due, units_.database().read("select id from open_carts where changed_ms <= ? limit 100",
                                  {clock_->wall_ms() - after_ms_}));
  for (const Row& row : *due) {
    const std::string id(row.text(0));
    const auto cancelled = orders_->cancel_cart(id, kAbandoned, {.actor = "system"});
    // Refused: it was checked out or cancelled just now, and its event is on the way.
    if (!cancelled && std::holds_alternative<Error>(cancelled.error())) return cancelled;
  }
  return {};
}

}  // namespace mallbots::orders
