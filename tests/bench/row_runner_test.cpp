#include "bench/harness/row_runner.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "bench/harness/judge.h"
#include "bench/harness/report.h"
#include "bench/harness/roles.h"

namespace mallbots::bench {
namespace {

RunnerOptions options_with(double near_max_ns, std::size_t runs) {
  const std::vector<int> cpus = allowed_cpus();
  return RunnerOptions{
      .context = RunContext{.cpu_a = cpus.front(), .cpu_b = cpus.back()},
      .runs = runs,
      .near_max_ns = near_max_ns,
      .longest_wait_s = 0,
  };
}

constexpr double kEverythingIsNear = 1e12;
constexpr double kNothingIsNear = 1e-3;

/// A row whose work takes no time, with a limit of two methods, one of which is missing here.
struct Fixture {
  Registry registry;
  Measured measured;
  int calls = 0;

  explicit Fixture(ProbeRule rule) {
    registry.add(Limit{
        .name = "limit.x",
        .main_figure = "p50",
        .figures = {"p50"},
        .methods = {{"works", [](const RunContext&) { return Figures{{"p50", 100.0}}; }},
                    {"missing",
                     [](const RunContext&) -> Result<Figures> {
                       return fail(ErrorCode::kUnsupported, "not installed");
                     }}},
    });
    measured.row = Row{.name = "row",
                       .probe = rule,
                       .lines = {Line{.work = "work",
                                      .figure = "p50",
                                      .limit = {LimitTerm{"limit.x", "p50"}},
                                      .bound = Bound::kRatioAtMost,
                                      .budget = 2.0}},
                       .measure = [this](const RunContext&) -> Result<Figures> {
                         ++calls;
                         return Figures{{"p50", 150.0}};
                       }};
  }
};

class RowRunnerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (allowed_cpus().size() < 2) GTEST_SKIP() << "the near/far probe needs two cores";
  }
};

TEST_F(RowRunnerTest, StopsWhenEnoughRunsCount) {
  Fixture fixture{ProbeRule::kMustBeNear};
  RowRunner runner{fixture.registry, options_with(kEverythingIsNear, 3)};
  runner.measure(fixture.measured);
  EXPECT_EQ(fixture.calls, 3);
  const RowReport report =
      judge(fixture.measured, runner.select(fixture.measured), runner.runs_wanted());
  EXPECT_EQ(report.lines[0].verdict, Verdict::kMet);
  EXPECT_DOUBLE_EQ(report.lines[0].ratio.median, 1.5);
  ASSERT_EQ(report.methods.size(), 2U);
  EXPECT_EQ(report.methods[1].skipped, "not installed");
}

TEST_F(RowRunnerTest, ProbesStandBeforeBetweenAndAfter) {
  Fixture fixture{ProbeRule::kMustBeNear};
  RowRunner runner{fixture.registry, options_with(kEverythingIsNear, 1)};
  runner.measure(fixture.measured);
  ASSERT_EQ(fixture.measured.runs.size(), 1U);
  EXPECT_EQ(fixture.measured.runs[0].seen.probes_ns.size(), 3U);
}

TEST_F(RowRunnerTest, GivesUpWhenTooManyRunsAreLeftOut) {
  Fixture fixture{ProbeRule::kMustBeNear};
  RowRunner runner{fixture.registry, options_with(kNothingIsNear, 2)};
  runner.measure(fixture.measured);
  EXPECT_EQ(fixture.calls, 3);
  const Selection selection = runner.select(fixture.measured);
  EXPECT_EQ(selection.left_out, 3U);
  EXPECT_EQ(judge(fixture.measured, selection, 2).lines[0].verdict, Verdict::kLeftOut);
}

/// A machine whose probes are these, the last one for ever.
RunnerOptions on_a_machine(std::vector<double> probes, std::size_t runs) {
  RunnerOptions options = options_with(0, runs);
  options.probe = [probes = std::move(probes), at = std::size_t{0}]() mutable -> Result<double> {
    return probes[std::min(at++, probes.size() - 1)];
  };
  options.between_looks_s = 0;
  return options;
}

