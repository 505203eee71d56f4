#include "bench/harness/slices.h"

#include <gtest/gtest.h>

#include <atomic>

#include "bench/harness/roles.h"
#include "bench/harness/shared_block.h"

namespace mallbots::bench {
namespace {

struct Game {
  Slices slices;
  std::atomic<std::uint64_t> led = 0;
  std::atomic<std::uint64_t> followed = 0;
};

/// Plays 1,000 rounds that take a tick each; the follower fails in the round `fails`, if there is
/// one.
Result<void> play(Game& game, const SlicePlan& plan, std::uint64_t fails = ~0UL) {
  const std::vector<int> cpus = allowed_cpus();
  const std::array roles{
      Role{"leader", cpus.front(),
           [&](RoleContext&) {
             return lead_slices(
                 game.slices, plan,
                 [&](std::uint64_t from, std::uint64_t to, const auto& record) -> Result<void> {
                   for (; from < to; ++from, ++game.led) record(1);
                   return {};
                 });
           }},
      Role{"follower", cpus.back(),
           [&](RoleContext&) {
             return follow_slices(game.slices, plan,
                                  [&](std::uint64_t from, std::uint64_t to) -> Result<void> {
                                    for (; from < to; ++from, ++game.followed)
                                      if (from == fails) return fail(ErrorCode::kCorrupt, "gap");
                                    return {};
                                  });
           }},
  };
  return run_roles(roles, {.limit_s = 20});
}

class SlicesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (allowed_cpus().size() < 2) GTEST_SKIP() << "two sides that spin need two cores";
    auto memory = Shared<Game>::create();
    ASSERT_TRUE(memory);
    memory_.emplace(std::move(*memory));
  }
  Game& game() { return **memory_; }
  std::optional<Shared<Game>> memory_;
};

TEST_F(SlicesTest, EveryRoundIsPlayedOnceAndTheFirstTenthIsWarmUp) {
  const auto played = play(game(), SlicePlan::of(1'000, kAnywhere));
  ASSERT_TRUE(played) << played.error().sentence();
  EXPECT_EQ(game().led, 1'000U);
  EXPECT_EQ(game().followed, 1'000U);
  EXPECT_EQ(game().slices.all, 90U);
  EXPECT_EQ(game().slices.near, 90U);
  EXPECT_EQ(game().slices.times.count(), 900U);
  EXPECT_EQ(game().slices.figures().at(kNearShare), 1.0);
  EXPECT_GT(game().slices.near_ns, 0);
  EXPECT_DOUBLE_EQ(game().slices.rate_figures(10).at("rate"), 900 / (game().slices.near_ns / 1e9));
}

TEST_F(SlicesTest, WhatWasMeasuredElsewhereHasNoFigure) {
  ASSERT_TRUE(play(game(), SlicePlan::of(1'000, {0, 0.001})));
  EXPECT_EQ(game().slices.all, 90U);
  EXPECT_EQ(game().slices.times.count(), 0U);
  EXPECT_EQ(game().slices.figures(), (Figures{{kNearShare, 0.0}}));
  EXPECT_EQ(game().slices.rate_figures(10), (Figures{{kNearShare, 0.0}}));
}

TEST_F(SlicesTest, ASideThatFailsEndsTheOther) {
  const auto played = play(game(), SlicePlan::of(1'000, kAnywhere), 500);
  ASSERT_FALSE(played);
  EXPECT_EQ(played.error().code, ErrorCode::kCorrupt);
}

TEST(SlicePlanTest, ASliceCountsBetweenTwoNearProbes) {
  constexpr NearRange kNear{90, 200};
  EXPECT_TRUE(is_between(kNear, 110, 120));
  EXPECT_FALSE(is_between(kNear, 110, 470));
  EXPECT_FALSE(is_between(kNear, 470, 110));
  EXPECT_FALSE(is_between(kNear, 80, 110));
}

TEST(SlicePlanTest, FewRoundsMakeFewSlices) {
  EXPECT_EQ(SlicePlan::of(7, kAnywhere).slices, 7U);
  EXPECT_EQ(SlicePlan::of(7, kAnywhere).rounds, 1U);
  EXPECT_EQ(SlicePlan::of(20'000, kAnywhere).rounds, 200U);
}

}  // namespace
}  // namespace mallbots::bench
