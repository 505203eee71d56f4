#include "services/depot/app/depot.h"

#include "tests/services/service_fixture.h"

namespace mallbots::depot {
namespace {

using test::refusal_of;
using toolkit::Context;

/// Wall time in the test's hand; the depot asks for nothing else.
class Wall final : public toolkit::Clock {
 public:
  [[nodiscard]] BootNanos now_ns() const noexcept override { return 0; }
  [[nodiscard]] UnixMillis wall_ms() const noexcept override { return now_ms; }
  void wait(std::unique_lock<std::mutex>&, std::condition_variable&, Deadline, BootNanos) override {
  }
  UnixMillis now_ms = 1'000'000;
};

class DepotTest : public test::ServiceTest {
 protected:
  std::expected<depotapi::CreatedShoppingList, toolkit::HandlerFailure> ask_for_list(
      const std::string& order, int quantity = 2) {
    depotapi::CreateShoppingList command;
    command.set_order_id(order);
    depotapi::Item* item = command.add_items();
    item->set_product_id("mug");
    item->set_product_name("Mug");
    item->set_store_id("s1");
    item->set_store_name("Tea House");
    item->set_store_location("10,4");
    item->set_quantity(quantity);
    std::expected<depotapi::CreatedShoppingList, toolkit::HandlerFailure> answer;
    static_cast<void>(deliver(command, [&](Context& context, const auto& body) -> toolkit::Handled {
      answer = depot_->create(context, body);
      if (!answer) return std::unexpected(answer.error());
      return {};
    }));
    return answer;
  }
  toolkit::Handled initiate(const std::string& list) {
    depotapi::InitiateShopping command;
    command.set_id(list);
    return deliver(command, [&](Context& context, const auto& body) {
      return depot_->initiate(context, body);
    });
  }
  toolkit::Handled cancel(const std::string& list) {
    ordersapi::OrderCanceled event;
    event.set_id("o1");
    event.set_shopping_id(list);
    event.set_reason("changed my mind");
    return deliver(event, [&](Context& context, const auto& body) {
      return depot_->on_order_canceled(context, body);
    });
  }
  std::string available_list(const std::string& order = "o1") {
    const std::string id = ask_for_list(order)->id();
    EXPECT_TRUE(initiate(id).has_value());
    return id;
  }
  /// b1 has it and has everything of it.
  std::string list_on_its_way_home() {
    const std::string id = available_list();
    const auto welcome = depot_->hello("b1", "Robbie").value();
    EXPECT_EQ(welcome.list_id, id);
    const Depot::Reporter robbie{"b1", welcome.epoch, id};
    const ItemReport two_mugs[] = {{"mug", 2, 0}};
    EXPECT_TRUE(depot_->started(robbie));
    EXPECT_TRUE(depot_->arrived_at_store(robbie, "s1"));
    EXPECT_TRUE(depot_->items_picked(robbie, "s1", two_mugs));
    return id;
  }
  ListStatus status(const std::string& list) { return depot_->list(list)->status; }
  std::string robot_of(const std::string& list) { return depot_->list(list)->bot_id; }

