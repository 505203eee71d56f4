// `make demo-log` itself, on few orders.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class DemoLog : public ::testing::Test {
 protected:
  Finished demo_log(const std::string& sabotage) {
    const Finished orders =
        run({"python3", "-B", "packaging/demo-log/orders.py", "generate", "8000", "7"});
    std::ofstream(files_ / "orders.csv") << orders.output;
    return run({"packaging/demo-log/run.sh"},
               {.environment = {{"BIN", std::filesystem::path{binary("mallbots")}.parent_path()},
                                {"ORDERS", files_ / "orders.csv"},
                                {"DEMO_DIR", files_.path()},
                                {"SECONDS_TO_PRODUCE", "2"},
                                {"SABOTAGE", sabotage}},
                .limit_s = 100});
  }

  [[nodiscard]] bool left_something_behind() const {
    for (const auto& entry : std::filesystem::directory_iterator(files_.path()))
      if (entry.path().filename() != "orders.csv") return true;
    return false;
  }

  TempDir files_;
};

TEST_F(DemoLog, LosesNothingAndCleansUp) {
  const Finished done = demo_log("");
  EXPECT_EQ(done.ended.exit_code, 0) << done.output << done.errors;
  EXPECT_THAT(done.output, HasSubstr("nothing lost, nothing out of order"));
  EXPECT_THAT(done.output, HasSubstr("failover"));
  EXPECT_THAT(done.output, HasSubstr("broker restart"));
  EXPECT_FALSE(left_something_behind());
}

TEST_F(DemoLog, FailsAndNamesTheRecordThatSabotageTook) {
  const Finished done = demo_log("drop");
  EXPECT_EQ(done.ended.exit_code, 1) << done.output << done.errors;
  const std::string told = "sabotage: drop: ";
  const auto begin = done.output.find(told);
  ASSERT_NE(begin, std::string::npos) << done.output << done.errors;
  const std::string record =
      done.output.substr(begin + told.size(), done.output.find(" (", begin) - begin - told.size());
  EXPECT_THAT(done.output, HasSubstr("lost: " + record + ": no member received it"));
  EXPECT_THAT(done.output, Not(HasSubstr("nothing lost")));
}

TEST_F(DemoLog, RefusesAnUnknownSabotage) {
  const Finished done = demo_log("melt");
  EXPECT_EQ(done.ended.exit_code, 2);
  EXPECT_THAT(done.errors, HasSubstr("SABOTAGE=melt: drop, double or reorder"));
}

}  // namespace
}  // namespace mallbots::test
