#include "bench/harness/clock.h"

#include <gtest/gtest.h>

namespace mallbots::bench {
namespace {

TEST(Clock, NeverStepsBackOnOneCore) {
  std::uint64_t before = ticks();
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t now = ticks();
    ASSERT_GE(now, before);
    before = now;
  }
}

TEST(Clock, AgreesWithTheKernelsRawClock) {
  static_cast<void>(clock_info());
  // The raw clock is read outside on one side and inside on the other, so each bounds its twin.
  const std::uint64_t raw_outer = raw_now_ns();
  const std::uint64_t tick_start = ticks();
  const std::uint64_t raw_inner = raw_now_ns();
  while (raw_now_ns() - raw_inner < 50'000'000) {
  }
  const std::uint64_t raw_inner_end = raw_now_ns();
  const double by_ticks = ticks_to_ns(ticks() - tick_start);
  const std::uint64_t raw_outer_end = raw_now_ns();
  EXPECT_GE(by_ticks * 1.0001, static_cast<double>(raw_inner_end - raw_inner));
  EXPECT_LE(by_ticks * 0.9999, static_cast<double>(raw_outer_end - raw_outer));
}

TEST(Clock, TicksAndNanosecondsConvertBothWays) {
  const auto back = static_cast<double>(ns_to_ticks(ticks_to_ns(1'000'000)));
  EXPECT_NEAR(back, 1'000'000, 1);
}

}  // namespace
}  // namespace mallbots::bench
