#include "bench/harness/judge.h"

#include <gtest/gtest.h>

namespace mallbots::bench {
namespace {

Limit round_trip_limit() {
  return Limit{.name = "limit.x", .main_figure = "p50", .methods = {{"a", {}}, {"b", {}}}};
}

/// A row with one line: p50 against limit.x.
Measured row_with(Bound bound, double budget) {
  Measured measured{.begun = true};
  measured.row.lines = {Line{.work = "work",
                             .figure = "p50",
                             .limit = {LimitTerm{"limit.x", "p50"}},
                             .bound = bound,
                             .budget = budget}};
  return measured;
}

RunRecord run_with(const Limit& limit, double a_ns, double b_ns, double figure_ns) {
  return RunRecord{.seen = {.probes_ns = {100, 100}},
                   .limits = {LimitRun{
                       &limit, {MethodRun{"a", {{"p50", a_ns}}}, MethodRun{"b", {{"p50", b_ns}}}}}},
                   .figures = {{"p50", figure_ns}}};
}

Selection keep_all(const Measured& measured) {
  return select_runs(std::vector<Seen>(measured.runs.size()), NearRange{});
}

TEST(Judge, TheBetterMethodOfALimitCounts) {
  const Limit limit = round_trip_limit();
  Measured measured = row_with(Bound::kRatioAtMost, 1.1);
  for (int i = 0; i < 5; ++i) measured.runs.push_back(run_with(limit, 120, 100, 109));
  const RowReport report = judge(measured, keep_all(measured), 5);
  EXPECT_EQ(report.lines[0].limit.median, 100);
  EXPECT_DOUBLE_EQ(report.lines[0].ratio.median, 1.09);
  EXPECT_EQ(report.lines[0].verdict, Verdict::kMet);
  EXPECT_FALSE(report.methods[0].counted);
  EXPECT_TRUE(report.methods[1].counted);
}

TEST(Judge, ForARateTheHigherMethodCounts) {
  Limit limit = round_trip_limit();
  limit.lower_is_better = false;
  Measured measured = row_with(Bound::kRatioAtLeast, 0.6);
  measured.runs.push_back(run_with(limit, 120, 100, 66));
  const RowReport report = judge(measured, keep_all(measured), 1);
  EXPECT_EQ(report.lines[0].limit.median, 120);
  EXPECT_EQ(report.lines[0].verdict, Verdict::kNotMet);
}

TEST(Judge, TheRatioIsTakenWithinEachRun) {
  const Limit limit = round_trip_limit();
  Measured measured = row_with(Bound::kRatioAtMost, 1.5);
  // The machine slows down five-fold in the middle: figure and limit go together.
  for (const double slow : {1.0, 5.0, 1.0, 5.0, 5.0}) {
    measured.runs.push_back(run_with(limit, 100 * slow, 900, 110 * slow));
  }
  const RowReport report = judge(measured, keep_all(measured), 5);
  EXPECT_DOUBLE_EQ(report.lines[0].ratio.min, 1.1);
  EXPECT_DOUBLE_EQ(report.lines[0].ratio.max, 1.1);
}

TEST(Judge, LimitsAddUpWithTheirFactors) {
  const Limit limit = round_trip_limit();
  Measured measured = row_with(Bound::kRatioAtMost, 1.0);
  measured.row.lines[0].limit = {LimitTerm{"limit.x", "p50", 2.0}, LimitTerm{"", "p50", 0.5}};
  measured.runs.push_back(run_with(limit, 10, 20, 100));
  EXPECT_EQ(judge(measured, keep_all(measured), 1).lines[0].limit.median, 70);
}

TEST(Judge, OnlyNearRunsReachTheMedian) {
  const Limit limit = round_trip_limit();
  Measured measured = row_with(Bound::kNone, 0);
  measured.runs = {run_with(limit, 100, 100, 110), run_with(limit, 400, 400, 999),
                   run_with(limit, 100, 100, 112)};
  const Selection selection =
      select_runs(std::vector<Seen>{{{110, 111}}, {{110, 470}}, {{109, 110}}}, NearRange{90, 200});
  const RowReport report = judge(measured, selection, 2);
  EXPECT_EQ(report.lines[0].figure.max, 112);
  EXPECT_EQ(report.lines[0].figure.runs, 2U);
}

TEST(Judge, MoreThanHalfLeftOutFailsTheRow) {
  const Limit limit = round_trip_limit();
  Measured measured = row_with(Bound::kRatioAtMost, 2);
  measured.runs = {run_with(limit, 100, 100, 110), run_with(limit, 400, 400, 440),
                   run_with(limit, 400, 400, 440)};
  const Selection selection =
      select_runs(std::vector<Seen>{{{110, 111}}, {{470, 470}}, {{110, 470}}}, NearRange{90, 200});
  const RowReport report = judge(measured, selection, 1);
  EXPECT_EQ(report.lines[0].verdict, Verdict::kLeftOut);
  EXPECT_FALSE(report.measured());
}

TEST(Judge, FewerRunsThanWantedAreNoFigure) {
  const Limit limit = round_trip_limit();
  Measured measured = row_with(Bound::kRatioAtMost, 2);
  for (int i = 0; i < 4; ++i) measured.runs.push_back(run_with(limit, 100, 100, 110));
  EXPECT_EQ(judge(measured, keep_all(measured), 5).lines[0].verdict, Verdict::kLeftOut);
}

TEST(Judge, AFailureIsNeverABudgetMet) {
  Measured measured = row_with(Bound::kAtMost, 1e9);
  measured.failure = Error{ErrorCode::kTimeout, "not done"};
  EXPECT_EQ(judge(measured, keep_all(measured), 5).lines[0].verdict, Verdict::kFailed);
}

TEST(Judge, AMissingFigureIsNeverABudgetMet) {
  const Limit limit = round_trip_limit();
  Measured measured = row_with(Bound::kAtMost, 1e9);
  measured.runs.push_back(run_with(limit, 100, 100, 110));
  measured.runs[0].figures.clear();
  EXPECT_EQ(judge(measured, keep_all(measured), 1).lines[0].verdict, Verdict::kFailed);
}

TEST(Judge, ASkippedMethodDoesNotCount) {
  const Limit limit = round_trip_limit();
  Measured measured = row_with(Bound::kRatioAtMost, 2);
  measured.runs.push_back(run_with(limit, 100, 100, 110));
  measured.runs[0].limits[0].methods[1] = MethodRun{.method = "b", .skipped = "not installed"};
  const RowReport report = judge(measured, keep_all(measured), 1);
  EXPECT_EQ(report.lines[0].limit.median, 100);
  EXPECT_EQ(report.methods[1].skipped, "not installed");
  EXPECT_FALSE(report.methods[1].counted);
}

TEST(Judge, ARowNotBegunSaysSo) {
  Measured measured = row_with(Bound::kAtMost, 1e9);
  measured.begun = false;
  EXPECT_EQ(judge(measured, keep_all(measured), 5).lines[0].verdict, Verdict::kNotRun);
}

}  // namespace
}  // namespace mallbots::bench
