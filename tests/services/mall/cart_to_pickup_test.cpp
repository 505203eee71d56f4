// Scenario 1: from the kiosk's cart to the released order, paid when it is ready. Scenario 20: in
// one process and in many.
#include "tests/services/mall/mall_fixture.h"

namespace mallbots::test {
namespace {

class CartToPickup : public testing::TestWithParam<Manner> {};

TEST_P(CartToPickup, IsTheSameInOneProcessAndInMany) {
  RunningMall mall{GetParam()};
  ASSERT_TRUE(mall.start()) << mall.log();
  Story story{mall};
  ASSERT_NO_FATAL_FAILURE(story.open_store());
  ASSERT_NO_FATAL_FAILURE(story.fill_cart());
  ASSERT_NO_FATAL_FAILURE(story.check_out());
  story.wait_for("approved");
  ASSERT_NO_FATAL_FAILURE(story.start_shopping());
  story.wait_for("in-progress");
  ASSERT_NO_FATAL_FAILURE(story.bring_it_in());
  story.wait_for("ready");
  ASSERT_NO_FATAL_FAILURE(story.pay());
  ASSERT_NO_FATAL_FAILURE(story.carry_away());
  story.wait_for("completed");
  EXPECT_EQ(story.invoice().state(), "paid");
  EXPECT_EQ(story.invoice().paid().minor(), 699);
  EXPECT_EQ(story.history(),
            (std::vector<std::string>{"OrderCreated_v1", "OrderApproved_v1", "OrderStarted_v1",
                                      "OrderReadied_v1", "OrderPaid_v1", "OrderCompleted_v1"}));
  EXPECT_TRUE(mall.stop()) << mall.log();
}

INSTANTIATE_TEST_SUITE_P(Processes, CartToPickup,
                         testing::Values(Manner::kTogether, Manner::kSeparate), [](const auto& of) {
                           return of.param == Manner::kTogether ? "Together" : "Separate";
                         });

}  // namespace
}  // namespace mallbots::test
