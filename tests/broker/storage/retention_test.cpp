#include "broker/storage/retention.h"

#include <gtest/gtest.h>

#include <vector>

namespace mallbots::test {
namespace {

using broker::RetentionLimits;
using broker::SegmentInfo;
using broker::SegmentState;

/// Ten closed segments of 100 records and 1000 bytes, closed at 1000, 2000 ..., and an open one.
std::vector<SegmentInfo> ten() {
  std::vector<SegmentInfo> segments;
  for (Offset i = 0; i <= 10; ++i) {
    SegmentInfo one;
    one.number = i + 1;
    one.state = i < 10 ? SegmentState::kClosed : SegmentState::kOpen;
    one.base_offset = i * 100;
    one.end_offset = i * 100 + 100;
    one.end_byte = 1000;
    one.closed_ms = i < 10 ? static_cast<UnixMillis>(i + 1) * 1000 : 0;
    segments.push_back(one);
  }
  return segments;
}

std::size_t drops(const RetentionLimits& limits, UnixMillis now = 0, bool age = true) {
  const auto segments = ten();
  return broker::segments_to_drop(segments, limits, now, age);
}

TEST(Retention, KeepsEverythingWithoutLimits) { EXPECT_EQ(drops({}, 1'000'000'000), 0U); }

TEST(Retention, KeepsAtLeastWhatWasAskedFor) {
  EXPECT_EQ(drops({.bytes = 3000}), 8U);
  EXPECT_EQ(drops({.bytes = 2999}), 8U);
  EXPECT_EQ(drops({.bytes = 3001}), 7U);
  EXPECT_EQ(drops({.records = 250}), 8U);
  EXPECT_EQ(drops({.records = 0}), 10U) << "never the open one";
  EXPECT_EQ(drops({.bytes = 0}), 10U);
}

TEST(Retention, GoesByTheTimeOfTheCloseAndNeverWhileTheClockIsInDoubt) {
  EXPECT_EQ(drops({.age_ms = 5000}, 8500), 3U);
  EXPECT_EQ(drops({.age_ms = 5000}, 8500, false), 0U);
  EXPECT_EQ(drops({.age_ms = 5000}, -100'000), 0U) << "a clock that went back deletes nothing";
  EXPECT_EQ(drops({.age_ms = 5000, .bytes = 3000}, 8500, false), 8U) << "size goes on";
}

TEST(Retention, ConsumedGoesUpToTheSlowestGroupOnly) {
  EXPECT_EQ(drops({.consumed_below = 399}), 3U);
  EXPECT_EQ(drops({.consumed_below = 400}), 4U);
  EXPECT_EQ(drops({.bytes = 0, .consumed_below = 200}), 2U) << "a limit does not go above it";
}

TEST(Retention, AGapOfSegmentsThatAreNotClosedEndsIt) {
  auto segments = ten();
  segments[2].state = SegmentState::kClosing;
  EXPECT_EQ(broker::segments_to_drop(segments, {.bytes = 0}, 0, true), 2U);
}

TEST(WallClockWatch, PausesAgeForAnHourAfterAJump) {
  broker::WallClockWatch watch;
  EXPECT_FALSE(watch.look(1'000'000, 0));
  EXPECT_TRUE(watch.age_may_delete(0));
  EXPECT_FALSE(watch.look(1'010'000, 10 * kSecond));
  EXPECT_FALSE(watch.look(1'079'000, 20 * kSecond)) << "59 s off is drift";
  EXPECT_TRUE(watch.look(9'000'000, 30 * kSecond));
  EXPECT_FALSE(watch.age_may_delete(31 * kSecond));
  EXPECT_FALSE(watch.age_may_delete(3629 * kSecond));
  EXPECT_TRUE(watch.age_may_delete(3630 * kSecond));
  EXPECT_TRUE(watch.look(1'000'000, 3700 * kSecond)) << "back is a jump too";
  EXPECT_FALSE(watch.age_may_delete(3700 * kSecond));
}

}  // namespace
}  // namespace mallbots::test
