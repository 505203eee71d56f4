#include "services/gateways/admin/board.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>

#include "clients/toolkit/cqrs/codec.h"
#include "services/customers/contract.h"
#include "services/depot/contract.h"
#include "services/orders/contract.h"
#include "services/payments/contract.h"
#include "services/stores/contract.h"

namespace mallbots::gateways {
namespace {

using nlohmann::json;

class OnBoard : public ::testing::Test {
 protected:
  template <class Event>
  bool take(Board& board, const Event& event, const std::string& id) {
    return board.take(toolkit::kMessageType<Event>.wire_name(), event.SerializeAsString(),
                      ++now_ms_, id);
  }
  template <class Event>
  bool take(const Event& event, const std::string& id) {
    return take(board_, event, id);
  }
  template <class Event>
  void tell(const Event& event, Board& board) {
    EXPECT_TRUE(take(board, event, "event-" + std::to_string(now_ms_)));
  }
  template <class Event>
  void tell(const Event& event) {
    tell(event, board_);
  }

  /// All rows of a topic, by id.
  std::map<std::string, json> rows(BoardTopic topic, const RowFilter& filter = {},
                                   bool with_moments = false) {
    std::map<std::string, json> all;
    Place place;
    while (true) {
      const auto message = board_.message_for({topic, "t", filter, with_moments}, place);
      place = message.after;
      if (message.text.empty()) return all;
      const json read = json::parse(message.text);
      for (const json& row : read.at("rows")) all[row.at("id")] = row;
      if (!message.more) return all;
    }
  }

  void create(const std::string& id, std::int64_t minor = 500, const std::string& store = "s1") {
    ordersapi::OrderCreated event;
    event.set_id(id);
    event.set_customer_id("c1");
    event.mutable_total()->set_minor(minor);
    event.mutable_total()->set_currency("GBP");
    auto& line = *event.add_lines();
    line.set_product_id("p");
    line.set_store_id(store);
    line.set_quantity(2);
    tell(event);
  }
  template <class Event>
  void tell_of_order(const std::string& id) {
    Event event;
    event.set_id(id);
    tell(event);
  }
  template <class Event>
  void tell_of_list(const std::string& id, const std::string& order, const std::string& bot = {}) {
    Event event;
    event.set_id(id);
    if constexpr (requires { event.set_order_id(order); }) event.set_order_id(order);
    if constexpr (requires { event.set_bot_id(bot); }) event.set_bot_id(bot);
    tell(event);
  }
  template <class Event>
  void tell_of_invoice(const std::string& id, std::int64_t minor) {
    Event event;
    event.set_id(id);
    event.set_order_id(id);
    event.mutable_amount()->set_minor(minor);
    event.mutable_amount()->set_currency("GBP");
    tell(event);
  }

