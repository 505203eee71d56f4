// Story 4: nothing is to be had; the order is cancelled, and nobody pays.
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

STORY(NothingAvailable, CancelsTheOrder) {
  Customer ada(*this);
  ada.is_approved();
  Robot robbie(*this, "b1");
  robbie.connect();
  EXPECT_EQ(robbie.fetch({"mug", "cake"}), Quantities{});
  EXPECT_EQ(count(ada.order(), {}).status, 200);
  wait_for(ada.order(), "cancelled");
  EXPECT_FALSE(ada.look().reason.empty());
  wait_for_invoice(ada.order(), "canceled");
  EXPECT_EQ(robbie.status(), "idle");
  wait_until_quiet();
  EXPECT_EQ(accounts(), (std::vector<Account>{{}}));
  EXPECT_EQ(texts(ada.order()), (std::vector<std::string>{"canceled", "received"}));
}

}  // namespace
}  // namespace mallbots::test
