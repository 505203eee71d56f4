// The whole program, small: every row of the limits and a scenario of each kind runs, both outputs
// are what they say they are, and nothing stays behind.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/harness/child_process.h"
#include "bench/harness/roles.h"
#include "bench/limits/limits.h"

namespace mallbots::bench {
namespace {

namespace fs = std::filesystem;

class BenchProgram : public testing::Test {
 protected:
  void SetUp() override {
    if (allowed_cpus().size() < 2) GTEST_SKIP() << "mallbots_bench needs two cores";
    std::string name = "/var/tmp/mallbots-bench-test.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    scratch_ = name;
  }
  void TearDown() override {
    std::error_code ignored;
    if (!scratch_.empty()) fs::remove_all(scratch_, ignored);
  }

  struct Outcome {
    int code = -1;
    std::string output;
  };

  /// Standard output and error together; what goes to stderr is progress and errors.
  Outcome run(std::vector<std::string> arguments) const {
    const fs::path program = fs::read_symlink("/proc/self/exe").parent_path() / "mallbots_bench";
    arguments.insert(arguments.begin(), {program.string(), "--scratch", scratch_.string()});
    auto child = ChildProcess::start(arguments);
    if (!child) return {};
    const auto code = child->wait(100);
    EXPECT_TRUE(code) << code.error().detail << "\n" << child->output();
    return Outcome{code.value_or(-1), child->output()};
  }

  fs::path scratch_;
};

TEST_F(BenchProgram, EveryLimitRunsSmallAndEveryMethodReportsOrSaysWhyNot) {
  const Outcome outcome = run({"--quick", "--row", "limit", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.output;
  const auto start = outcome.output.find("{\n");
  ASSERT_NE(start, std::string::npos) << outcome.output;
  const auto report = nlohmann::json::parse(outcome.output.substr(start));

  Registry registry;
  add_limits(registry);
  ASSERT_EQ(report.at("rows").size(), registry.limits().size());
  for (std::size_t i = 0; i < registry.limits().size(); ++i) {
    const Limit& limit = registry.limits()[i];
    const auto& row = report.at("rows").at(i);
    EXPECT_EQ(row.at("row"), limit.name);
    const auto& methods = row.at("runs").at(0).at("limits").at(limit.name);
    for (const Method& method : limit.methods) {
      const auto& figures = methods.at(method.name);
      if (figures.contains("skipped")) {
        EXPECT_FALSE(figures.at("skipped").get<std::string>().empty());
      } else {
        EXPECT_GT(figures.at(limit.main_figure).get<double>(), 0) << limit.name << method.name;
      }
    }
  }
}

TEST_F(BenchProgram, ScenariosRunSmallOverTheRealDaemonAndCleanUp) {
  const Outcome outcome = run({"--quick", "--json", "--row",
                               "rtt.64,throughput.batched,durable.one,groups.commit_batch,"
                               "failover.group,restart.100"});
  ASSERT_EQ(outcome.code, 0) << outcome.output;
  const auto report = nlohmann::json::parse(outcome.output.substr(outcome.output.find("{\n")));
  ASSERT_EQ(report.at("rows").size(), 6U);
  for (const auto& row : report.at("rows")) {
    const auto& figures = row.at("runs").at(0).at("figures");
    ASSERT_FALSE(figures.empty()) << row.at("row");
    for (const auto& figure : figures) EXPECT_GT(figure.get<double>(), 0) << row.at("row");
  }
  EXPECT_TRUE(fs::is_empty(scratch_));
}

TEST_F(BenchProgram, LeavesNothingInTheScratchFolder) {
  ASSERT_EQ(run({"--quick", "--row", "limit.disk_flush"}).code, 0);
  EXPECT_TRUE(fs::is_empty(scratch_));
}

TEST_F(BenchProgram, TheTableSaysWhereItComesFrom) {
  const Outcome outcome = run({"--quick", "--row", "limit.cache_line"});
  EXPECT_EQ(outcome.code, 0);
  for (const char* fact : {"cpu", "kernel", "build", "near/far probe", "WARNING: --quick", "budget",
                           "limit.cache_line"}) {
    EXPECT_NE(outcome.output.find(fact), std::string::npos) << fact << "\n" << outcome.output;
  }
}

TEST_F(BenchProgram, ListNamesEachLimit) {
  const Outcome outcome = run({"--list"});
  EXPECT_EQ(outcome.code, 0);
  Registry registry;
  add_limits(registry);
  for (const Limit& limit : registry.limits()) {
    EXPECT_NE(outcome.output.find(limit.name), std::string::npos) << limit.name;
  }
}

TEST_F(BenchProgram, AnUnknownRowIsAUsageError) {
  EXPECT_EQ(run({"--row", "no_such_row"}).code, 2);
  EXPECT_EQ(run({"--no-such-option"}).code, 2);
}

}  // namespace
}  // namespace mallbots::bench
