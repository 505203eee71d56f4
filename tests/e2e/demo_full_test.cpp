// `make demo` in every way that it can be run; minutes, so in make check.
#include "tests/e2e/demo_runs.h"

namespace mallbots::test {
namespace {

using ::testing::HasSubstr;

class DemoRunsSabotaged : public DemoRuns, public ::testing::WithParamInterface<const char*> {};

TEST_P(DemoRunsSabotaged, IsCaughtByTheOrderItNames) { expect_caught(GetParam(), "30"); }

INSTANTIATE_TEST_SUITE_P(EachKind, DemoRunsSabotaged,
                         ::testing::Values("drop", "double", "reorder", "penny"),
                         [](const auto& kind) { return std::string{kind.param}; });

TEST_F(DemoRuns, EachServiceInAProcessOfItsOwn) {
  expect_clean(demo({{"LIMIT", "60"}, {"MODE", "separate"}}));
}

TEST_F(DemoRuns, NobodyNoticesThatTheBrokerTheMallAndTheStaffWereKilled) {
  const Finished done = demo({{"LIMIT", "250"}, {"KILLS", "1"}}, 280);
  expect_clean(done);
  EXPECT_THAT(done.output, HasSubstr("Killed: 4 processes"));
}

TEST_F(DemoRuns, NobodyNoticesThatEveryProcessWasKilled) {
  const Finished done = demo({{"LIMIT", "500"}, {"KILLS", "1"}, {"MODE", "separate"}}, 380);
  expect_clean(done);
  EXPECT_THAT(done.output, HasSubstr("broker killed with SIGKILL"));
}

}  // namespace
}  // namespace mallbots::test