TEST_F(RowRunnerTest, NearIsFoundOutOnceBeforeTheFirstRowThatAsks) {
  std::vector<double> probes(10, 80);  // threads of one core
  probes.insert(probes.end(), 30, 160);
  probes.insert(probes.end(), 20, 550);
  probes.push_back(160);
  Fixture fixture{ProbeRule::kMustBeNear};
  RowRunner runner{fixture.registry, on_a_machine(probes, 2)};
  EXPECT_EQ(runner.near().max_ns, 0);
  runner.measure(fixture.measured);
  EXPECT_EQ(runner.scouted().runs, 60U);
  EXPECT_TRUE(runner.near().holds(160));
  EXPECT_FALSE(runner.near().holds(80));
  EXPECT_EQ(runner.select(fixture.measured).kept, 2U);
  EXPECT_EQ(fixture.calls, 2);
}

TEST_F(RowRunnerTest, ARunBeginsWhenTheCoresAreNear) {
  std::vector<double> probes(60, 160);
  probes.insert(probes.end(), 5, 550);  // away, and back
  probes.push_back(160);
  Fixture fixture{ProbeRule::kMustBeNear};
  RunnerOptions options = on_a_machine(probes, 1);
  options.longest_wait_s = 60;
  RowRunner runner{fixture.registry, std::move(options)};
  runner.measure(fixture.measured);
  ASSERT_EQ(fixture.measured.runs.size(), 1U);
  EXPECT_EQ(fixture.measured.runs[0].seen.probes_ns, (std::vector<double>{160, 160, 160}));
}

TEST_F(RowRunnerTest, ARunBeginsElsewhereWhenTheCoresStayAway) {
  std::vector<double> probes(60, 160);
  probes.push_back(550);
  Fixture fixture{ProbeRule::kMustBeNear};
  RowRunner runner{fixture.registry, on_a_machine(probes, 1)};
  runner.measure(fixture.measured);
  EXPECT_EQ(runner.select(fixture.measured).left_out, 2U);
}

/// A row and a limit that are both cut in slices: so much of each is near.
void cut_in_slices(Fixture& fixture, double limit_share, std::optional<double> work_share) {
  fixture.registry = {};
  fixture.registry.add(Limit{
      .name = "limit.x",
      .main_figure = "p50",
      .figures = {"p50"},
      .methods = {{"works",
                   [=](const RunContext&) {
                     Figures figures{{kNearShare, limit_share}};
                     if (limit_share > 0) figures["p50"] = 100;
                     return figures;
                   }}},
  });
  fixture.measured.row.measure = [=](const RunContext& run) -> Result<Figures> {
    EXPECT_TRUE(run.near.holds(160));
    EXPECT_FALSE(run.near.holds(550));
    Figures figures{{"p50", 150.0}};
    if (work_share) figures[kNearShare] = *work_share;
    return figures;
  };
}

TEST_F(RowRunnerTest, ARunInSlicesCountsAlthoughTheCoresMoved) {
  std::vector<double> probes(60, 160);
  probes.insert(probes.end(), {160, 550, 160});
  Fixture fixture{ProbeRule::kMustBeNear};
  cut_in_slices(fixture, 0.9, 0.3);
  RowRunner runner{fixture.registry, on_a_machine(probes, 1)};
  runner.measure(fixture.measured);
  EXPECT_EQ(runner.select(fixture.measured).kept, 1U);
  EXPECT_EQ(fixture.measured.runs[0].seen.near_share, 0.3);
}

TEST_F(RowRunnerTest, APartThatFellIntoAStayElsewhereIsPlayedAgain) {
  Fixture fixture{ProbeRule::kMustBeNear};
  cut_in_slices(fixture, 0.9, 0.9);
  int calls = 0;
  fixture.measured.row.measure = [&calls](const RunContext&) -> Result<Figures> {
    const double share = ++calls < 3 ? 0.1 : 0.8;
    return Figures{{"p50", 150.0}, {kNearShare, share}};
  };
  RowRunner runner{fixture.registry, on_a_machine(std::vector<double>(61, 160), 1)};
  runner.measure(fixture.measured);
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(runner.select(fixture.measured).kept, 1U);
  EXPECT_EQ(fixture.measured.runs[0].seen.near_share, 0.8);
}

