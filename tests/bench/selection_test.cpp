#include "bench/harness/selection.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

namespace mallbots::bench {
namespace {

constexpr NearRange kNear{90, 200};

TEST(Selection, ProbesThatDisagreeMakeARunMixed) {
  const Seen near_then_far{.probes_ns = {110, 470}};
  const Seen far_then_near{.probes_ns = {470, 110}};
  const Seen far_then_busy{.probes_ns = {470, 1200}};
  const Seen moved_in_between{.probes_ns = {110, 470, 110}};
  EXPECT_EQ(classify(near_then_far, kNear), Placement::kMixed);
  EXPECT_EQ(classify(far_then_near, kNear), Placement::kMixed);
  EXPECT_EQ(classify(far_then_busy, kNear), Placement::kMixed);
  EXPECT_EQ(classify(moved_in_between, kNear), Placement::kMixed);
}

TEST(Selection, ProbesThatAgreeAreNearOrFar) {
  const Seen near{.probes_ns = {100, 120, 110}};
  const Seen far{.probes_ns = {466, 471}};
  const Seen on_the_edge{.probes_ns = {200, 150}};
  EXPECT_EQ(classify(near, kNear), Placement::kNear);
  EXPECT_EQ(classify(far, kNear), Placement::kFar);
  EXPECT_EQ(classify(on_the_edge, kNear), Placement::kNear);
}

TEST(Selection, WithoutProbesARunCounts) { EXPECT_EQ(classify({}, kNear), Placement::kNear); }

TEST(Selection, OfARunInSlicesAQuarterMustBeNear) {
  EXPECT_EQ(classify({{110, 470}, 0.25}, kNear), Placement::kNear);
  EXPECT_EQ(classify({{110, 110}, 0.24}, kNear), Placement::kMixed);
}

TEST(Selection, ProbesBelowTheRangeAreCloserNotNear) {
  const Seen siblings{.probes_ns = {80, 85, 80}};
  const Seen moved_apart{.probes_ns = {80, 160, 160}};
  EXPECT_EQ(classify(siblings, kNear), Placement::kCloser);
  EXPECT_EQ(classify(moved_apart, kNear), Placement::kMixed);
}

TEST(Selection, NearIsTheLowestPlacementThatIsNotSeldom) {
  std::vector<double> probes(3, 80);         // threads of one core, now and then
  probes.insert(probes.end(), 30, 160);      // one cache
  probes.insert(probes.end(), 40, 550);      // two
  probes.insert(probes.end(), {110, 1200});  // moved meanwhile
  const NearRange near = near_range_of(probes);
  EXPECT_TRUE(near.holds(150));
  EXPECT_TRUE(near.holds(185));
  EXPECT_FALSE(near.holds(85));
  EXPECT_FALSE(near.holds(400));
}

TEST(Selection, AMachineThatStaysFarIsMeasuredThere) {
  EXPECT_TRUE(near_range_of(std::vector<double>(60, 470)).holds(470));
  EXPECT_EQ(near_range_of({}).max_ns, 0);
}

TEST(Selection, NearHoldsItsShareAroundItsMedian) {
  // From 97 on, a quarter lies within 1.5 x; around the median of these, 97, there are only nine.
  std::vector<double> probes(9, 97);
  probes.insert(probes.end(), 7, 142);
  probes.insert(probes.end(), 15, 160);
  probes.insert(probes.end(), 29, 550);
  const NearRange near = near_range_of(probes);
  EXPECT_TRUE(near.holds(142));
  EXPECT_TRUE(near.holds(160));
  EXPECT_FALSE(near.holds(97));
}

TEST(Selection, ScatteredProbesGiveTheRangeThatHoldsMost) {
  const NearRange near = near_range_of({50, 76, 115, 173, 260, 270, 391, 600, 900, 1350, 2000});
  EXPECT_TRUE(near.holds(260));
  EXPECT_TRUE(near.holds(270));
}

TEST(Selection, NearHoldsSomeProbeAndAgreesWithItself) {
  EXPECT_TRUE(rc::check([](const std::vector<std::uint16_t>& numbers) {
    RC_PRE(!numbers.empty());
    std::vector<double> probes;
    for (const std::uint16_t number : numbers) probes.push_back(50.0 + number);
    const NearRange near = near_range_of(probes);
    RC_ASSERT(std::ranges::any_of(probes, [&](double probe) { return near.holds(probe); }));
    RC_ASSERT(near.max_ns <= near.min_ns * kAgreement * 1.000'001);
  }));
}

TEST(Selection, FarAndMixedRunsAreLeftOutAndCounted) {
  const std::vector<Seen> runs{{{110, 112}}, {{110, 470}}, {{470, 466}}, {{108, 109}}};
  const Selection selection = select_runs(runs, kNear);
  EXPECT_EQ(selection.kept, 2U);
  EXPECT_EQ(selection.left_out, 2U);
  EXPECT_EQ(selection.placements,
            (std::vector{Placement::kNear, Placement::kMixed, Placement::kFar, Placement::kNear}));
}

TEST(Selection, MoreThanHalfLeftOutIsMoreThanHalf) {
  const Seen near{{110, 110}};
  const Seen far{{470, 470}};
  EXPECT_FALSE(select_runs(std::vector{near, far}, kNear).more_than_half_left_out());
  EXPECT_TRUE(select_runs(std::vector{near, far, far}, kNear).more_than_half_left_out());
  EXPECT_FALSE(select_runs({}, kNear).more_than_half_left_out());
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
