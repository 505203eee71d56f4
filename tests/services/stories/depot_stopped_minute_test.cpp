// The depot stands still, or is gone, for a minute under load: no submit fails or takes noticeably
// longer, and everything is approved afterwards.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/services/stories/depot_stopped.h"

namespace mallbots::test {
namespace {

class DepotAway : public testing::TestWithParam<bool> {};

TEST_P(DepotAway, ForAMinuteNobodyNotices) {
  const Noticed noticed = shop_while_the_depot_stands(
      {.before_ms = 20'000, .stopped_ms = 60'000, .limit_s = 280, .is_killed = GetParam()});
  fmt::print("{} submits, {} while the depot was away; p99 {:.1f} ms before, {:.1f} ms meanwhile\n",
             noticed.submits, noticed.submits_stopped, noticed.p99_before_ms,
             noticed.p99_stopped_ms);
  EXPECT_EQ(noticed.failed, 0U) << noticed.trouble;
  EXPECT_LE(noticed.p99_stopped_ms, 1.5 * noticed.p99_before_ms);
  EXPECT_EQ(noticed.approved, noticed.submits);
}
INSTANTIATE_TEST_SUITE_P(How, DepotAway, testing::Bool(),
                         [](const auto& of) { return of.param ? "Killed" : "Stopped"; });

}  // namespace
}  // namespace mallbots::test
