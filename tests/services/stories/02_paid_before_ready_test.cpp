// Story 2: the same, paid before it is ready.
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

STORY(PaidBeforeReady, IsReleasedAsSoonAsItIsReady) {
  Customer ada(*this);
  ada.is_approved();
  EXPECT_EQ(ada.pay().status, 200);
  wait_for_invoice(ada.order(), "paid");
  EXPECT_EQ(staff("POST", "pickup/orders/" + ada.order() + "/release").status, 409);  // not here
  Robot robbie(*this, "b1");
  robbie.connect();
  EXPECT_EQ(count(ada.order(), robbie.fetch()).status, 200);
  wait_for(ada.order(), "ready");
  EXPECT_EQ(release(ada.order()).status, 200);
  wait_for(ada.order(), "completed");
  const auto told = history(ada.order());
  EXPECT_EQ(told.size(), 6U);
  EXPECT_LT(std::ranges::find(told, "OrderPaid"), std::ranges::find(told, "OrderReadied"));
  EXPECT_EQ(accounts(), (std::vector<Account>{{.held = 0, .captured = 699, .refunded = 0}}));
}

}  // namespace
}  // namespace mallbots::test
