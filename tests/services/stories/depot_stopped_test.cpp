// The depot stands still, or is gone, for a few seconds: everybody's order is taken, and approved
// afterwards.
#include <gtest/gtest.h>

#include "tests/services/stories/depot_stopped.h"

namespace mallbots::test {
namespace {

class DepotAway : public testing::TestWithParam<bool> {};

TEST_P(DepotAway, ForSecondsEveryOrderIsTakenAndApprovedLater) {
  const Noticed noticed = shop_while_the_depot_stands(
      {.before_ms = 1'000, .stopped_ms = 3'000, .limit_s = 110, .is_killed = GetParam()});
  EXPECT_EQ(noticed.failed, 0U) << noticed.trouble;
  EXPECT_GT(noticed.submits_stopped, 10U);
  EXPECT_EQ(noticed.approved, noticed.submits);
}
INSTANTIATE_TEST_SUITE_P(How, DepotAway, testing::Bool(),
                         [](const auto& of) { return of.param ? "Killed" : "Stopped"; });

}  // namespace
}  // namespace mallbots::test
