// Story 9: a robot is lost before it has started; another one gets the list.
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

STORY(RobotGoneBeforeStart, AnotherOneGetsTheList) {
  Customer ada(*this);
  ada.is_approved();
  Robot robbie(*this, "b1");
  robbie.connect();
  ASSERT_TRUE(robbie.has_list());
  const std::string list = robbie.list();
  robbie.vanish();
  Robot rosie(*this, "b2");
  rosie.connect();
  rosie.wait_for_list();
  EXPECT_EQ(rosie.list(), list);
  EXPECT_EQ(robbie.status(), "offline");
  robbie.connect();  // it is back, and too late
  EXPECT_FALSE(robbie.has_list());
  count(ada.order(), rosie.fetch());
  wait_for(ada.order(), "ready");
  const auto told = history(ada.order());
  EXPECT_EQ(std::ranges::count(told, "OrderStarted"), 1);
}

}  // namespace
}  // namespace mallbots::test
