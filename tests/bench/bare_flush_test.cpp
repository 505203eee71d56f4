#include "bench/limits/bare_flush.h"

#include <gtest/gtest.h>

#include <memory>

#include "bench/harness/clock.h"
#include "bench/harness/scratch_dir.h"

namespace mallbots::bench {
namespace {

TEST(BareFlushTest, TheFasterWayIsTheFigure) {
  const auto times = std::make_unique<FlushTimes>();
  for (const std::uint64_t slow : {300, 300, 300}) times->of_way[1].record(slow);
  for (const std::uint64_t fast : {200, 200, 400}) times->of_way[2].record(fast);
  const Figures figures = times->figures();
  EXPECT_DOUBLE_EQ(figures.at("flush_p50"), ticks_to_ns(200));
  EXPECT_DOUBLE_EQ(figures.at("flush_p99"), ticks_to_ns(400));
  EXPECT_DOUBLE_EQ(figures.at("p50 of pwritev2 RWF_DSYNC"), ticks_to_ns(300));
}

TEST(BareFlushTest, NothingMeasuredHasNoFigure) {
  EXPECT_TRUE(std::make_unique<FlushTimes>()->figures().empty());
}

TEST(BareFlushTest, ATurnLastsAsLongOrAsOftenAsItIsTold) {
  auto folder = ScratchDir::create("/var/tmp");
  ASSERT_TRUE(folder) << folder.error().sentence();
  auto flush = BareFlush::open(folder->path());
  if (!flush && flush.error().code == ErrorCode::kUnsupported) {
    GTEST_SKIP() << flush.error().sentence();
  }
  ASSERT_TRUE(flush) << flush.error().sentence();
  const auto times = std::make_unique<FlushTimes>();
  const auto& of_one = times->of_way[static_cast<std::size_t>(FlushWay::kWriteThenSync)];
  const auto counted = flush->turn({.flushes = 3}, *times);
  ASSERT_TRUE(counted) << counted.error().sentence();
  EXPECT_EQ(of_one.count(), 3);
  const auto timed = flush->turn({.seconds = 0.005}, *times);
  ASSERT_TRUE(timed) << timed.error().sentence();
  EXPECT_GT(of_one.count(), 3);
  EXPECT_GT(times->of_way[static_cast<std::size_t>(FlushWay::kWriteSynced)].count(), 3);
}

}  // namespace
}  // namespace mallbots::bench
