// From runs to verdicts: medians of what counts, the better method of each limit, the ratio, and
// whether the budget is met. Pure functions; nothing here measures or prints.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bench/harness/row_runner.h"
#include "bench/harness/selection.h"

namespace mallbots::bench {

enum class Verdict {
  kMet,
  kNotMet,
  kLeftOut,  ///< too few runs count: no figure
  kFailed,   ///< a measuring function said why not
  kNotRun,   ///< the time was over
  kShown,    ///< there is no budget
};

[[nodiscard]] std::string_view name_of(Verdict verdict) noexcept;

struct LineReport {
  Line line;
  Spread figure;  ///< of a row that is only a limit: the limit
  Spread limit;   ///< runs == 0: none
  Spread ratio;   ///< of the ratios within each run; runs == 0: none
  Verdict verdict = Verdict::kShown;
};

/// Which method of a limit counted, and what the others reached.
struct MethodReport {
  std::string limit;
  std::string method;
  std::string skipped;  ///< why; empty when measured
  Spread main_figure;
  Unit unit = Unit::kNs;
  bool counted = false;
};

struct RowReport {
  std::vector<LineReport> lines;
  std::vector<MethodReport> methods;
  /// No line asks for more than it got, and nothing failed or was left out.
  [[nodiscard]] bool measured() const noexcept;
  [[nodiscard]] bool met() const noexcept;
};

/// `selection` is RowRunner::select(measured); fewer than `runs_wanted` kept runs are left out.
[[nodiscard]] RowReport judge(const Measured& measured, const Selection& selection,
                              std::size_t runs_wanted);

}  // namespace mallbots::bench
