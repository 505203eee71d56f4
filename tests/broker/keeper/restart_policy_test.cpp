#include "broker/keeper/restart_policy.h"

#include <gtest/gtest.h>

namespace mallbots::broker {
namespace {

TEST(RestartPolicy, FirstTimeAtOnceThenLongerAndLonger) {
  RestartPolicy policy{RestartLimits{}};
  EXPECT_EQ(policy.died(kSecond), 0);
  const auto second = policy.died(2 * kSecond);
  const auto third = policy.died(3 * kSecond);
  ASSERT_TRUE(second && third);
  EXPECT_GT(*second, 0);
  EXPECT_GT(*third, *second);
}

TEST(RestartPolicy, FiveDeathsInAMinuteAreEnough) {
  RestartPolicy policy{RestartLimits{}};
  for (int i = 1; i <= 4; ++i) EXPECT_TRUE(policy.died(i * kSecond));
  EXPECT_FALSE(policy.died(5 * kSecond));
  policy.forgive();
  EXPECT_EQ(policy.died(6 * kSecond), 0);
}

TEST(RestartPolicy, DeathsFarApartAreForgotten) {
  RestartPolicy policy{RestartLimits{}};
  for (int i = 1; i <= 100; ++i) EXPECT_EQ(policy.died(i * 61 * kSecond), 0);
}

}  // namespace
}  // namespace mallbots::broker
