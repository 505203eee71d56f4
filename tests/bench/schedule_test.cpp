#include "bench/harness/schedule.h"

#include <gtest/gtest.h>

namespace mallbots::bench {
namespace {

TEST(Schedule, IntendedTimesAreEvenWhateverHappens) {
  const Schedule schedule{1'000, 1e6, Schedule::Waiting::kSpin};
  const std::uint64_t interval = schedule.intended(0) - 1'000;
  EXPECT_EQ(interval, ns_to_ticks(1'000));
  EXPECT_EQ(schedule.intended(41), 1'000 + 42 * interval);
}

TEST(Schedule, NoSendGoesBeforeItsTime) {
  for (const auto waiting : {Schedule::Waiting::kSpin, Schedule::Waiting::kSleep}) {
    const Schedule schedule{ticks(), 2'000, waiting};
    for (std::uint64_t send = 0; send < 20; ++send) {
      const std::uint64_t intended = schedule.wait_for(send);
      EXPECT_EQ(intended, schedule.intended(send));
      EXPECT_GE(ticks(), intended);
    }
  }
}

TEST(Schedule, AStallIsSeenByEverySendItDelays) {
  // The start lies one second back: ten sends at 10 a second are late, each by its own amount.
  const std::uint64_t second = ns_to_ticks(1e9);
  const std::uint64_t now = ticks();
  const Schedule schedule{now - second, 10, Schedule::Waiting::kSpin};
  for (std::uint64_t send = 0; send + 1 < 10; ++send) {
    const std::uint64_t intended = schedule.wait_for(send);
    const double late_ns = ticks_to_ns(ticks() - intended);
    EXPECT_GE(late_ns, 1e9 - 1e8 * static_cast<double>(send + 1) - 1e6);
  }
}

}  // namespace
}  // namespace mallbots::bench
