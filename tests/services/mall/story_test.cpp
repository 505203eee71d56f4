#include "services/mall/story.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "clients/toolkit/cqrs/buses.h"
#include "clients/toolkit/in_process_bus.h"
#include "services/depot/contract.h"
#include "services/orders/contract.h"
#include "services/stores/contract.h"
#include "tests/clients/toolkit/reading.h"

namespace mallbots::mall {
namespace {

class StoryTest : public testing::Test {
 protected:
  /// As it would lie in the log: `id` names it, `cause` the one it came from.
  template <class Body>
  void tell(const toolkit::TopicNames& names, const Body& body, const std::string& id,
            const toolkit::Cause& cause) {
    toolkit::Draft draft = toolkit::encode(body);
    draft.id = id;
    toolkit::fill(draft, cause);
    const toolkit::DraftRecord record(draft);
    const std::string topic = names.topic_of(toolkit::kMessageType<Body>);
    const auto message = client::as_message(
        record.record(), {.topic = topic, .offset = history_.size(), .timestamp_ms = next_ms_});
    ASSERT_TRUE(message);
    history_.push_back(fact_of(toolkit::Message{message->view()}));
  }
  template <class Body>
  static Body about(const std::string& id) {
    Body body;
    body.set_id(id);
    return body;
  }
  static std::vector<std::string> names(const std::vector<Fact>& facts) {
    std::vector<std::string> all;
    for (const Fact& fact : facts) all.push_back(fact.name);
    return all;
  }
  void an_order_and_another() {
    const toolkit::Cause submit{.correlation_id = "r1", .causation_id = "r1", .actor = "kiosk:3"};
    tell(orders::topic_names(), about<ordersapi::CartCheckedOut>("o1"), "m1", submit);
    tell(orders::topic_names(), about<ordersapi::OrderCreated>("o1"), "m2",
         {.correlation_id = "r1", .causation_id = "m1", .actor = "kiosk:3"});
    depotapi::CreateShoppingList create;
    create.set_order_id("o1");
    // The cause is read from a topic that comes later in the alphabet.
    tell(depot::topic_names(), create, "m3",
         {.correlation_id = "r1", .causation_id = "m2", .actor = {}});
    depotapi::ShoppingListAvailable available;
    available.set_id("l1");
    available.set_order_id("o1");
    tell(depot::topic_names(), available, "m4",
         {.correlation_id = "r1", .causation_id = "m3", .actor = {}});
    next_ms_ += 1'500;
    auto picked = about<depotapi::ItemsPickedUp>("l1");  // names no order
    tell(depot::topic_names(), picked, "m5", {.correlation_id = "r2", .actor = "bot:b1"});
    tell(orders::topic_names(), about<ordersapi::OrderCreated>("o2"), "m6",
         {.correlation_id = "r3", .actor = "kiosk:4"});
  }
  std::vector<Fact> history_;
  UnixMillis next_ms_ = 1'700'000'000'000;
};

TEST_F(StoryTest, AnOrdersStoryHoldsItsListsAndCommandsACauseFirst) {
  an_order_and_another();
  std::ranges::reverse(history_);
  EXPECT_EQ(names(story_of(history_, "o1")),
            (std::vector<std::string>{"CartCheckedOut", "OrderCreated", "CreateShoppingList",
                                      "ShoppingListAvailable", "ItemsPickedUp"}));
  EXPECT_TRUE(story_of(history_, "o9").empty());
}

TEST_F(StoryTest, IsShownWithTimesTopicsAndWho) {
  an_order_and_another();
  const std::string shown = shown_story(story_of(history_, "o1"));
  EXPECT_NE(shown.find("2023-11-14 22:13:20.000"), std::string::npos) << shown;
  EXPECT_NE(shown.find("+1.500 s"), std::string::npos) << shown;
  EXPECT_NE(shown.find("mallbots.orders.events.Order"), std::string::npos) << shown;
  EXPECT_NE(shown.find("by kiosk:3"), std::string::npos) << shown;
}

TEST_F(StoryTest, AnAuditNamesWhoEvenIfOnlyTheCauseDoes) {
  an_order_and_another();
  const auto audit = audit_of(history_, "l1");
  ASSERT_EQ(audit.size(), 2U);
  EXPECT_EQ(audit[0].actor, "kiosk:3");
  EXPECT_EQ(audit[0].correlation, "r1");
  EXPECT_EQ(audit[1].actor, "bot:b1");
  EXPECT_NE(shown_audit(audit).find("bot:b1"), std::string::npos);
}

TEST_F(StoryTest, AnAuditShowsWhatWasChangedInternalEventsToo) {
  const toolkit::Cause ann{.correlation_id = "r1", .actor = "staff:ann"};
  auto denied = about<storesapi::StoreParticipationDenied>("s1");
  denied.set_reason("no robot fits\n\x1b[2J through the door");
  tell(stores::topic_names(), denied, "m1", ann);
  auto dearer = about<storesapi::ProductPriceIncreased>("p1");
  dearer.mutable_price()->set_minor(300);
  dearer.mutable_price()->set_currency("GBP");
  tell(stores::topic_names(), dearer, "m2", ann);
  const std::string shown = shown_audit(audit_of(history_, "s1"));
  EXPECT_NE(shown.find("staff:ann  r1  StoreParticipationDenied"), std::string::npos) << shown;
  EXPECT_EQ(shown.find('\x1b'), std::string::npos) << "what steers a terminal goes to none";
  EXPECT_EQ(std::ranges::count(shown, '\n'), 1);
  EXPECT_NE(shown_audit(audit_of(history_, "p1")).find("price=3.00 GBP"), std::string::npos);
}

TEST_F(StoryTest, CausesThatCauseEachOtherAreToldAllTheSame) {
  tell(orders::topic_names(), about<ordersapi::OrderCreated>("o1"), "m1", {.causation_id = "m2"});
  tell(orders::topic_names(), about<ordersapi::OrderStarted>("o1"), "m2", {.causation_id = "m1"});
  EXPECT_EQ(story_of(history_, "o1").size(), 2U);
  EXPECT_EQ(audit_of(history_, "o1").size(), 2U);
}

TEST(History, RobotsPositionsAndDeadLettersAreNoHistory) {
  EXPECT_TRUE(is_of_history("mallbots.orders.events.Order"));
  EXPECT_TRUE(is_of_history("commands.CreateShoppingList"));
  EXPECT_FALSE(is_of_history("mallbots.fleet.positions"));
  EXPECT_FALSE(is_of_history("mallbots.orders.events.Order.depot.orders.dlq"));
  EXPECT_FALSE(is_of_history("somebody.else"));
}

}  // namespace
}  // namespace mallbots::mall
