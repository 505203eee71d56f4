// `produce --delay`, `schedule list` and `schedule cancel` against mallbotsd.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/daemon.h"
#include "tests/support/process.h"

namespace mallbots::test {
namespace {

class ScheduleCommand : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
    ASSERT_EQ(mallbots("topic create t -p 2").ended.exit_code, 0);
  }
  [[nodiscard]] Finished mallbots(const std::string& arguments,
                                  const std::string& before = "") const {
    return run({"sh", "-c",
                before + binary("mallbots") + " --runtime-dir " + daemon_.runtime_dir() + " " +
                    arguments});
  }
  [[nodiscard]] std::string consumed() const {
    return mallbots("consume t -o start -e -f '%s '").output;
  }
  void expect_soon(const std::string& what) const {
    for (int i = 0; i < 100 && consumed() != what; ++i) static_cast<void>(run({"sleep", "0.05"}));
    EXPECT_EQ(consumed(), what);
  }
  Daemon daemon_;
};

TEST_F(ScheduleCommand, ADelayedLineIsListedUntilItIsDelivered) {
  const auto sent =
      mallbots("produce t -p 1 --delay 1s --acks durable --report /dev/stdout", "echo hello | ");
  ASSERT_EQ(sent.ended.exit_code, 0) << sent.errors;
  EXPECT_EQ(sent.output, "1 delayed 0\n");
  const auto listed = nlohmann::json::parse(mallbots("schedule list t --format json").output);
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0]["id"], 0);
  EXPECT_EQ(listed[0]["topic"], "t");
  EXPECT_EQ(listed[0]["partition"], 1);
  EXPECT_LE(listed[0]["in_ms"], 1000);
  EXPECT_EQ(consumed(), "");
  expect_soon("hello ");
  EXPECT_EQ(nlohmann::json::parse(mallbots("schedule list --format json").output).size(), 0U);
}

TEST_F(ScheduleCommand, APastTimeIsNow) {
  ASSERT_EQ(mallbots("produce t --at -1h", "echo late | ").ended.exit_code, 0);
  expect_soon("late ");
}

TEST_F(ScheduleCommand, ACancelledRecordIsGoneOverARestart) {
  ASSERT_EQ(mallbots("produce t --acks durable --delay 1h", "seq 2 | ").ended.exit_code, 0);
  const auto cancelled = mallbots("schedule cancel 0");
  EXPECT_EQ(cancelled.output, "cancelled 0\n") << cancelled.errors;
  const auto again = mallbots("schedule cancel 0");
  EXPECT_EQ(again.ended.exit_code, 1);
  EXPECT_NE(again.errors.find("there is no delayed record"), std::string::npos) << again.errors;
  ASSERT_EQ(daemon_.stop().exit_code, 0);
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  const auto listed = nlohmann::json::parse(mallbots("schedule list --format json").output);
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0]["id"], 1);
}

TEST_F(ScheduleCommand, ADelayBeyondTheLimitIsRefusedAndNothingIsSent) {
  const auto refused = mallbots("produce t --delay 400d", "echo x | ");
  EXPECT_EQ(refused.ended.exit_code, 2);
  EXPECT_NE(refused.errors.find("delay.max"), std::string::npos) << refused.errors;
  EXPECT_EQ(mallbots("produce t --delay 1s --expect-offset 0 -p 0", "echo x | ").ended.exit_code,
            2);
  EXPECT_EQ(mallbots("produce t --delay 1s --at 2030-01-01", "echo x | ").ended.exit_code, 2);
  EXPECT_EQ(nlohmann::json::parse(mallbots("schedule list --format json").output).size(), 0U);
}

/// kill -9 of the broker while records wait: each comes once.
TEST_F(ScheduleCommand, DeathsOfTheBrokerDeliverEachExactlyOnce) {
  for (int round = 0; round < 3; ++round) {
    const std::string from = std::to_string(round * 300 + 1);
    const std::string to = std::to_string(round * 300 + 300);
    const auto sent =
        mallbots("produce t --acks committed --delay 400ms", "seq " + from + " " + to + " | ");
    ASSERT_EQ(sent.ended.exit_code, 0) << sent.errors;
    static_cast<void>(run({"sleep", round == 0 ? "0.1" : "0.39"}));
    ASSERT_TRUE(daemon_.kill_broker()) << daemon_.log();
  }
  std::string sorted;
  for (int i = 0; i < 100; ++i) {
    sorted =
        mallbots("consume t -o start -e | sort -n | uniq -c | awk '{print $1}' | sort | uniq -c")
            .output;
    if (sorted.find("900 1") != std::string::npos) break;
    static_cast<void>(run({"sleep", "0.1"}));
  }
  EXPECT_NE(sorted.find("900 1"), std::string::npos) << sorted;
  EXPECT_EQ(nlohmann::json::parse(mallbots("schedule list --format json").output).size(), 0U);
}

}  // namespace
}  // namespace mallbots::test
