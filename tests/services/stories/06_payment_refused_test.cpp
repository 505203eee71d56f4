// Story 6: a payment that is too small, or that another order has used already. The order is
// rejected and its list canceled; the money of the other order stays where it is. The kiosk holds
// the right amount by itself, so these come as somebody's who calls orders without it.
#include "tests/services/mall/mall_fixture.h"
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

STORY(PaymentRefused, RejectsTheOrder) {
  const auto submit = [this](const std::string& id, const CheckOut& with) {
    Story order(mall(), id);
    order.fill_cart();
    order.check_out(with);
  };
  submit("first", {.payment = "p1"});
  wait_for("first", "approved");
  submit("small", {.payment = "p2", .held = 698});
  submit("used", {.payment = "p1"});
  for (const char* order : {"small", "used"}) {
    wait_for(order, "rejected");
    wait_until_quiet();
    const auto told = told_of(order);
    EXPECT_EQ(std::ranges::count(told, "mallbots.depot.events.ShoppingList ShoppingListCanceled"),
              1)
        << order;
    EXPECT_EQ(invoice(order).state, "") << order;
  }
  wait_for("first", "approved");
  Robot robbie(*this, "b1");
  robbie.connect();
  EXPECT_EQ(robbie.list(), list_id_of("first"));
  EXPECT_EQ(accounts(), (std::vector<Account>{{.held = 699}, {}}));
}

}  // namespace
}  // namespace mallbots::test