  UnixMillis now_ms_ = 1'000;
  Board board_{"run1"};
};

TEST_F(OnBoard, OrderIsFollowedThroughAllContexts) {
  create("o1");
  tell_of_order<ordersapi::OrderApproved>("o1");
  tell_of_invoice<paymentsapi::InvoiceCreated>("o1", 500);
  tell_of_list<depotapi::ShoppingListAvailable>("l1", "o1");
  tell_of_list<depotapi::ShoppingListAssigned>("l1", "o1", "b1");
  tell_of_list<depotapi::ShoppingStarted>("l1", "o1", "b1");
  tell_of_order<ordersapi::OrderStarted>("o1");
  tell_of_list<depotapi::BotArrivedAtDepot>("l1", "", "b1");
  EXPECT_EQ(rows(BoardTopic::kLists)["l1"]["phase"], "at-depot");
  tell_of_list<depotapi::ShoppingListCompleted>("l1", "o1");
  ordersapi::OrderReadied readied;
  readied.set_id("o1");
  readied.mutable_total()->set_minor(250);
  readied.mutable_total()->set_currency("GBP");
  tell(readied);
  tell_of_invoice<paymentsapi::InvoiceAdjusted>("o1", 250);
  tell_of_invoice<paymentsapi::InvoicePaid>("o1", 250);
  tell_of_order<ordersapi::OrderPaid>("o1");
  tell_of_order<ordersapi::OrderCompleted>("o1");

  const json order = rows(BoardTopic::kOrders, {.key = "o1"}, true)["o1"];
  EXPECT_EQ(order["status"], "completed");
  EXPECT_EQ(order["total"]["minor"], 250);
  EXPECT_EQ(order["bot_id"], "b1");
  EXPECT_EQ(order["shopping_id"], "l1");
  EXPECT_EQ(order["invoice_state"], "paid");
  EXPECT_EQ(order["paid"], true);
  EXPECT_EQ(order["moments"].size(), 14U);
  EXPECT_EQ(order["moments"][0]["what"], "OrderCreated");
  EXPECT_EQ(order["moments"][13]["what"], "OrderCompleted");
  EXPECT_EQ(rows(BoardTopic::kLists)["l1"]["status"], "completed");
  const json invoice = rows(BoardTopic::kInvoices)["o1"];
  EXPECT_EQ(invoice["first_amount"]["minor"], 500);
  EXPECT_EQ(invoice["amount"]["minor"], 250);
  EXPECT_EQ(json::parse(*board_.moments_of("o1")).size(), 14U);
  EXPECT_FALSE(board_.moments_of("o2"));
}

TEST_F(OnBoard, WhatIsHeardBeforeTheOrderIsCreatedIsNotLost) {
  tell_of_list<depotapi::ShoppingListAvailable>("l1", "o1");
  tell_of_invoice<paymentsapi::InvoiceCreated>("o1", 500);
  EXPECT_TRUE(rows(BoardTopic::kOrders).empty());
  create("o1");
  const json order = rows(BoardTopic::kOrders)["o1"];
  EXPECT_EQ(order["shopping_id"], "l1");
  EXPECT_EQ(order["invoice_state"], "pending");
  EXPECT_EQ(order["customer_name"], "");
  customersapi::CustomerRegistered registered;
  registered.set_id("c1");
  registered.set_name("Ada");
  tell(registered);
  EXPECT_EQ(rows(BoardTopic::kOrders)["o1"]["customer_name"], "Ada");
}

TEST_F(OnBoard, AnEventThatIsPublishedAgainIsTakenOnce) {
  create("o1");
  tell_of_list<depotapi::ShoppingStarted>("l1", "o1", "b1");
  depotapi::ItemsPickedUp picked;
  picked.set_id("l1");
  picked.add_picked()->set_quantity(2);
  picked.add_unavailable()->set_quantity(1);
  EXPECT_TRUE(take(picked, "e1"));
  tell_of_list<depotapi::ShoppingFinished>("l1", "o1");
  paymentsapi::InvoiceRefunded refunded;
  refunded.set_id("o1");
  refunded.set_order_id("o1");
  refunded.mutable_amount()->set_minor(100);
  EXPECT_TRUE(take(refunded, "e2"));
  ordersapi::OrderCanceled canceled;
  canceled.set_id("o1");
  EXPECT_TRUE(take(canceled, "e3"));
  const std::uint64_t version = board_.version();

  EXPECT_FALSE(take(picked, "e1"));
  EXPECT_FALSE(take(refunded, "e2"));
  EXPECT_FALSE(take(canceled, "e3"));
  EXPECT_EQ(board_.version(), version);
  EXPECT_EQ(rows(BoardTopic::kLists)["l1"]["stops_done"], 1);
  EXPECT_EQ(rows(BoardTopic::kLists)["l1"]["picked"], 2);
  EXPECT_EQ(rows(BoardTopic::kLists)["l1"]["unavailable"], 1);
  EXPECT_EQ(rows(BoardTopic::kInvoices)["o1"]["refunded"]["minor"], 100);
  EXPECT_EQ(json::parse(*board_.moments_of("o1")).size(), 6U);
  EXPECT_EQ(board_.take_figures().closed_otherwise, 1U);

  EXPECT_TRUE(take(refunded, "e4")) << "another one of the same content";
  EXPECT_EQ(rows(BoardTopic::kInvoices)["o1"]["refunded"]["minor"], 200);
}

TEST_F(OnBoard, StrandedListWaitsAgainWithoutARobot) {
  create("o1");
  tell_of_list<depotapi::ShoppingStarted>("l1", "o1", "b1");
  tell_of_list<depotapi::ShoppingStranded>("l1", "o1", "b1");
  const json list = rows(BoardTopic::kLists)["l1"];
  EXPECT_EQ(list["status"], "available");
  EXPECT_EQ(list["bot_id"], "");
}

TEST_F(OnBoard, RobotsMoveAndGo) {
  depotapi::BotCameOnline online;
  online.set_id("b1");
  online.set_name("Robbie");
  tell(online);
  board_.take_position("b1", {.x = 3, .y = 4.5}, 77);
  depotapi::BotActivated activated;
  activated.set_id("b1");
  activated.set_list_id("l1");
  tell(activated);
  json bot = rows(BoardTopic::kBots)["b1"];
  EXPECT_EQ(bot["status"], "active");
  EXPECT_EQ(bot["y"], 4.5);
  EXPECT_EQ(board_.take_figures().bots_active, 1U);
  tell_of_order<depotapi::BotWentOffline>("b1");
  board_.take_position("b1", {.is_gone = true}, 78);
  bot = rows(BoardTopic::kBots)["b1"];
  EXPECT_EQ(bot["status"], "offline");
  EXPECT_FALSE(bot.contains("x"));
  tell(online);
  EXPECT_EQ(rows(BoardTopic::kBots)["b1"]["status"], "active");  // its list is in hand still
}

TEST_F(OnBoard, ALostRobotStaysOfflineWhenItsListIsTakenAway) {
  tell_of_order<depotapi::BotCameOnline>("b1");
  depotapi::BotActivated activated;
  activated.set_id("b1");
  activated.set_list_id("l1");
  tell(activated);
  tell_of_order<depotapi::BotWentOffline>("b1");
  tell_of_order<depotapi::BotIdled>("b1");
  json bot = rows(BoardTopic::kBots)["b1"];
  EXPECT_EQ(bot["status"], "offline");
  EXPECT_EQ(bot["list_id"], "");
  tell_of_order<depotapi::BotCameOnline>("b1");
  EXPECT_EQ(rows(BoardTopic::kBots)["b1"]["status"], "idle");
  tell(activated);
  tell_of_order<depotapi::BotIdled>("b1");
  EXPECT_EQ(rows(BoardTopic::kBots)["b1"]["status"], "idle");
}

TEST_F(OnBoard, StoresShowWhoAsksToTakePart) {
  storesapi::StoreCreated created;
  created.set_id("s1");
  created.set_name("<script>alert(1)</script>");
  created.set_location("3,4");
  tell(created);
  tell_of_order<storesapi::StoreParticipationRequested>("s1");
  const json store = rows(BoardTopic::kStores)["s1"];
  EXPECT_EQ(store["participation"], "requested");
  EXPECT_EQ(store["name"], "<script>alert(1)</script>");
  EXPECT_TRUE(rows(BoardTopic::kStores, {.by_store = true, .stores = {"s2"}}).empty());
  EXPECT_EQ(rows(BoardTopic::kStores, {.by_store = true, .stores = {"s1"}}).size(), 1U);
}

TEST_F(OnBoard, OldestClosedOrdersGoWithListAndInvoice) {
  Board small("run2", {.kept_closed = 2});
  const auto tell_small = [&](const auto& event) { tell(event, small); };
  for (const std::string id : {"o1", "o2", "o3"}) {
    ordersapi::OrderCreated created;
    created.set_id(id);
    tell_small(created);
    depotapi::ShoppingListAvailable list;
    list.set_id("l" + id);
    list.set_order_id(id);
    tell_small(list);
    ordersapi::OrderCompleted completed;
    completed.set_id(id);
    tell_small(completed);
  }
  const auto text = small.message_for({BoardTopic::kOrders, "orders", {}}, {}).text;
  EXPECT_EQ(text.find("\"o1\""), std::string::npos);
  EXPECT_NE(text.find("\"o2\""), std::string::npos);
  EXPECT_EQ(small.message_for({BoardTopic::kLists, "lists", {}}, {}).text.find("lo1"),
            std::string::npos);
}

// As after a start, when other topics are read behind the orders'.
TEST_F(OnBoard, WhatIsHeardOfDroppedOrdersIsBounded) {
  Board small("run2", {.kept_closed = 2, .kept_strangers = 3, .kept_removals = 10});
  const auto tell_small = [&](const auto& event) { tell(event, small); };
  const int orders = 50;
  for (int i = 0; i < orders; ++i) {
    ordersapi::OrderCreated created;
    created.set_id("o" + std::to_string(i));
    tell_small(created);
    if (i == orders - 1) continue;  // still open
    ordersapi::OrderCompleted completed;
    completed.set_id(created.id());
    tell_small(completed);
  }
  for (int i = 0; i < orders; ++i) {
    paymentsapi::InvoiceCreated invoice;
    invoice.set_id("o" + std::to_string(i));
    invoice.set_order_id(invoice.id());
    tell_small(invoice);
    depotapi::ShoppingListAvailable list;
    list.set_id("l" + std::to_string(i));
    list.set_order_id(invoice.id());
    tell_small(list);
    depotapi::BotArrivedAtDepot arrived;
    arrived.set_id(list.id());
    tell_small(arrived);
  }
  // Two that are closed, the open one, three strangers.
  for (const BoardTopic topic : {BoardTopic::kInvoices, BoardTopic::kLists}) {
    const json all = json::parse(small.message_for({topic, "t", {}}, {}).text)["rows"];
    EXPECT_EQ(all.size(), 6U) << all;
  }
  const json order =
      json::parse(small.message_for({BoardTopic::kOrders, "t", {}}, {}).text)["rows"];
  ASSERT_EQ(order.size(), 3U);
  for (const json& row : order) EXPECT_EQ(row["invoice_state"], "pending");
}

// Its beginning is not kept any more: without an order it would stay for good.
TEST_F(OnBoard, ListsWithoutABeginningAreNoRows) {
  depotapi::BotArrivedAtStore arrived;
  arrived.set_id("l1");
  arrived.set_store_id("s1");
  tell(arrived);
  EXPECT_TRUE(rows(BoardTopic::kLists).empty());
}

TEST_F(OnBoard, UnknownNamesAndBrokenPayloadsChangeNothing) {
  create("o1");
  const auto before = board_.version();
  EXPECT_FALSE(board_.take("OrderCreated_v9", "", 1, "e1"));
  EXPECT_FALSE(board_.take("", "x", 1, "e1"));
  EXPECT_FALSE(board_.take("OrderCreated_v1", "\xff\xff\xff\xff", 1, "e1"));
  EXPECT_EQ(board_.version(), before);
}

TEST_F(OnBoard, TopicsAreTheContracts) {
  const auto topics = Board::event_topics();
  EXPECT_EQ(std::set<std::string>(topics.begin(), topics.end()).size(), topics.size());
  for (const std::string& topic : topics) EXPECT_TRUE(topic.starts_with("mallbots.")) << topic;
}

TEST_F(OnBoard, ViewerWhoIsCutOffForLongMissesNothingOfTenThousandOrders) {
  for (int i = 0; i < 10'000; ++i) create("o" + std::to_string(i));
  EXPECT_EQ(rows(BoardTopic::kOrders).size(), 10'000U);
  const Board::Wish wish{BoardTopic::kOrders, "orders", {}};
  Place place;
  std::uint64_t last = 0;
  for (bool more = true; more;) {
    const auto message = board_.message_for(wish, place);
    place = message.after;
    last = json::parse(message.text).at("to");
    more = message.more;
  }
  for (int i = 0; i < 300; ++i) {
    tell_of_order<ordersapi::OrderApproved>("o" + std::to_string(i * 7));
  }
  const auto missed = board_.message_for(wish, board_.place_of(BoardTopic::kOrders, last));
  const json read = json::parse(missed.text);
  EXPECT_EQ(read["op"], "delta");
  EXPECT_EQ(read["from"], last);
  EXPECT_EQ(read["rows"].size(), 300U);
}

TEST_F(OnBoard, ReadersAndEventsDoNotWaitForEachOther) {
  const Board::Wish wish{BoardTopic::kOrders, "orders", {}};
  std::jthread reader([&](const std::stop_token& stop) {
    Place place;
    std::uint64_t last = 0;
    while (!stop.stop_requested()) {
      const auto message = board_.message_for(wish, place);
      place = message.after;
      if (message.text.empty()) continue;
      const json read = json::parse(message.text);
      if (read["from"] != 0) {
        EXPECT_EQ(read["from"], last);
      }
      last = read["to"];
    }
  });
  for (int i = 0; i < 2'000; ++i) create("o" + std::to_string(i % 100));
}

}  // namespace
}  // namespace mallbots::gateways
