#include "bench/harness/judge.h"

#include <algorithm>
#include <optional>

namespace mallbots::bench {
namespace {

using Kept = std::vector<const RunRecord*>;

Kept kept_runs(const Measured& measured, const Selection& selection) {
  Kept kept;
  for (std::size_t i = 0; i < measured.runs.size(); ++i) {
    if (selection.placements[i] == Placement::kNear) kept.push_back(&measured.runs[i]);
  }
  return kept;
}

const LimitRun* find_limit(const RunRecord& run, std::string_view name) {
  const auto found =
      std::ranges::find_if(run.limits, [&](const LimitRun& l) { return l.limit->name == name; });
  return found == run.limits.end() ? nullptr : &*found;
}

/// The figure in each kept run; nothing unless every run has it.
std::optional<std::vector<double>> values_of(const Kept& kept, std::string_view limit,
                                             std::size_t method, const std::string& figure) {
  std::vector<double> values;
  for (const RunRecord* run : kept) {
    const Figures& figures = find_limit(*run, limit)->methods[method].figures;
    const auto found = figures.find(figure);
    if (found == figures.end()) return std::nullopt;
    values.push_back(found->second);
  }
  return values;
}

/// Among the methods that have `figure`, the one whose main figure has the better median.
std::optional<std::size_t> better_method(const Kept& kept, const LimitRun& sample,
                                         const std::string& figure) {
  std::optional<std::size_t> best;
  double best_median = 0;
  for (std::size_t i = 0; i < sample.methods.size(); ++i) {
    if (!values_of(kept, sample.limit->name, i, figure)) continue;
    const auto main = values_of(kept, sample.limit->name, i, sample.limit->main_figure);
    if (!main) continue;
    const double median = spread_of(*main).median;
    const bool better = sample.limit->lower_is_better ? median < best_median : median > best_median;
    if (!best || better) {
      best = i;
      best_median = median;
    }
  }
  return best;
}

/// What the line is compared with, in each kept run; nothing when there is nothing to compare with.
std::optional<std::vector<double>> limit_values(const Kept& kept, const Line& line) {
  if (line.limit.empty() || kept.empty()) return std::nullopt;
  std::vector<double> sums(kept.size(), 0.0);
  for (const LimitTerm& term : line.limit) {
    std::optional<std::vector<double>> values;
    if (term.limit.empty()) {
      values.emplace();
      for (const RunRecord* run : kept) {
        const auto found = run->figures.find(term.figure);
        if (found == run->figures.end()) return std::nullopt;
        values->push_back(found->second);
      }
    } else if (const LimitRun* sample = find_limit(*kept.front(), term.limit); sample != nullptr) {
      const auto method = better_method(kept, *sample, term.figure);
      if (method) values = values_of(kept, term.limit, *method, term.figure);
    }
    if (!values) return std::nullopt;
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += term.factor * (*values)[i];
  }
  return sums;
}

std::optional<std::vector<double>> own_values(const Kept& kept, const std::string& figure) {
  std::vector<double> values;
  for (const RunRecord* run : kept) {
    const auto found = run->figures.find(figure);
    if (found == run->figures.end()) return std::nullopt;
    values.push_back(found->second);
  }
  return values;
}

Verdict compare(const Line& line, const Spread& figure, const Spread& ratio) {
  const bool needs_ratio = line.bound == Bound::kRatioAtMost || line.bound == Bound::kRatioAtLeast;
  // A budget whose figure or limit could not be had is not met by silence.
  if (figure.runs == 0 || (needs_ratio && ratio.runs == 0)) return Verdict::kFailed;
  bool met = true;
  switch (line.bound) {
    case Bound::kNone:
      return Verdict::kShown;
    case Bound::kRatioAtMost:
      met = ratio.median <= line.budget;
      break;
    case Bound::kRatioAtLeast:
      met = ratio.median >= line.budget;
      break;
    case Bound::kAtMost:
      met = figure.median <= line.budget;
      break;
    case Bound::kAtLeast:
      met = figure.median >= line.budget;
      break;
  }
  return met ? Verdict::kMet : Verdict::kNotMet;
}

LineReport judge_line(const Kept& kept, const Line& line) {
  LineReport report{.line = line};
  const auto limits = limit_values(kept, line);
  if (line.figure.empty()) {  // the row is a limit: its value is the figure
    if (limits) report.figure = spread_of(*limits);
    report.verdict = compare(line, report.figure, report.ratio);
    return report;
  }
  const auto values = own_values(kept, line.figure);
  if (values) report.figure = spread_of(*values);
  if (limits) report.limit = spread_of(*limits);
  if (values && limits) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < values->size(); ++i) {
      if ((*limits)[i] > 0) ratios.push_back((*values)[i] / (*limits)[i]);
    }
    if (ratios.size() == values->size()) report.ratio = spread_of(ratios);
  }
  report.verdict = compare(line, report.figure, report.ratio);
  return report;
}

std::vector<MethodReport> method_reports(const Kept& kept) {
  std::vector<MethodReport> reports;
  if (kept.empty()) return reports;
  for (const LimitRun& sample : kept.front()->limits) {
    const auto best = better_method(kept, sample, sample.limit->main_figure);
    for (std::size_t i = 0; i < sample.methods.size(); ++i) {
      const auto values = values_of(kept, sample.limit->name, i, sample.limit->main_figure);
      MethodReport report{.limit = sample.limit->name,
                          .method = sample.methods[i].method,
                          .skipped = sample.methods[i].skipped,
                          .unit = sample.limit->unit,
                          .counted = best == i};
      if (values) report.main_figure = spread_of(*values);
      reports.push_back(std::move(report));
    }
  }
  return reports;
}

}  // namespace

std::string_view name_of(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::kMet:
      return "met";
    case Verdict::kNotMet:
      return "not met";
    case Verdict::kLeftOut:
      return "left out";
    case Verdict::kFailed:
      return "failed";
    case Verdict::kNotRun:
      return "not run";
    case Verdict::kShown:
      break;
  }
  return "-";
}

bool RowReport::measured() const noexcept {
  return std::ranges::all_of(lines, [](const LineReport& line) {
    return line.verdict == Verdict::kMet || line.verdict == Verdict::kNotMet ||
           line.verdict == Verdict::kShown;
  });
}

bool RowReport::met() const noexcept {
  return measured() && std::ranges::none_of(lines, [](const LineReport& line) {
           return line.verdict == Verdict::kNotMet;
         });
}

RowReport judge(const Measured& measured, const Selection& selection, std::size_t runs_wanted) {
  RowReport report;
  const bool too_few = selection.kept < runs_wanted || selection.more_than_half_left_out();
  if (!measured.begun || measured.failure || too_few) {
    const Verdict verdict = !measured.begun    ? Verdict::kNotRun
                            : measured.failure ? Verdict::kFailed
                                               : Verdict::kLeftOut;
    for (const Line& line : measured.row.lines) {
      report.lines.push_back(LineReport{.line = line, .verdict = verdict});
    }
    return report;
  }
  const Kept kept = kept_runs(measured, selection);
  for (const Line& line : measured.row.lines) report.lines.push_back(judge_line(kept, line));
  report.methods = method_reports(kept);
  return report;
}

}  // namespace mallbots::bench
