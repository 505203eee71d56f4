#include "tests/soak/soak.h"

#include <gtest/gtest.h>

namespace mallbots::test {
namespace {

TEST(Soak, NothingIsFoundWhileEverybodyIsKilled) {
  const SoakOutcome outcome =
      run_soak({.seconds = 25, .seed = static_cast<unsigned>(wall_now_ms())});
  EXPECT_TRUE(outcome.good());
  std::fputs(outcome.report().c_str(), stdout);
}

/// A worker that falsifies its notes stands for a broker that loses, doubles or swaps records.
class Sabotage : public testing::TestWithParam<const char*> {};

TEST_P(Sabotage, IsFound) {
  const SoakOutcome outcome = run_soak({.seconds = 4, .seed = 1, .sabotage = GetParam()});
  EXPECT_GT(outcome.verdict.found, 0U) << outcome.report();
  if (!outcome.kept.empty()) std::filesystem::remove_all(outcome.kept);
}

INSTANTIATE_TEST_SUITE_P(Soak, Sabotage, testing::Values("drop", "double", "swap"));

}  // namespace
}  // namespace mallbots::test
