// Story 13: a price changes between review and submit. The customer sees it before it is paid.
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

STORY(PriceChange, IsConfirmedBeforeItIsPaid) {
  Customer ada(*this);
  ada.put("mug", 2);
  ada.put("cake", 1);
  EXPECT_EQ(ada.review().total, 699);
  EXPECT_EQ(change_price("s1", "mug", 300).status, 200);
  Customer other(*this);  // when the kiosk knows of it
  EXPECT_TRUE(eventually([&] {
    other.put("mug", 0);
    return other.put("mug", 1).total == 300;
  }));
  const Told refused = ada.submit();
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(refused.problem, "cart-changed");
  EXPECT_EQ(refused.changes, (std::vector<std::string>{"price mug"}));
  EXPECT_EQ(refused.total, 799);
  EXPECT_EQ(ada.review().total, 799);
  EXPECT_EQ(ada.submit().status, 201);
  wait_for(ada.order(), "approved");
  EXPECT_EQ(ada.look().total, 799);
  wait_until_quiet();
  EXPECT_EQ(accounts(), (std::vector<Account>{{.held = 799}}));
}

}  // namespace
}  // namespace mallbots::test
