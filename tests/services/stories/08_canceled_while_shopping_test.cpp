// Story 8: the customer cancels while the robot shops. It brings its cargo back, and goes on with
// the next order.
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

STORY(CanceledWhileShopping, TheRobotReturnsWhatItHas) {
  Customer ada(*this);
  ada.is_approved();
  Robot robbie(*this, "b1");
  robbie.connect();
  EXPECT_EQ(robbie.start(), "");
  EXPECT_EQ(robbie.arrive("s1"), "");
  EXPECT_EQ(robbie.pick("s1", {{"mug", 2}, {"cake", 1}}), "");
  wait_for(ada.order(), "in-progress");
  EXPECT_EQ(ada.cancel().status, 200);
  wait_for(ada.order(), "cancelled");
  EXPECT_TRUE(eventually([&] { return list_of(ada.order()).state == "canceled"; }));
  EXPECT_EQ(robbie.return_home(), "PERMISSION_DENIED");
  EXPECT_EQ(robbie.status(), "active");  // until its cargo is out

  Customer grace(*this, "+442079460001");
  grace.is_approved();
  const std::string canceled = robbie.list();
  EXPECT_EQ(robbie.empty_cargo(), "");
  robbie.wait_for_list();
  EXPECT_NE(robbie.list(), canceled);
  count(grace.order(), robbie.fetch());
  wait_for(grace.order(), "ready");
  wait_for_invoice(ada.order(), "canceled");
  wait_until_quiet();
  EXPECT_EQ(accounts(), (std::vector<Account>{{}, {.held = 699}}));
}

}  // namespace
}  // namespace mallbots::test
