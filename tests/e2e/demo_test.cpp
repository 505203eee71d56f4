// `make demo` on few orders.
#include "tests/e2e/demo_runs.h"

#include <signal.h>

namespace mallbots::test {
namespace {

using ::testing::HasSubstr;

TEST_F(DemoRuns, EveryRowHasItsFateAndNothingIsLeftBehind) {
  const Finished done = demo({{"LIMIT", "30"}});
  expect_clean(done);
  for (const char* told : {"unreadable", "not_goods", "price_not_in_pennies", "Nobody was killed",
                           "no phone number and no card token"})
    EXPECT_THAT(done.output, HasSubstr(told));
}

TEST_F(DemoRuns, FailsAndNamesTheOrderWhosePaymentIsAPennyTooHigh) { expect_caught("penny", "15"); }

TEST_F(DemoRuns, EndsAllItStartedWhenItIsInterrupted) {
  Process demo = Process::start({"packaging/demo/run.sh"}, options({{"LIMIT", "300"}}, 100));
  ASSERT_TRUE(
      eventually([&] { return demo.output().find("the mall is open") != std::string::npos; }, 60))
      << demo.errors();
  demo.send(SIGINT);
  EXPECT_EQ(demo.wait(60).exit_code, 130) << demo.output() << demo.errors();
  EXPECT_EQ(left_behind(), "");
}

TEST_F(DemoRuns, RefuseSettingsThatAreNone) {
  EXPECT_THAT(demo({{"SABOTAGE", "melt"}}).errors,
              HasSubstr("drop, double, reorder, penny or answer"));
  EXPECT_THAT(demo({{"MODE", "alone"}}).errors, HasSubstr("MODE=alone: together or separate"));
  EXPECT_THAT(demo({{"LIMIT", "-1"}}).errors, HasSubstr("LIMIT=-1: a number or all"));
  EXPECT_THAT(demo({{"ORDERS", "nowhere.csv"}}).errors, HasSubstr("no such file"));
}

}  // namespace
}  // namespace mallbots::test
