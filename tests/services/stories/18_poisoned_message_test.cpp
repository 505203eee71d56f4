// Story 18: a poisoned message goes to the dead letters and holds up nobody. Once what made it fail
// is mended, it is replayed and has its effect.
#include "clients/toolkit/cqrs/buses.h"
#include "clients/toolkit/shm_bus.h"
#include "services/depot/contract.h"
#include "tests/services/mall/mall_fixture.h"
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

const std::string kTopic = "mallbots.depot.events.ShoppingList";

class PoisonedMessage : public StoryTest {
 protected:
  /// The depot tells of an order that does not exist, or nothing that can be read.
  void poison(const std::string& order) {
    const auto connection =
        client::Connection::open({.runtime_dir = mall().daemon().runtime_dir()}).value();
    toolkit::ShmBus bus(*connection);
    const toolkit::EventBus events(depot::topic_names());
    depotapi::ShoppingStarted started;
    started.set_id("l-of-" + order);
    started.set_order_id(order);
    ASSERT_TRUE(events.publish(bus, started));
  }
  std::size_t letters() {
    const std::string all = mallbots({"dlq", "list", kTopic, "-g", "orders", "--format", "json"});
    std::size_t count = 0;
    for (auto at = all.find("died_ms"); at != std::string::npos; at = all.find("died_ms", at + 1))
      ++count;
    return count;
  }
};

MALLBOTS_BOTH_WAYS(PoisonedMessage);

TEST_P(PoisonedMessage, WaitsAmongTheDeadLettersUntilItIsReplayed) {
  Customer late(*this);
  late.put("mug", 2);
  late.put("cake", 1);
  poison(late.order());  // ahead of the order
  ASSERT_TRUE(eventually([this] { return letters() == 1; }));

  Customer ada(*this);  // everybody else goes on
  ada.is_approved();
  Robot robbie(*this, "b1");
  robbie.connect();
  robbie.start();
  wait_for(ada.order(), "in-progress");

  EXPECT_EQ(late.submit().status, 201);
  wait_for(late.order(), "approved");
  mallbots({"dlq", "replay", kTopic, "-g", "orders", "--all", "--execute"});
  wait_for(late.order(), "in-progress");
  EXPECT_EQ(letters(), 0U);
}

}  // namespace
}  // namespace mallbots::test
