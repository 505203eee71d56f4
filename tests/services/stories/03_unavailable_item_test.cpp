// Story 3: an item is not to be had; the total falls, and what was paid too much comes back.
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

STORY(UnavailableItem, LowersTheTotalAndTheDifferenceIsRefunded) {
  Customer ada(*this);
  ada.is_approved();
  ada.pay();
  wait_for_invoice(ada.order(), "paid");
  Robot robbie(*this, "b1");
  robbie.connect();
  const Quantities cargo = robbie.fetch({"cake"});
  EXPECT_EQ(cargo, (Quantities{{"mug", 2}}));
  EXPECT_EQ(count(ada.order(), cargo).status, 200);
  wait_for(ada.order(), "ready");
  EXPECT_EQ(ada.look().total, 500);
  EXPECT_TRUE(eventually([&] { return invoice(ada.order()).paid == 500; }));
  EXPECT_EQ(invoice(ada.order()).total, 500);
  release(ada.order());
  wait_for(ada.order(), "completed");
  wait_until_quiet();
  EXPECT_EQ(accounts(), (std::vector<Account>{{.held = 0, .captured = 699, .refunded = 199}}));
}

}  // namespace
}  // namespace mallbots::test
