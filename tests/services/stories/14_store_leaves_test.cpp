// Story 14: a store leaves the mall while carts are open. Its goods cannot be added any more, and
// vanish from the carts before they are paid.
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

STORY(StoreLeaves, ItsGoodsVanishFromOpenCarts) {
  Customer ada(*this);
  ada.put("mug", 2);
  ada.put("book", 1);
  EXPECT_EQ(withdraw("s2").status, 200);
  Customer other(*this);
  EXPECT_TRUE(eventually([&] { return other.put("book", 1).status == 409; }));
  EXPECT_EQ(ada.put("book", 2).status, 409);
  const Told refused = ada.submit();
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(refused.problem, "cart-changed");
  EXPECT_EQ(refused.changes, (std::vector<std::string>{"vanished book"}));
  EXPECT_EQ(ada.review().total, 500);
  EXPECT_EQ(ada.submit().status, 201);
  wait_for(ada.order(), "approved");
  Robot robbie(*this, "b1");
  robbie.connect();
  EXPECT_EQ(robbie.fetch(), (Quantities{{"mug", 2}}));
}

}  // namespace
}  // namespace mallbots::test
