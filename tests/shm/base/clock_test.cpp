#include "shm/base/clock.h"

#include <gtest/gtest.h>

#include <chrono>

namespace mallbots {
namespace {

TEST(Clock, WallTimeIsTheSystemsAndCoarseTimeIsCloseBehind) {
  const auto system = std::chrono::duration_cast<std::chrono::milliseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  EXPECT_NEAR(static_cast<double>(wall_now_ms()), static_cast<double>(system), 1'000);
  EXPECT_NEAR(static_cast<double>(wall_coarse_ms()), static_cast<double>(wall_now_ms()), 1'000);
  EXPECT_EQ(wall_now_ns() / 1'000'000'000, wall_now_ms() / 1'000);
}

TEST(Clock, ShiftMovesWallTimeAndNotIntervals) {
  const BootNanos before = boot_now_ns();
  const UnixMillis wall = wall_now_ms();
  shift_wall_clock(-3'600'000);
  EXPECT_LT(wall_now_ms(), wall - 3'500'000);
  EXPECT_LT(wall_coarse_ms(), wall - 3'500'000);
  EXPECT_GE(boot_now_ns(), before);
  EXPECT_LT(boot_now_ns() - before, 60 * kSecond);
  shift_wall_clock(3'600'000);
}

TEST(Deadline, TryHasPassedFromTheStart) {
  for (const Deadline deadline :
       {Deadline::passed(), Deadline::after_ms(0), Deadline::after_ns(-1)}) {
    EXPECT_TRUE(deadline.is_try());
    EXPECT_TRUE(deadline.has_passed());
    EXPECT_EQ(deadline.remaining_ns(), 0);
  }
}

TEST(Deadline, NeverNeverPasses) {
  EXPECT_TRUE(Deadline::never().is_never());
  EXPECT_FALSE(Deadline::never().has_passed());
  EXPECT_EQ(Deadline::never().remaining_ns(), INT64_MAX);
}

TEST(Deadline, TooFarAwayForTheClockIsNever) {
  for (const Deadline deadline :
       {Deadline::after_ns(INT64_MAX), Deadline::after_ns(INT64_MAX - 1),
        Deadline::after_ms(INT64_MAX), Deadline::after_ms(INT64_MAX / kMillisecond)}) {
    EXPECT_FALSE(deadline.has_passed());
    EXPECT_TRUE(deadline.is_never());
  }
  EXPECT_FALSE(Deadline::after_ms(365LL * 24 * 3'600'000).is_never());
}

TEST(Deadline, PassesWhenItsTimeHasCome) {
  const Deadline later = Deadline::after_ms(10);
  EXPECT_FALSE(later.is_try());
  EXPECT_LE(later.remaining_ns(), 10 * kMillisecond);
  const BootNanos begin = boot_now_ns();
  while (!later.has_passed()) {
  }
  EXPECT_GE(boot_now_ns() - begin, 9 * kMillisecond);
  EXPECT_EQ(later.remaining_ns(), 0);
}

}  // namespace
}  // namespace mallbots
