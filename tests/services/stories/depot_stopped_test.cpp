// The depot stands still for a few seconds: everybody's order is taken, and approved afterwards.
#include <gtest/gtest.h>

#include "tests/services/stories/depot_stopped.h"

namespace mallbots::test {
namespace {

TEST(DepotStopped, ForSecondsEveryOrderIsTakenAndApprovedLater) {
  const Noticed noticed =
      shop_while_the_depot_stands({.before_ms = 1'000, .stopped_ms = 3'000, .limit_s = 110});
  EXPECT_EQ(noticed.failed, 0U) << noticed.trouble;
  EXPECT_GT(noticed.submits_stopped, 10U);
  EXPECT_EQ(noticed.approved, noticed.submits);
}

}  // namespace
}  // namespace mallbots::test
