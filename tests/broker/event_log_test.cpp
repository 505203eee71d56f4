#include "broker/event_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/process.h"

namespace mallbots::broker {
namespace {

TEST(EventLog, LineHasTimeLevelRolePidAndFields) {
  auto process = test::Process::call([] {
    start_event_log(Level::kInfo, "broker");
    log_event(Level::kDebug, "not shown", {});
    log_event(Level::kWarning, "session expelled", {{"session", 3}, {"name", "robot 7"}});
    return 0;
  });
  ASSERT_EQ(process.wait().exit_code, 0);
  const std::string text = process.errors();
  EXPECT_EQ(text.find("not shown"), std::string::npos);
  EXPECT_NE(text.find("Z warning  broker pid=" + std::to_string(process.pid()) +
                      " session expelled session=3 name=\"robot 7\"\n"),
            std::string::npos)
      << text;
}

TEST(EventLog, ForeignTextCannotForgeALine) {
  EXPECT_EQ(LogField("name", "plain").value, "plain");
  EXPECT_EQ(LogField("name", "").value, "\"\"");
  EXPECT_EQ(LogField("name", "a\nb=\"c\\").value, "\"a\\x0ab=\\\"c\\\\\"");
}

TEST(EventLog, BrakeLetsABurstThroughAndCountsTheRest) {
  LogBrake brake{3};
  std::uint64_t dropped = 0;
  BootNanos now = kSecond;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(brake.pass(now, dropped));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(brake.pass(now, dropped));
  now += kSecond;
  EXPECT_TRUE(brake.pass(now, dropped));
  EXPECT_EQ(dropped, 5U);
}

}  // namespace
}  // namespace mallbots::broker
