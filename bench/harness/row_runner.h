// Runs rows: probe, the limits the row is compared with, probe, the work, probe; again until enough
// runs are near or too many had to be left out. Limit and work of one run stand next to each other
// in time, so a ratio is formed within a run and the median is taken of ratios.
//
// Which placement is near is found out before the first row that asks (NearRange); each run of such
// a row begins when the cores are there, or after two seconds without.
//
// One process, one thread; every measuring function starts its own processes. An error of a
// measuring function is kept in the Measured and ends that row only.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/harness/other_load.h"
#include "bench/harness/row.h"
#include "bench/harness/selection.h"
#include "shm/base/result.h"

namespace mallbots::bench {

struct MethodRun {
  std::string method;
  Figures figures;      ///< empty when skipped
  std::string skipped;  ///< why
};

struct LimitRun {
  const Limit* limit = nullptr;
  std::vector<MethodRun> methods;  ///< in the order of limit->methods
};

struct RunRecord {
  Seen seen;
  std::vector<LimitRun> limits;
  Figures figures;  ///< of the work; empty for a row that is only a limit
  LoadShare load;
};

/// A row with all its runs, those left out included.
struct Measured {
  Row row;
  std::vector<RunRecord> runs;
  std::optional<Error> failure;
  bool begun = false;
};

/// The row that shows a limit by itself: it has no measure of its own and no budget.
[[nodiscard]] Row row_of(const Limit& limit);

struct RunnerOptions {
  RunContext context;
  std::size_t runs = 5;    ///< near runs wanted; at most twice as many are tried
  double near_max_ns = 0;  ///< 0: near is found out
  /// The near/far probe, if another than probe_round_trip.
  std::function<Result<double>()> probe{};
  double between_looks_s = 0.185;  ///< while near is found out
  double longest_wait_s = 2;       ///< of a run for the cores to be near
};

class RowRunner {
 public:
  RowRunner(const Registry& registry, RunnerOptions options)
      : registry_(registry), options_(std::move(options)) {}

  /// Adds runs until the row has what it needs or cannot get it any more.
  void measure(Measured& measured);

  /// Empty before the first row that needs it.
  [[nodiscard]] const NearRange& near() const noexcept { return near_; }
  /// What was seen of the placement before the first run.
  [[nodiscard]] const Spread& scouted() const noexcept { return scouted_; }
  [[nodiscard]] std::size_t runs_wanted() const noexcept { return options_.runs; }

  /// The runs of a row, classed.
  [[nodiscard]] Selection select(const Measured& measured) const;

 private:
  [[nodiscard]] bool is_judged(const Row& row) const noexcept;
  Result<double> probe() const;
  Result<void> scout();
  Result<double> wait_for_near() const;
  Result<Figures> play(const Measure& measure, const RunContext& context) const;
  Result<RunRecord> run_once(const Row& row) const;
  Result<LimitRun> run_limit(const Limit& limit, const RunContext& context) const;

  const Registry& registry_;
  RunnerOptions options_;
  NearRange near_;
  Spread scouted_;
};

}  // namespace mallbots::bench
