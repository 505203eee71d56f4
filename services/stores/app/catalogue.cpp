#include "services/stores/app/catalogue.h"

#include <algorithm>
#include <array>

#include "services/runtime/money_proto.h"
#include "services/stores/contract.h"

namespace mallbots::stores {
namespace {

using toolkit::Handled;
using toolkit::Row;
using toolkit::ViewWork;

// `version` counts the events of a row, so it is the version of its stream.
constexpr const char* kSchema =
    "create table {stores} (id text primary key, name text not null default '',"
    " location text not null default '', participation integer not null default 0,"
    " version integer not null default 0, unique (name, id)) strict;"
    "create table {products} (id text primary key, store_id text not null default '',"
    " name text not null default '', description text not null default '',"
    " sku text not null default '', price integer not null default 0,"
    " currency text not null default 'GBP', is_removed integer not null default 0,"
    " version integer not null default 0, unique (store_id, name, id)) strict";

constexpr const char* kStoreColumns = "select id, name, location, participation from stores ";
constexpr const char* kProductColumns =
    "select id, store_id, name, description, sku, price, currency from products ";

constexpr std::array<std::string_view, 3> kParticipations = {"private", "requested",
                                                             "participating"};

ListedStore store_from(const Row& row) {
  return {std::string(row.text(0)), std::string(row.text(1)), std::string(row.text(2)),
          static_cast<Participation>(row.integer(3))};
}

ListedProduct product_from(const Row& row) {
  return {
      std::string(row.text(0)), std::string(row.text(1)),
      std::string(row.text(2)), std::string(row.text(3)),
      std::string(row.text(4)), {row.integer(5), parse_currency(row.text(6)).value_or(Currency{})}};
}

Handled done(const Result<std::int64_t>& changed) {
  if (!changed) return std::unexpected(toolkit::HandlerFailure(changed.error()));
  return {};
}

Handled take_part(ViewWork& work, const std::string& id, Participation participation) {
  return done(
      work.run("insert into {stores} (id, participation, version) values (?, ?, 1)"
               " on conflict (id) do update set participation = excluded.participation,"
               " version = version + 1",
               {id, static_cast<int>(participation)}));
}

Handled set_price(ViewWork& work, const std::string& id, const runtimepb::Money& price) {
  const auto money = from_proto(price);
  if (!money) return toolkit::give_up("Undecodable", money.error().reason);
  return done(
      work.run("insert into {products} (id, price, currency, version) values (?, ?, ?, 1)"
               " on conflict (id) do update set price = excluded.price,"
               " currency = excluded.currency, version = version + 1",
               {id, money->minor, price.currency()}));
}

void add_stores(toolkit::View& view) {
  view.on<storesapi::StoreCreated>([](ViewWork& work, const storesapi::StoreCreated& event) {
        return done(work.run(
            "insert into {stores} (id, name, location, version) values (?, ?, ?, 1) on conflict"
            " (id) do update set name = excluded.name, location = excluded.location,"
            " version = version + 1",
            {event.id(), event.name(), event.location()}));
      })
      .on<storesapi::StoreRebranded>([](ViewWork& work, const storesapi::StoreRebranded& event) {
        return done(
            work.run("insert into {stores} (id, name, version) values (?, ?, 1) on conflict (id)"
                     " do update set name = excluded.name, version = version + 1",
                     {event.id(), event.name()}));
      })
      .on<storesapi::StoreParticipationRequested>(
          [](ViewWork& work, const storesapi::StoreParticipationRequested& event) {
            return take_part(work, event.id(), Participation::kRequested);
          })
      .on<storesapi::StoreParticipationDenied>(
          [](ViewWork& work, const storesapi::StoreParticipationDenied& event) {
            return take_part(work, event.id(), Participation::kPrivate);
          })
      .on<storesapi::StoreParticipatingToggled>(
          [](ViewWork& work, const storesapi::StoreParticipatingToggled& event) {
            return take_part(
                work, event.id(),
                event.participating() ? Participation::kParticipating : Participation::kPrivate);
          });
}

void add_products(toolkit::View& view) {
  view.on<storesapi::ProductAdded>(
          [](ViewWork& work, const storesapi::ProductAdded& event) -> Handled {
            const auto price = from_proto(event.price());
            if (!price) return toolkit::give_up("Undecodable", price.error().reason);
            return done(work.run(
                "insert into {products} (id, store_id, name, description, sku, price, currency,"
                " version) values (?, ?, ?, ?, ?, ?, ?, 1) on conflict (id) do update set"
                " store_id = excluded.store_id, name = excluded.name,"
                " description = excluded.description, sku = excluded.sku, price = excluded.price,"
                " currency = excluded.currency, version = version + 1",
                {event.id(), event.store_id(), event.name(), event.description(), event.sku(),
                 price->minor, event.price().currency()}));
          })
      .on<storesapi::ProductRebranded>(
          [](ViewWork& work, const storesapi::ProductRebranded& event) {
            return done(work.run(
                "insert into {products} (id, name, description, version) values (?, ?, ?, 1)"
                " on conflict (id) do update set name = excluded.name,"
                " description = excluded.description, version = version + 1",
                {event.id(), event.name(), event.description()}));
          })
      .on<storesapi::ProductPriceIncreased>(
          [](ViewWork& work, const storesapi::ProductPriceIncreased& event) {
            return set_price(work, event.id(), event.price());
          })
      .on<storesapi::ProductPriceDecreased>(
          [](ViewWork& work, const storesapi::ProductPriceDecreased& event) {
            return set_price(work, event.id(), event.price());
          })
      .on<storesapi::ProductRemoved>([](ViewWork& work, const storesapi::ProductRemoved& event) {
        return done(
            work.run("insert into {products} (id, is_removed, version) values (?, 1, 1)"
                     " on conflict (id) do update set is_removed = 1, version = version + 1",
                     {event.id()}));
      });
}

/// One row more than asked for was read, to see whether there are more.
template <class Item, class Read>
Page<Item> page_of(const toolkit::Rows& rows, std::int64_t limit, const Read& read) {
  Page<Item> page;
  for (const Row& row : rows) {
    if (static_cast<std::int64_t>(page.items.size()) == limit) {
      page.next = make_cursor({page.items.back().name, page.items.back().id});
      break;
    }
    page.items.push_back(read(row));
  }
  return page;
}

}  // namespace

std::string_view name_of(Participation participation) noexcept {
  return kParticipations[static_cast<std::size_t>(participation)];
}

toolkit::View Catalogue::view() {
  toolkit::View view("catalogue", 1, kSchema, topic_names());
  add_stores(view);
  add_products(view);
  return view;
}

std::vector<std::string> Catalogue::topics() {
  const toolkit::TopicNames names = topic_names();
  return {names.topic_of(toolkit::kMessageType<storesapi::StoreCreated>),
          names.topic_of(toolkit::kMessageType<storesapi::ProductAdded>)};
}

Outcome<ListedStore> Catalogue::store(std::string_view id) const {
  MALLBOTS_OUTCOME(rows, database_->read(std::string(kStoreColumns) + "where id = ?", {id}));
  if (!rows->empty()) return store_from(rows->front());
  return std::unexpected(Refusal{RefusalKind::kUnknown, "there is no such store"});
}

Outcome<ListedProduct> Catalogue::product(std::string_view id) const {
  MALLBOTS_OUTCOME(
      rows,
      database_->read(std::string(kProductColumns) + "where id = ? and not is_removed", {id}));
  if (!rows->empty()) return product_from(rows->front());
  return std::unexpected(Refusal{RefusalKind::kUnknown, "there is no such product"});
}

Outcome<Page<ListedStore>> Catalogue::stores(std::string_view participation,
                                             const PageRequest& page) const {
  const auto wanted = std::ranges::find(kParticipations, participation);
  if (wanted == kParticipations.end() && !participation.empty()) {
    return std::unexpected(Refusal{RefusalKind::kInvalid,
                                   "participation is private, requested, participating or empty"});
  }
  const int number =
      participation.empty() ? -1 : static_cast<int>(wanted - kParticipations.begin());
  MALLBOTS_OUTCOME(limit, page_size(page.limit));
  MALLBOTS_OUTCOME(after, read_cursor(page.cursor, 2));
  MALLBOTS_OUTCOME(
      rows, database_->read(std::string(kStoreColumns) + "where (?1 < 0 or participation = ?1)"
                                                         " and (name, id) > (?2, ?3)"
                                                         " order by name, id limit ?4",
                            {number, after->at(0), after->at(1), *limit + 1}));
  return page_of<ListedStore>(*rows, *limit, store_from);
}

Outcome<Page<ListedProduct>> Catalogue::products(std::string_view store_id,
                                                 const PageRequest& page) const {
  MALLBOTS_OUTCOME(limit, page_size(page.limit));
  MALLBOTS_OUTCOME(after, read_cursor(page.cursor, 2));
  MALLBOTS_OUTCOME(rows, database_->read(std::string(kProductColumns) +
                                             "where store_id = ? and not is_removed"
                                             " and (name, id) > (?, ?) order by name, id limit ?",
                                         {store_id, after->at(0), after->at(1), *limit + 1}));
  return page_of<ListedProduct>(*rows, *limit, product_from);
}

bool Catalogue::wait_for_store(std::string_view id, std::uint64_t version) const {
  return wait("select version from stores where id = ?", id, version);
}

bool Catalogue::wait_for_product(std::string_view id, std::uint64_t version) const {
  return wait("select version from products where id = ?", id, version);
}

bool Catalogue::wait(const std::string& sql, std::string_view id, std::uint64_t version) const {
  if (version == 0) return true;
  const Deadline patience = Deadline::after_ms(kPatienceMs);
  for (;;) {
    const auto rows = database_->read(sql, {id});
    const bool is_there =
        rows && !rows->empty() && static_cast<std::uint64_t>(rows->front().integer(0)) >= version;
    if (is_there) return true;
    if (patience.has_passed()) return false;
    // The view commits in another thread; there is nothing to be woken by.
    toolkit::Clock& clock = toolkit::system_clock();
    static_cast<void>(clock.pause_until(clock.now_ns() + kMillisecond, {}));
  }
}

}  // namespace mallbots::stores
