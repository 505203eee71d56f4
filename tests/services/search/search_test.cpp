#include "services/search/app/search.h"

#include <algorithm>

#include "clients/toolkit/views/view_runner.h"
#include "services/customers/contract.h"
#include "services/depot/contract.h"
#include "services/orders/contract.h"
#include "services/payments/contract.h"
#include "services/search/app/feed.h"
#include "tests/clients/toolkit/views/bus_reader.h"
#include "tests/services/service_fixture.h"

namespace mallbots::search {
namespace {

using test::refusal_of;

void set_money(runtimepb::Money& money, std::int64_t minor) {
  money.set_minor(minor);
  money.set_currency("GBP");
}

class SearchTest : public test::ServiceTest {
 protected:
  SearchTest() { EXPECT_TRUE(runner_.open()); }

  template <class Event>
  void tell(const toolkit::TopicNames& names, const Event& event, const std::string& id = {}) {
    const toolkit::EventBus events(names);
    ASSERT_TRUE(events.publish(bus_, event, {}, {.id = id}));
    catch_up();
  }
  void catch_up() {
    while (runner_.run_once().value() != 0) {
    }
  }

  static ordersapi::OrderCreated created(const std::string& id, std::int64_t pence = 500,
                                         const std::string& store = "s1") {
    ordersapi::OrderCreated event;
    event.set_id(id);
    event.set_customer_id("c1");
    set_money(*event.mutable_total(), pence);
    ordersapi::Line& line = *event.add_lines();
    line.set_product_id("mug");
    line.set_product_name("Mug");
    line.set_store_id(store);
    line.set_store_name("Tea House");
    line.set_quantity(2);
    set_money(*line.mutable_price(), pence / 2);
    return event;
  }
  template <class Event>
  static Event about(const std::string& id) {
    Event event;
    event.set_id(id);
    return event;
  }
  template <class Event>
  static Event of_list(const std::string& id, const std::string& order_id) {
    Event event = about<Event>(id);
    event.set_order_id(order_id);
    if constexpr (requires { event.bot_id(); }) event.set_bot_id("b1");
    return event;
  }
  static ordersapi::OrderReadied readied(const std::string& id, std::int64_t pence) {
    auto event = about<ordersapi::OrderReadied>(id);
    set_money(*event.mutable_total(), pence);
    return event;
  }
  void order(const std::string& id, std::int64_t pence = 500, const std::string& store = "s1") {
    tell(orders::topic_names(), created(id, pence, store));
  }
  std::vector<std::string> ids(const searchpb::SearchOrdersRequest& wanted) {
    const auto found = search_.orders(wanted);
    std::vector<std::string> all;
    EXPECT_TRUE(found.has_value());
    if (found) {
      for (const searchpb::Order& order : found->orders()) all.push_back(order.id());
    }
    return all;
  }
  std::string status_of(const std::string& id) { return search_.order(id)->status(); }