TEST_F(RowRunnerTest, ARunInSlicesIsLeftOutWhenAPartWasSeldomNear) {
  Fixture fixture{ProbeRule::kMustBeNear};
  cut_in_slices(fixture, 0.2, 0.9);
  RowRunner runner{fixture.registry, on_a_machine(std::vector<double>(61, 160), 1)};
  runner.measure(fixture.measured);
  EXPECT_EQ(runner.select(fixture.measured).kept, 0U);
}

TEST_F(RowRunnerTest, OneUncutPartLeavesTheRunToItsProbes) {
  for (const double limit_share : {0.3, 0.2}) {
    Fixture fixture{ProbeRule::kMustBeNear};
    cut_in_slices(fixture, limit_share, std::nullopt);
    RowRunner runner{fixture.registry, on_a_machine(std::vector<double>(61, 160), 1)};
    runner.measure(fixture.measured);
    EXPECT_EQ(runner.select(fixture.measured).kept, limit_share > 0.25 ? 1U : 0U);
  }
}

TEST_F(RowRunnerTest, UnpinnedWorkKeepsRunsOfAnyPlacement) {
  Fixture fixture{ProbeRule::kShownOnly};
  RowRunner runner{fixture.registry, options_with(kNothingIsNear, 2)};
  runner.measure(fixture.measured);
  EXPECT_EQ(fixture.calls, 2);
  EXPECT_EQ(runner.select(fixture.measured).kept, 2U);
}

TEST_F(RowRunnerTest, AFailureEndsTheRowAndIsKept) {
  Fixture fixture{ProbeRule::kMustBeNear};
  fixture.measured.row.measure = [](const RunContext&) -> Result<Figures> {
    return fail(ErrorCode::kCorrupt, "record 7 is gone");
  };
  RowRunner runner{fixture.registry, options_with(kEverythingIsNear, 3)};
  runner.measure(fixture.measured);
  ASSERT_TRUE(fixture.measured.failure);
  EXPECT_EQ(fixture.measured.failure->detail, "record 7 is gone");
}

TEST_F(RowRunnerTest, RunsLeftOutAreShownInTheTable) {
  Fixture fixture{ProbeRule::kMustBeNear};
  RowRunner runner{fixture.registry, options_with(kNothingIsNear, 1)};
  runner.measure(fixture.measured);
  const Selection selection = runner.select(fixture.measured);
  Report report;
  report.rows.push_back(
      ReportedRow{&fixture.measured, selection, judge(fixture.measured, selection, 1)});
  const std::string text = text_of(report);
  EXPECT_NE(text.find("left out: run 1"), std::string::npos) << text;
  EXPECT_NE(text.find("left out: run 2"), std::string::npos) << text;
  EXPECT_NE(text.find("0 of 2 runs count"), std::string::npos) << text;
  EXPECT_NE(json_of(report).find("\"counts\": false"), std::string::npos);
}

TEST(Quantity, HasThreeDigitsAndAUnit) {
  EXPECT_EQ(quantity(110, Unit::kNs), "110 ns");
  EXPECT_EQ(quantity(3'370, Unit::kNs), "3.37 us");
  EXPECT_EQ(quantity(12'040'000, Unit::kNs), "12.0 ms");
  EXPECT_EQ(quantity(62.4e6, Unit::kPerSecond), "62.4 M/s");
  EXPECT_EQ(quantity(3.15e9, Unit::kBytesPerSecond), "3.15 GB/s");
  EXPECT_EQ(quantity(0.4, Unit::kNs), "0.40 ns");
}

}  // namespace
}  // namespace mallbots::bench
