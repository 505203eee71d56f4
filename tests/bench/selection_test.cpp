#include "bench/harness/selection.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

namespace mallbots::bench {
namespace {

constexpr double kNearMaxNs = 200;

TEST(Selection, ProbesThatDisagreeMakeARunMixed) {
  const double near_then_far[] = {110, 470};
  const double far_then_near[] = {470, 110};
  const double far_then_busy[] = {470, 1200};
  const double moved_in_between[] = {110, 470, 110};
  EXPECT_EQ(classify(near_then_far, kNearMaxNs), Placement::kMixed);
  EXPECT_EQ(classify(far_then_near, kNearMaxNs), Placement::kMixed);
  EXPECT_EQ(classify(far_then_busy, kNearMaxNs), Placement::kMixed);
  EXPECT_EQ(classify(moved_in_between, kNearMaxNs), Placement::kMixed);
}

TEST(Selection, ProbesThatAgreeAreNearOrFar) {
  const double near[] = {100, 120, 110};
  const double far[] = {466, 471};
  const double on_the_edge[] = {200, 150};
  EXPECT_EQ(classify(near, kNearMaxNs), Placement::kNear);
  EXPECT_EQ(classify(far, kNearMaxNs), Placement::kFar);
  EXPECT_EQ(classify(on_the_edge, kNearMaxNs), Placement::kNear);
}

TEST(Selection, WithoutProbesARunCounts) { EXPECT_EQ(classify({}, kNearMaxNs), Placement::kNear); }

TEST(Selection, OneLuckyProbeDoesNotMakeAllTheRestFar) {
  const double lucky[] = {76, 310, 312};
  const double steady[] = {310, 305, 312};
  const double lower[] = {110, 112};
  EXPECT_EQ(lowest_lasting(0, lucky), 0);
  EXPECT_EQ(lowest_lasting(0, steady), 305);
  EXPECT_EQ(lowest_lasting(305, lucky), 305);
  EXPECT_EQ(lowest_lasting(305, lower), 110);
  EXPECT_EQ(lowest_lasting(110, steady), 110);
  EXPECT_EQ(lowest_lasting(110, {}), 110);
}

TEST(Selection, FarAndMixedRunsAreLeftOutAndCounted) {
  const std::vector<std::vector<double>> runs = {{110, 112}, {110, 470}, {470, 466}, {108, 109}};
  const Selection selection = select_runs(runs, kNearMaxNs);
  EXPECT_EQ(selection.kept, 2U);
  EXPECT_EQ(selection.left_out, 2U);
  EXPECT_EQ(selection.placements,
            (std::vector{Placement::kNear, Placement::kMixed, Placement::kFar, Placement::kNear}));
}

TEST(Selection, MoreThanHalfLeftOutIsMoreThanHalf) {
  const std::vector<double> near{110, 110};
  const std::vector<double> far{470, 470};
  EXPECT_FALSE(select_runs(std::vector{near, far}, kNearMaxNs).more_than_half_left_out());
  EXPECT_TRUE(select_runs(std::vector{near, far, far}, kNearMaxNs).more_than_half_left_out());
  EXPECT_FALSE(select_runs({}, kNearMaxNs).more_than_half_left_out());
}

TEST(Selection, MedianStandsBetweenItsNeighbours) {
  const Spread odd = spread_of({3, 1, 2});
  EXPECT_EQ(odd.median, 2);
  EXPECT_EQ(odd.min, 1);
  EXPECT_EQ(odd.max, 3);
  EXPECT_EQ(odd.runs, 3U);
  EXPECT_EQ(spread_of({4, 1, 2, 3}).median, 2.5);
  EXPECT_EQ(spread_of({}).runs, 0U);
}

TEST(Selection, HalfOfTheValuesLieOnEachSideOfTheMedian) {
  EXPECT_TRUE(rc::check([](const std::vector<int>& numbers) {
    const std::vector<double> values(numbers.begin(), numbers.end());
    const Spread spread = spread_of(values);
    const auto below = std::ranges::count_if(values, [&](double v) { return v < spread.median; });
    const auto above = std::ranges::count_if(values, [&](double v) { return v > spread.median; });
    RC_ASSERT(static_cast<std::size_t>(below) * 2 <= values.size());
    RC_ASSERT(static_cast<std::size_t>(above) * 2 <= values.size());
  }));
}

}  // namespace
}  // namespace mallbots::bench
