// Story 11: a robot reconnects and says its last message again; the answer is the same, and nothing
// changes. What comes over the connection of before is refused.
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

STORY(RobotRepeatsItself, AndChangesNothing) {
  Customer ada(*this);
  ada.is_approved();
  Robot robbie(*this, "b1");
  robbie.connect();
  EXPECT_EQ(robbie.start(), "");
  EXPECT_EQ(robbie.arrive("s1"), "");
  EXPECT_EQ(robbie.pick("s1", {{"mug", 2}, {"cake", 1}}), "");
  const std::uint64_t before = robbie.epoch();
  const std::string list = robbie.list();
  robbie.connect();
  EXPECT_EQ(robbie.epoch(), before + 1);
  EXPECT_EQ(robbie.list(), list);
  EXPECT_EQ(robbie.repeat(), "");
  EXPECT_EQ(robbie.repeat(), "");
  EXPECT_EQ(robbie.repeat(true), "ABORTED");
  EXPECT_EQ(robbie.return_home(), "");
  EXPECT_EQ(robbie.repeat(), "");
  EXPECT_EQ(count(ada.order(), {{"mug", 2}, {"cake", 1}}).status, 200);
  wait_for(ada.order(), "ready");
  wait_until_quiet();
  const auto told = told_of(ada.order());
  for (const char* once : {"ItemsPickedUp", "ShoppingFinished", "BotArrivedAtDepot"})
    EXPECT_EQ(std::ranges::count(told, std::string("mallbots.depot.events.ShoppingList ") + once),
              1)
        << once;
}

}  // namespace
}  // namespace mallbots::test
