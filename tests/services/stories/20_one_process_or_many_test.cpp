// Story 20: one process and one for each service give the same results: the same orders, told in
// the same way, and the same money.
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

/// What was told of each order, and the books.
struct Day {
  std::vector<std::vector<std::string>> told;
  std::vector<Account> accounts;
};

Day live(Manner manner) {
  Scene scene(manner);
  scene.open();
  Customer released(scene);
  released.is_approved();
  released.pay();
  scene.wait_for_invoice(released.order(), "paid");
  Robot robbie(scene, "b1");
  robbie.connect();
  scene.count(released.order(), robbie.fetch({"cake"}));
  scene.wait_for(released.order(), "ready");
  scene.release(released.order());
  scene.wait_for(released.order(), "completed");
  Customer canceled(scene, "+442079460001");
  canceled.is_approved();
  scene.cancel(canceled.order(), "the lift is broken");
  scene.wait_for(canceled.order(), "cancelled");
  scene.disable_customer_of(released.order());
  Customer rejected(scene);
  rejected.orders_tea();
  scene.wait_for(rejected.order(), "rejected");
  scene.wait_until_quiet();
  Day day;
  for (const Customer* one : {&released, &canceled, &rejected}) {
    auto told = scene.told_of(one->order());
    std::ranges::sort(told);  // two topics have no order among them
    day.told.push_back(std::move(told));
    day.told.push_back(scene.history(one->order()));
  }
  day.accounts = scene.accounts();
  return day;
}

TEST(OneProcessOrMany, AreTheSameMall) {
  const Day together = live(Manner::kTogether);
  const Day separate = live(Manner::kSeparate);
  EXPECT_EQ(together.told, separate.told);
  EXPECT_EQ(together.accounts, separate.accounts);
  EXPECT_EQ(together.accounts, (std::vector<Account>{{.captured = 699, .refunded = 199}, {}, {}}));
  EXPECT_GT(together.told.front().size(), 20U);
}

}  // namespace
}  // namespace mallbots::test
