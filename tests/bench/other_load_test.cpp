#include "bench/harness/other_load.h"

#include <gtest/gtest.h>

#include <array>

#include "bench/harness/roles.h"

namespace mallbots::bench {
namespace {

TEST(OtherLoad, OurOwnWorkIsNotAnothers) {
  const LoadReading start{.now_s = 10, .busy_s = 100, .own_s = 5, .stolen_s = 1};
  const LoadReading end{.now_s = 12, .busy_s = 104, .own_s = 8, .stolen_s = 1.5};
  EXPECT_DOUBLE_EQ(share_between(start, end).others, 0.5);
  EXPECT_DOUBLE_EQ(share_between(start, end).stolen, 0.25);
}

TEST(OtherLoad, TicksThatDoNotAgreeAreNotNegativeWork) {
  const LoadReading start{.now_s = 10, .busy_s = 100, .own_s = 5};
  const LoadReading end{.now_s = 10.1, .busy_s = 100.09, .own_s = 5.1};
  EXPECT_EQ(share_between(start, end).others, 0);
  EXPECT_EQ(share_between(start, start).others, 0);
}

TEST(OtherLoad, ChildrenThatEndedAreOurOwn) {
  constexpr double kBurnSeconds = 0.1;
  const LoadReading start = read_load();
  const std::array roles{Role{"burner", kUnpinned, [](RoleContext&) -> Result<void> {
                                while (read_load().own_s < kBurnSeconds) {
                                }
                                return {};
                              }}};
  ASSERT_TRUE(run_roles(roles, RoleOptions{.limit_s = 25}));
  EXPECT_GE(read_load().own_s - start.own_s, kBurnSeconds);
}

}  // namespace
}  // namespace mallbots::bench