  toolkit::ViewRunner runner_{{view()}, {*database_, *inbox_, *outbox_}, [this] {
                                return Result<std::unique_ptr<toolkit::TopicReader>>(
                                    std::make_unique<test::BusReader>(bus_, topics()));
                              }};
  Search search_{*database_};
};

TEST_F(SearchTest, AnOrderShowsWhatAllContextsToldOfIt) {
  auto customer = about<customersapi::CustomerRegistered>("c1");
  customer.set_name("Ada");
  tell(customers::topic_names(), customer);
  order("o1");
  tell(depot::topic_names(), of_list<depotapi::ShoppingListAvailable>("l1", "o1"));
  auto approved = about<ordersapi::OrderApproved>("o1");
  approved.set_shopping_id("l1");
  tell(orders::topic_names(), approved);
  auto invoice = about<paymentsapi::InvoiceCreated>("o1");
  invoice.set_order_id("o1");
  tell(payments::topic_names(), invoice);
  tell(depot::topic_names(), of_list<depotapi::ShoppingStarted>("l1", "o1"));
  auto picked = about<depotapi::ItemsPickedUp>("l1");  // names no order
  picked.set_bot_id("b1");
  picked.set_store_id("s1");
  tell(depot::topic_names(), picked);
  tell(orders::topic_names(), readied("o1", 250));

  const auto found = search_.order("o1");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->customer_name(), "Ada");
  EXPECT_EQ(found->status(), "ready");
  EXPECT_EQ(found->total().minor(), 250);
  EXPECT_EQ(found->shopping_id(), "l1");
  EXPECT_EQ(found->bot_id(), "b1");
  EXPECT_EQ(found->invoice_state(), "pending");
  EXPECT_GT(found->created_ms(), 0);
  std::vector<std::string> moments;
  for (const searchpb::Moment& moment : found->moments()) moments.push_back(moment.what());
  EXPECT_EQ(moments, (std::vector<std::string>{"OrderCreated", "ShoppingListAvailable",
                                               "OrderApproved", "InvoiceCreated", "ShoppingStarted",
                                               "ItemsPickedUp", "OrderReadied"}));
}

TEST_F(SearchTest, WhateverIsReadFirstTheEndIsTheSame) {
  std::string id;  // a new order for each sequence
  const std::vector<std::function<void()>> told = {
      [&] { order(id); },
      [&] {
        auto approved = about<ordersapi::OrderApproved>(id);
        approved.set_shopping_id("list-" + id);
        tell(orders::topic_names(), approved);
      },
      [&] { tell(orders::topic_names(), readied(id, 250)); },
      [&] { tell(depot::topic_names(), of_list<depotapi::ShoppingStarted>("list-" + id, id)); },
      [&] {
        auto paid = about<paymentsapi::InvoicePaid>(id);
        paid.set_order_id(id);
        tell(payments::topic_names(), paid);
      }};
  std::vector<std::size_t> sequence = {0, 1, 2, 3, 4};
  do {
    id = "order";
    for (const std::size_t which : sequence) id += std::to_string(which);
    for (const std::size_t which : sequence) told[which]();
    const auto found = search_.order(id);
    ASSERT_TRUE(found.has_value()) << id;
    EXPECT_EQ(found->status(), "ready") << id;
    EXPECT_EQ(found->total().minor(), 250) << id;
    EXPECT_EQ(found->invoice_state(), "paid") << id;
    EXPECT_EQ(found->bot_id(), "b1") << id;
    EXPECT_EQ(found->shopping_id(), "list-" + id);
    EXPECT_EQ(found->moments_size(), 5) << id;
  } while (std::ranges::next_permutation(sequence).found);
}

TEST_F(SearchTest, AnOrderThatIsHeardOfTooEarlyShowsOnceItIsThere) {
  tell(orders::topic_names(), about<ordersapi::OrderApproved>("o1"));
  EXPECT_EQ(refusal_of(search_.order("o1")), RefusalKind::kUnknown);
  EXPECT_TRUE(ids({}).empty());
  EXPECT_TRUE(search_.count_orders()->by_status().empty());
  order("o1");
  EXPECT_EQ(status_of("o1"), "approved");
  EXPECT_EQ(search_.order("o1")->moments_size(), 2);
}

TEST_F(SearchTest, EveryMessageTwiceIsEveryMessageOnce) {
  for (int twice = 0; twice < 2; ++twice) {
    tell(orders::topic_names(), created("o1"), "m1");
    tell(depot::topic_names(), of_list<depotapi::ShoppingStarted>("l1", "o1"), "m2");
  }
  EXPECT_EQ(ids({}).size(), 1U);
  EXPECT_EQ(search_.order("o1")->lines_size(), 1);
  EXPECT_EQ(search_.order("o1")->moments_size(), 2);
}

TEST_F(SearchTest, AnEndedOrderStaysEnded) {
  order("o1");
  auto canceled = about<ordersapi::OrderCanceled>("o1");
  canceled.set_reason("changed my mind");
  tell(orders::topic_names(), canceled);
  tell(orders::topic_names(), about<ordersapi::OrderApproved>("o1"));
  EXPECT_EQ(status_of("o1"), "cancelled");
  EXPECT_EQ(search_.order("o1")->reason(), "changed my mind");
}

TEST_F(SearchTest, EveryFilterFindsItsOwn) {
  order("aa", 500, "s1");
  order("ab", 700, "s2");
  tell(orders::topic_names(), about<ordersapi::OrderApproved>("ab"));
  searchpb::SearchOrdersRequest wanted;
  wanted.add_store_ids("s2");
  wanted.add_store_ids("s3");
  EXPECT_EQ(ids(wanted), std::vector<std::string>{"ab"});
  wanted = {};
  wanted.add_product_ids("mug");
  EXPECT_EQ(ids(wanted).size(), 2U);
  wanted.add_statuses("pending");
  EXPECT_EQ(ids(wanted), std::vector<std::string>{"aa"});
  wanted = {};
  wanted.set_min_total_minor(501);
  EXPECT_EQ(ids(wanted), std::vector<std::string>{"ab"});
  wanted = {};
  wanted.set_max_total_minor(500);
  EXPECT_EQ(ids(wanted), std::vector<std::string>{"aa"});
  wanted = {};
  wanted.set_id_starts_with("ab");
  EXPECT_EQ(ids(wanted), std::vector<std::string>{"ab"});
  wanted.set_id_starts_with("%");
  EXPECT_TRUE(ids(wanted).empty());
  wanted = {};
  wanted.set_customer_id("c2");
  EXPECT_TRUE(ids(wanted).empty());
  wanted = {};
  wanted.set_before_ms(1);
  EXPECT_TRUE(ids(wanted).empty());
  wanted = {};
  wanted.set_after_ms(search_.order("ab")->created_ms() + 1);
  EXPECT_TRUE(ids(wanted).empty());
  EXPECT_EQ(search_.count_orders()->by_status().at("approved"), 1);
}

TEST_F(SearchTest, PagesHoldEachOrderOnceWhileOthersCome) {
  for (int i = 0; i < 7; ++i) order("o" + std::to_string(i));
  std::vector<std::string> seen;
  searchpb::SearchOrdersRequest wanted;
  wanted.set_limit(2);
  do {
    const auto found = search_.orders(wanted);
    ASSERT_TRUE(found.has_value());
    for (const searchpb::Order& one : found->orders()) seen.push_back(one.id());
    wanted.set_cursor(found->next());
    order("younger" + std::to_string(seen.size()));  // of one moment: behind by its id
  } while (!wanted.cursor().empty());
  std::ranges::sort(seen);
  EXPECT_EQ(seen, (std::vector<std::string>{"o0", "o1", "o2", "o3", "o4", "o5", "o6"}));
}

TEST_F(SearchTest, ListsAndRobotsAreFoundToo) {
  auto online = about<depotapi::BotCameOnline>("b1");
  online.set_name("Robbie");
  tell(depot::topic_names(), online);
  tell(depot::topic_names(), about<depotapi::BotCameOnline>("b2"));
  tell(depot::topic_names(), of_list<depotapi::ShoppingListAvailable>("l1", "o1"));
  tell(depot::topic_names(), of_list<depotapi::ShoppingListAssigned>("l1", "o1"));
  auto activated = about<depotapi::BotActivated>("b1");
  activated.set_list_id("l1");
  tell(depot::topic_names(), activated);

  searchpb::SearchBotsRequest bots;
  bots.set_limit(1);
  const auto first = search_.bots(bots);
  ASSERT_EQ(first->bots_size(), 1);
  EXPECT_EQ(first->bots(0).name(), "Robbie");
  EXPECT_EQ(first->bots(0).status(), "active");
  EXPECT_EQ(first->bots(0).list_id(), "l1");
  bots.set_cursor(first->next());
  EXPECT_EQ(search_.bots(bots)->bots(0).id(), "b2");
  EXPECT_TRUE(search_.bots(bots)->next().empty());

  searchpb::SearchListsRequest lists;
  lists.set_bot_id("b1");
  lists.add_statuses("assigned");
  EXPECT_EQ(search_.lists(lists)->lists_size(), 1);
  tell(depot::topic_names(), of_list<depotapi::ShoppingStranded>("l1", "o1"));
  tell(depot::topic_names(), about<depotapi::BotWentOffline>("b1"));
  tell(depot::topic_names(), about<depotapi::BotIdled>("b1"));
  EXPECT_EQ(search_.lists(lists)->lists_size(), 0);
  EXPECT_EQ(search_.bots({})->bots(0).status(), "offline");
  EXPECT_TRUE(search_.bots({})->bots(0).list_id().empty());
  tell(depot::topic_names(), of_list<depotapi::ShoppingListCanceled>("l1", "o1"));
  tell(depot::topic_names(), of_list<depotapi::ShoppingListAvailable>("l1", "o1"));
  EXPECT_EQ(search_.lists({})->lists(0).status(), "canceled");
}

TEST_F(SearchTest, HostileQuestionsAreRefused) {
  order("o1");
  searchpb::SearchOrdersRequest wanted;
  wanted.set_cursor("7b.22");
  EXPECT_EQ(refusal_of(search_.orders(wanted)), RefusalKind::kInvalid);
  wanted.set_cursor("x");
  EXPECT_EQ(refusal_of(search_.orders(wanted)), RefusalKind::kInvalid);
  wanted = {};
  wanted.set_limit(-1);
  EXPECT_EQ(refusal_of(search_.orders(wanted)), RefusalKind::kInvalid);
  wanted = {};
  wanted.add_statuses("\xc3\x28");
  EXPECT_EQ(refusal_of(search_.orders(wanted)), RefusalKind::kInvalid);
  wanted = {};
  for (int i = 0; i <= kMaxWanted; ++i) wanted.add_store_ids("s");
  EXPECT_EQ(refusal_of(search_.orders(wanted)), RefusalKind::kInvalid);
  wanted = {};
  wanted.set_customer_id(std::string(10'000, 'x'));
  EXPECT_EQ(refusal_of(search_.orders(wanted)), RefusalKind::kInvalid);
  wanted = {};
  wanted.set_id_starts_with("' or 1 = 1 --");
  EXPECT_TRUE(ids(wanted).empty());
  EXPECT_EQ(refusal_of(search_.order("o2")), RefusalKind::kUnknown);
}

TEST_F(SearchTest, BuiltAnewFromTheLogItFindsTheSame) {
  order("o1");
  tell(orders::topic_names(), readied("o1", 250));
  const std::string before = search_.order("o1")->SerializeAsString();
  ASSERT_TRUE(runner_.rebuild());
  order("o2");  // both builds hear it
  catch_up();
  EXPECT_EQ(runner_.builds()->back().state, toolkit::BuildState::kLive);
  EXPECT_EQ(search_.order("o1")->SerializeAsString(), before);
  EXPECT_EQ(ids({}).size(), 2U);
}

}  // namespace
}  // namespace mallbots::search
