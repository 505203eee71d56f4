// DemoRuns: `make demo` itself (its script, with the programs of this build) on made-up invoices
// that are as nasty as real ones.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {

class DemoRuns : public ::testing::Test {
 protected:
  using Settings = std::vector<std::pair<std::string, std::string>>;

  void SetUp() override {
    const Finished invented =
        run({"python3", "-B", "packaging/demo-log/orders.py", "generate", "8000", "7"});
    const auto title_end = invented.output.find('\n') + 1;
    std::ofstream(files_ / "invoices.csv", std::ios::binary)
        << invented.output.substr(0, title_end)
        << "1,22423,STAND,2,2011-04-01 08:26:00,12.75,17850.0,UK\n"
           "1,22423,STAND,1,2011-04-01 08:26:00,0.125,17850.0,UK\n"
           "C2,22423,STAND,-2,2011-04-01 08:27:00,12.75,17850.0,UK\n"
           "3,22423,STAND,one,2011-04-01 08:26:00,1.00,,UK\n"
           "4,22423,ST\xff,1,2011-04-01 08:26:00,1.00,1,UK\n"
           "5,22423\n"
           "A6,B,Adjust bad debt,1,2011-08-12 14:50:00,-11062.06,,UK\n"
           "7,85099B,\"BAG, RÉGENCE\",80995,2011-12-09 09:15:00,2.08,16446.0,UK\n"
        << invented.output.substr(title_end);
  }

  /// `more`: besides where programs and files are.
  [[nodiscard]] ProcessOptions options(const Settings& more, double limit_s) const {
    Settings all{{"BIN", std::filesystem::path{binary("mall")}.parent_path()},
                 {"ORDERS", files_ / "invoices.csv"},
                 {"DEMO_DIR", files_.path()},
                 {"ROBOTS", "20"},
                 {"SPEED", "500"}};
    all.insert(all.end(), more.begin(), more.end());
    return {.environment = all, .limit_s = limit_s};
  }
  [[nodiscard]] Finished demo(const Settings& more, double limit_s = 150) const {
    return run({"packaging/demo/run.sh"}, options(more, limit_s));
  }

  /// Files, or processes that were told of them.
  [[nodiscard]] std::string left_behind() const {
    std::string left;
    for (const auto& entry : std::filesystem::directory_iterator(files_.path()))
      if (entry.path().filename() != "invoices.csv") left += entry.path().string() + "\n";
    return left + run({"pgrep", "-af", files_.path().string() + "/demo-run"}).output;
  }

  /// A sabotaged run must name the order that was tampered with.
  void expect_caught(const std::string& sabotage, const std::string& limit) const {
    const Finished done = demo({{"LIMIT", limit}, {"SABOTAGE", sabotage}});
    EXPECT_EQ(done.ended.exit_code, 1) << done.output << done.errors;
    const std::string told = "sabotage: " + sabotage + ": ";
    const auto begin = done.output.find(told);
    ASSERT_NE(begin, std::string::npos) << done.output << done.errors;
    const std::string order =
        done.output.substr(begin + told.size(), done.output.find(',', begin) - begin - told.size());
    EXPECT_THAT(done.output, ::testing::HasSubstr(": " + order)) << done.output;
    EXPECT_THAT(done.output, ::testing::HasSubstr("finding"));
    EXPECT_THAT(done.errors, ::testing::HasSubstr("the auditor has caught the sabotage"));
    EXPECT_EQ(left_behind(), "");
  }

  void expect_clean(const Finished& done) const {
    EXPECT_EQ(done.ended.exit_code, 0) << done.output << done.errors;
    EXPECT_THAT(done.output, ::testing::HasSubstr("nothing lost, nothing doubled"));
    EXPECT_THAT(done.output, ::testing::HasSubstr("in sum, as it must be"));
    EXPECT_EQ(left_behind(), "");
  }

  TempDir files_;
};

}  // namespace mallbots::test
