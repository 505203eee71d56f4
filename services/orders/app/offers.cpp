#include "services/orders/app/offers.h"

#include <fmt/format.h>

#include "services/runtime/money_proto.h"

namespace mallbots::orders {
namespace {

using toolkit::Context;
using toolkit::Handled;
using toolkit::Row;

constexpr const char* kSchema =
    "create table if not exists offered_stores ("
    " id text primary key, name text not null default '', location text not null default '',"
    " takes_part integer not null default 0) strict;"
    "create table if not exists offered_products ("
    " id text primary key, store_id text not null default '', name text not null default '',"
    " price integer not null default 0, currency text not null default 'GBP',"
    " is_removed integer not null default 0) strict";

constexpr const char* kSelect =
    "select p.id, p.store_id, ifnull(s.name, ''), ifnull(s.location, ''), p.name, p.price,"
    " p.currency, p.is_removed = 0 and ifnull(s.takes_part, 0) = 1"
    " from offered_products p left join offered_stores s on s.id = p.store_id where p.id = ?";

Offer offer_from(const Row& row) {
  return {
      std::string(row.text(1)), std::string(row.text(0)),
      std::string(row.text(2)), std::string(row.text(3)),
      std::string(row.text(4)), {row.integer(5), parse_currency(row.text(6)).value_or(Currency{})},
      row.integer(7) != 0};
}

Handled run(Context& context, const std::string& sql, toolkit::SqlValues values) {
  MALLBOTS_TRY(toolkit::transaction_of(context).run(sql, values));
  return {};
}

/// A product that is not known yet becomes one that is not offered.
Handled set_price(Context& context, const std::string& id, const runtimepb::Money& price) {
  const auto money = from_proto(price);
  if (!money) return toolkit::give_up("Undecodable", money.error().reason);
  return run(context,
             "insert into offered_products (id, price, currency) values (?, ?, ?)"
             " on conflict (id) do update set price = excluded.price, currency = excluded.currency",
             {id, money->minor, price.currency()});
}

}  // namespace

Result<std::unique_ptr<Offers>> Offers::open(Units units) {
  MALLBOTS_TRY(units.database().ensure(kSchema));
  return std::unique_ptr<Offers>(new Offers(units));
}

Outcome<Offer> Offers::find(std::string_view product_id) const {
  MALLBOTS_OUTCOME(rows, units_.database().read(kSelect, {product_id}));
  if (!rows->empty()) return offer_from(rows->front());
  return std::unexpected(
      Refusal{RefusalKind::kUnknown, fmt::format("there is no product '{}'", product_id)});
}

Outcome<std::vector<Offer>> Offers::of(std::span<const Line> lines) const {
  std::vector<Offer> offers;
  for (const Line& line : lines) {
    MALLBOTS_OUTCOME(rows, units_.database().read(kSelect, {line.product_id}));
    if (!rows->empty()) offers.push_back(offer_from(rows->front()));
  }
  return offers;
}

Handled Offers::on(Context& context, const storesapi::StoreCreated& event) {
  return run(context,
             "insert into offered_stores (id, name, location) values (?, ?, ?)"
             " on conflict (id) do update set name = excluded.name, location = excluded.location",
             {event.id(), event.name(), event.location()});
}

Handled Offers::on(Context& context, const storesapi::StoreRebranded& event) {
  return run(context, "update offered_stores set name = ? where id = ?",
             {event.name(), event.id()});
}

Handled Offers::on(Context& context, const storesapi::StoreParticipatingToggled& event) {
  return run(context,
             "insert into offered_stores (id, takes_part) values (?, ?)"
             " on conflict (id) do update set takes_part = excluded.takes_part",
             {event.id(), event.participating() ? 1 : 0});
}

Handled Offers::on(Context& context, const storesapi::ProductAdded& event) {
  const auto price = from_proto(event.price());
  if (!price) return toolkit::give_up("Undecodable", price.error().reason);
  // What happened to it later may have come first: only what is not known is filled in.
  return run(context,
             "insert into offered_products (id, store_id, name, price, currency)"
             " values (?, ?, ?, ?, ?) on conflict (id) do update set store_id = excluded.store_id,"
             " name = iif(name = '', excluded.name, name)",
             {event.id(), event.store_id(), event.name(), price->minor, event.price().currency()});
}

Handled Offers::on(Context& context, const storesapi::ProductRebranded& event) {
  return run(context,
             "insert into offered_products (id, name) values (?, ?)"
             " on conflict (id) do update set name = excluded.name",
             {event.id(), event.name()});
}

Handled Offers::on(Context& context, const storesapi::ProductPriceIncreased& event) {
  return set_price(context, event.id(), event.price());
}

Handled Offers::on(Context& context, const storesapi::ProductPriceDecreased& event) {
  return set_price(context, event.id(), event.price());
}

Handled Offers::on(Context& context, const storesapi::ProductRemoved& event) {
  return run(context,
             "insert into offered_products (id, is_removed) values (?, 1)"
             " on conflict (id) do update set is_removed = 1",
             {event.id()});
}

}  // namespace mallbots::orders
