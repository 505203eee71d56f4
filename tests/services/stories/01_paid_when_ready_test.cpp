// Story 1: from the kiosk's cart to the released order, paid when it is ready.
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

STORY(PaidWhenReady, FromCartToReleasedOrder) {
  Customer ada(*this);
  ada.is_approved();
  Robot robbie(*this, "b1");
  robbie.connect();
  const Quantities cargo = robbie.fetch();
  EXPECT_EQ(cargo, (Quantities{{"mug", 2}, {"cake", 1}}));
  wait_for(ada.order(), "in-progress");
  EXPECT_EQ(count(ada.order(), cargo).status, 200);
  wait_for(ada.order(), "ready");
  EXPECT_EQ(ada.pay().status, 200);
  EXPECT_EQ(release(ada.order()).status, 200);
  wait_for(ada.order(), "completed");
  EXPECT_EQ(ada.look().state, "completed");
  EXPECT_EQ(robbie.status(), "idle");
  EXPECT_EQ(history(ada.order()),
            (std::vector<std::string>{"OrderCreated", "OrderApproved", "OrderStarted",
                                      "OrderReadied", "OrderPaid", "OrderCompleted"}));
  wait_until_quiet();
  EXPECT_EQ(accounts(), (std::vector<Account>{{.held = 0, .captured = 699, .refunded = 0}}));
  EXPECT_EQ(texts(ada.order()),
            (std::vector<std::string>{"paid", "ready", "received", "released"}));
}

}  // namespace
}  // namespace mallbots::test
