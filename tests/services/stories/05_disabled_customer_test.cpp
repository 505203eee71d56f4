// Story 5: a customer whom the staff has disabled orders; the order is rejected, the hold ends.
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

STORY(DisabledCustomer, IsRejectedAndNothingIsHeld) {
  Customer before(*this);
  before.is_approved();
  EXPECT_EQ(disable_customer_of(before.order()).status, 200);
  Customer after(*this);  // the same number
  after.orders_tea();
  wait_for(after.order(), "rejected");
  EXPECT_FALSE(after.look().reason.empty());
  const auto told = told_of(after.order());
  EXPECT_EQ(std::ranges::count(told, "commands.CreateShoppingList CreateShoppingList"), 0);
  wait_for(before.order(), "approved");  // what was ordered before stays
  wait_until_quiet();
  EXPECT_EQ(accounts(), (std::vector<Account>{{.held = 699}, {.held = 0}}));
  EXPECT_EQ(texts(after.order()), (std::vector<std::string>{"received", "rejected"}));
}

}  // namespace
}  // namespace mallbots::test