  Wall wall_;
  std::unique_ptr<Depot> depot_ = Depot::open(units(), wall_).value();
};

TEST_F(DepotTest, FromTheOrderToTheCount) {
  const std::string id = list_on_its_way_home();
  ASSERT_TRUE(depot_->arrived_at_depot({"b1", 1, id}));
  const ItemCount counted[] = {{"mug", 2}};
  ASSERT_TRUE(depot_->take_inventory(id, counted));
  EXPECT_EQ(status(id), ListStatus::kCompleted);
  EXPECT_EQ(depot_->bot("b1")->status, BotStatus::kIdle);
  EXPECT_EQ(told("mallbots.depot.events.ShoppingList"),
            (std::vector<std::string>{"ShoppingListAvailable_v1", "ShoppingListAssigned_v1",
                                      "ShoppingStarted_v1", "BotArrivedAtStore_v1",
                                      "ItemsPickedUp_v1", "ShoppingFinished_v1",
                                      "BotArrivedAtDepot_v1", "ShoppingListCompleted_v1"}));
  EXPECT_EQ(told("mallbots.depot.events.Bot"),
            (std::vector<std::string>{"BotCameOnline_v1", "BotActivated_v1", "BotIdled_v1"}));
  const auto completed = all_of<depotapi::ShoppingListCompleted>(topic_names());
  ASSERT_EQ(completed.size(), 1U);
  EXPECT_EQ(completed[0].order_id(), "o1");
  EXPECT_EQ(completed[0].items(0).quantity(), 2);
}

TEST_F(DepotTest, AnOrderGetsOneListHoweverOftenItIsAskedFor) {
  const std::string id = ask_for_list("o1")->id();
  EXPECT_EQ(ask_for_list("o1")->id(), id);
  EXPECT_NE(ask_for_list("o2")->id(), id);
  EXPECT_EQ(ask_for_list("o3", -1).error().type, "Refused");
}

TEST_F(DepotTest, OldestListGoesToTheRobotIdleLongest) {
  ASSERT_TRUE(depot_->hello("b2", "Second"));
  wall_.now_ms += 10;
  ASSERT_TRUE(depot_->hello("b1", "First"));
  const std::string first = ask_for_list("o1")->id();
  wall_.now_ms += 10;
  const std::string second = ask_for_list("o2")->id();
  ASSERT_TRUE(initiate(second).has_value());
  ASSERT_TRUE(initiate(first).has_value());
  EXPECT_EQ(robot_of(second), "b2");
  EXPECT_EQ(robot_of(first), "b1");
}

TEST_F(DepotTest, ADeclinedListGoesToTheNextRobotAndKeepsItsPlace) {
  const std::string id = available_list();
  const auto welcome = depot_->hello("b1", "Robbie").value();
  wall_.now_ms += 10;
  ASSERT_TRUE(depot_->hello("b2", "Other"));
  wall_.now_ms += 10;
  ASSERT_TRUE(depot_->decline({"b1", welcome.epoch, id}));
  EXPECT_EQ(robot_of(id), "b2");
  EXPECT_EQ(depot_->bot("b1")->status, BotStatus::kIdle);
}

TEST_F(DepotTest, DecliningAListThatIsNotInHandFreesNoRobot) {
  const std::string in_hand = available_list("o1");
  const auto welcome = depot_->hello("b1", "Robbie").value();
  ASSERT_TRUE(depot_->started({"b1", welcome.epoch, in_hand}));
  const std::string waiting = available_list("o2");
  ASSERT_TRUE(depot_->decline({"b1", welcome.epoch, waiting}));
  EXPECT_EQ(depot_->bot("b1")->list_id, in_hand);
  EXPECT_EQ(depot_->bot("b1")->status, BotStatus::kActive);
  EXPECT_EQ(status(waiting), ListStatus::kAvailable);
  EXPECT_TRUE(depot_->arrived_at_store({"b1", welcome.epoch, in_hand}, "s1"));
}

TEST_F(DepotTest, ADeclineThatComesAgainAfterTheOfferEndedLeavesTheNextListInHand) {
  const std::string older = ask_for_list("o1")->id();
  wall_.now_ms += 10;
  const std::string offered = available_list("o2");
  const auto welcome = depot_->hello("b1", "Robbie").value();
  ASSERT_EQ(welcome.list_id, offered);
  ASSERT_TRUE(depot_->stream_ended("b1", welcome.epoch));  // its Decline was on the way
  wall_.now_ms += 10'001;
  ASSERT_TRUE(depot_->tick());
  ASSERT_TRUE(initiate(older).has_value());
  const auto again = depot_->hello("b1", "Robbie").value();
  ASSERT_EQ(again.list_id, older);
  ASSERT_TRUE(depot_->decline({"b1", again.epoch, offered, 1}));
  EXPECT_EQ(depot_->bot("b1")->list_id, older);
  EXPECT_EQ(robot_of(older), "b1");
  EXPECT_EQ(robot_of(offered), "");
}

TEST_F(DepotTest, AnOfferThatNobodyAnswersGoesToAnotherRobot) {
  const std::string id = available_list();
  ASSERT_TRUE(depot_->hello("b1", "Robbie"));
  ASSERT_TRUE(depot_->hello("b2", "Other"));
  wall_.now_ms += 8'000;
  ASSERT_TRUE(depot_->tick());
  ASSERT_TRUE(depot_->heartbeat("b1", 1));
  ASSERT_TRUE(depot_->heartbeat("b2", 1));
  EXPECT_EQ(robot_of(id), "b1");
  wall_.now_ms += 2'001;
  ASSERT_TRUE(depot_->tick());
  EXPECT_EQ(robot_of(id), "b2");
}

TEST_F(DepotTest, AnOlderConnectionOfARobotActsNoMore) {
  const std::string id = available_list();
  const auto first = depot_->hello("b1", "Robbie").value();
  const auto second = depot_->hello("b1", "Robbie").value();
  EXPECT_EQ(second.list_id, id);
  EXPECT_EQ(refusal_of(depot_->started({"b1", first.epoch, id})), RefusalKind::kConflict);
  EXPECT_EQ(refusal_of(depot_->heartbeat("b1", first.epoch)), RefusalKind::kConflict);
  ASSERT_TRUE(depot_->stream_ended("b1", first.epoch));
  EXPECT_TRUE(depot_->started({"b1", second.epoch, id}));
}

TEST_F(DepotTest, ASilentRobotLosesItsListAfterTheGraceTimeAndAnotherFinishes) {
  const std::string id = list_on_its_way_home();
  wall_.now_ms += 9'001;
  ASSERT_TRUE(depot_->tick());
  EXPECT_EQ(depot_->bot("b1")->status, BotStatus::kOffline);
  EXPECT_EQ(robot_of(id), "b1");
  wall_.now_ms += 60'001;
  ASSERT_TRUE(depot_->tick());
  EXPECT_EQ(status(id), ListStatus::kAvailable);
  const auto other = depot_->hello("b2", "Other").value();
  EXPECT_EQ(other.list_id, id);
  ASSERT_TRUE(depot_->started({"b2", other.epoch, id}));
  ASSERT_TRUE(depot_->arrived_at_depot({"b2", other.epoch, id}));
  const auto late = depot_->hello("b1", "Robbie").value();
  EXPECT_EQ(late.list_id, "");
  EXPECT_EQ(refusal_of(depot_->arrived_at_depot({"b1", late.epoch, id})), RefusalKind::kForbidden);
  EXPECT_EQ(all_of<depotapi::ShoppingStranded>(topic_names()).size(), 1U);
}

TEST_F(DepotTest, ARobotAtTheDepotMayFallAsleepThere) {
  const std::string id = list_on_its_way_home();
  ASSERT_TRUE(depot_->arrived_at_depot({"b1", 1, id}));
  wall_.now_ms += 100'000;
  ASSERT_TRUE(depot_->tick());
  wall_.now_ms += 100'000;
  ASSERT_TRUE(depot_->tick());
  EXPECT_EQ(robot_of(id), "b1");
  const ItemCount counted[] = {{"mug", 1}};
  EXPECT_TRUE(depot_->take_inventory(id, counted));
  EXPECT_EQ(depot_->bot("b1")->list_id, "");
}

TEST_F(DepotTest, ACanceledListFreesTheRobotThatHasNotBegun) {
  const std::string id = available_list();
  ASSERT_TRUE(depot_->hello("b1", "Robbie"));
  ASSERT_TRUE(cancel(id).has_value());
  EXPECT_EQ(status(id), ListStatus::kCanceled);
  EXPECT_EQ(depot_->bot("b1")->status, BotStatus::kIdle);
  EXPECT_TRUE(cancel(id).has_value());
}

TEST_F(DepotTest, ACanceledListKeepsTheRobotUntilItsCargoIsEmptied) {
  const std::string id = list_on_its_way_home();
  ASSERT_TRUE(cancel(id).has_value());
  const auto canceled = all_of<depotapi::ShoppingListCanceled>(topic_names());
  ASSERT_EQ(canceled.size(), 1U);
  EXPECT_EQ(canceled[0].bot_id(), "b1");
  EXPECT_EQ(depot_->bot("b1")->status, BotStatus::kActive);
  const auto again = depot_->hello("b1", "Robbie").value();
  EXPECT_EQ(again.list_id, id);
  ASSERT_TRUE(depot_->emptied({"b1", again.epoch, id}));
  ASSERT_TRUE(depot_->emptied({"b1", again.epoch, id}));
  EXPECT_EQ(depot_->bot("b1")->status, BotStatus::kIdle);
}

TEST_F(DepotTest, ACancellationAfterTheCountChangesNothing) {
  const std::string id = list_on_its_way_home();
  ASSERT_TRUE(depot_->arrived_at_depot({"b1", 1, id}));
  const ItemCount counted[] = {{"mug", 2}};
  ASSERT_TRUE(depot_->take_inventory(id, counted));
  EXPECT_TRUE(cancel(id).has_value());
  EXPECT_EQ(status(id), ListStatus::kCompleted);
}

TEST_F(DepotTest, StopsComeBackFromTheDatabaseAsTheyWere) {
  const std::string id = list_on_its_way_home();
  const ShoppingList list = depot_->list(id).value();
  ASSERT_EQ(list.stops.size(), 1U);
  EXPECT_EQ(list.stops[0].state, Stop::State::kDone);
  EXPECT_EQ(list.stops[0].store_location, "10,4");
  EXPECT_EQ(list.stops[0].items[0].picked, 2U);
  EXPECT_EQ(list.phase, Phase::kReturning);
}

TEST_F(DepotTest, AReportThatComesAgainGetsTheAnswerThatItGot) {
  const std::string id = available_list();
  const auto first = depot_->hello("b1", "Robbie").value();
  const ItemReport two_mugs[] = {{"mug", 2, 0}};
  ASSERT_TRUE(depot_->accepted({"b1", first.epoch, id, 1}));
  ASSERT_TRUE(depot_->started({"b1", first.epoch, id, 2}));
  // Too early, and for good: what happens later does not make it right.
  EXPECT_EQ(refusal_of(depot_->arrived_at_depot({"b1", first.epoch, id, 3})),
            RefusalKind::kWrongState);
  ASSERT_TRUE(depot_->arrived_at_store({"b1", first.epoch, id, 4}, "s1"));
  ASSERT_TRUE(depot_->items_picked({"b1", first.epoch, id, 5}, "s1", two_mugs));
  ASSERT_TRUE(depot_->arrived_at_depot({"b1", first.epoch, id, 6}));
  const ItemCount counted[] = {{"mug", 2}};
  ASSERT_TRUE(depot_->take_inventory(id, counted));
  const auto told_before = told("mallbots.depot.events.ShoppingList");

  const auto again = depot_->hello("b1", "Robbie").value();
  EXPECT_EQ(again.last_sequence, 6U);
  EXPECT_TRUE(depot_->started({"b1", again.epoch, id, 2}));
  EXPECT_EQ(refusal_of(depot_->arrived_at_depot({"b1", again.epoch, id, 3})),
            RefusalKind::kWrongState);
  EXPECT_TRUE(depot_->items_picked({"b1", again.epoch, id, 5}, "s1", two_mugs));
  EXPECT_TRUE(depot_->arrived_at_depot({"b1", again.epoch, id, 6}));
  EXPECT_EQ(refusal_of(depot_->arrived_at_depot({"b1", first.epoch, id, 6})),
            RefusalKind::kConflict);
  EXPECT_EQ(told("mallbots.depot.events.ShoppingList"), told_before);
  EXPECT_EQ(status(id), ListStatus::kCompleted);
}

TEST_F(DepotTest, AnswersAreKeptForTheLastReportsOnly) {
  const auto welcome = depot_->hello("b1", "Robbie").value();
  for (std::uint64_t i = 1; i <= 70; ++i) {
    EXPECT_EQ(refusal_of(depot_->started({"b1", welcome.epoch, "none", i})), RefusalKind::kUnknown);
  }
  EXPECT_EQ(refusal_of(depot_->started({"b1", welcome.epoch, "none", 6})), RefusalKind::kInvalid);
  EXPECT_EQ(refusal_of(depot_->started({"b1", welcome.epoch, "none", 7})), RefusalKind::kUnknown);
}

TEST_F(DepotTest, ManyHeartbeatsAtOnceTellWhichConnectionsAreOver) {
  const auto first = depot_->hello("b1", "Robbie").value();
  const auto second = depot_->hello("b1", "Robbie").value();
  const auto other = depot_->hello("b2", "Other").value();
  wall_.now_ms += 8'000;
  const Depot::Connection heard[] = {
      {"b1", first.epoch}, {"b1", second.epoch}, {"b2", other.epoch}, {"b3", 1}};
  const auto over = depot_->heartbeats(heard).value();
  ASSERT_EQ(over.size(), 2U);
  EXPECT_EQ(over[0].epoch, first.epoch);
  EXPECT_EQ(over[1].bot_id, "b3");
  wall_.now_ms += 8'000;
  ASSERT_TRUE(depot_->tick());
  EXPECT_EQ(depot_->bot("b1")->status, BotStatus::kIdle);
}

TEST_F(DepotTest, NobodyKnowsStrangers) {
  EXPECT_EQ(refusal_of(depot_->list("none")), RefusalKind::kUnknown);
  EXPECT_EQ(refusal_of(depot_->bot("none")), RefusalKind::kUnknown);
  EXPECT_EQ(refusal_of(depot_->heartbeat("none", 1)), RefusalKind::kUnknown);
  EXPECT_EQ(initiate("none").error().type, "Refused");
}

}  // namespace
}  // namespace mallbots::depot
