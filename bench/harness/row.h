// What is measured: limits (what the machine can do) and rows (what the product does, with its
// budget). Plain data plus the function that measures; bench/harness/row_runner.h runs them,
// bench/harness/judge.h compares, bench/harness/report.h prints.
//
// A measuring function runs once per run, in the parent process, and returns named figures: times
// in nanoseconds, rates per second, sizes in bytes. An error ends the row and is shown;
// ErrorCode::kUnsupported from one method of a limit only leaves that method out, with its reason.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/harness/histogram.h"
#include "bench/harness/selection.h"
#include "shm/base/result.h"

namespace mallbots::bench {

/// Name ("p50", "rate", ...) -> value.
using Figures = std::map<std::string, double>;

/// Figure of work that is cut in slices: the share of them that counts.
inline constexpr const char* kNearShare = "near";

/// What a measuring function may know of its run.
struct RunContext {
  int cpu_a = 0;  ///< the two cores of pinned work; allowed to this process
  int cpu_b = 1;
  NearRange near = kAnywhere;         ///< for work that is cut in slices (harness/slices.h)
  bool quick = false;                 ///< tiny counts: does it run at all
  std::filesystem::path scratch_dir;  ///< on the disk under test; empty it after use
  std::filesystem::path bin_dir;      ///< where mallbotsd stands

  /// How often to do what is done `full` times for the record.
  [[nodiscard]] std::uint64_t times(std::uint64_t full, std::uint64_t when_quick) const noexcept {
    return quick ? when_quick : full;
  }
};

using Measure = std::function<Result<Figures>(const RunContext&)>;

enum class Unit { kNs, kPerSecond, kBytesPerSecond, kBytes, kPercent, kCount };

/// Are the probes a reason to leave a run out? Not where the kernel chooses the cores: there the
/// probe of two fixed cores says nothing about the work, and is only shown.
enum class ProbeRule { kMustBeNear, kShownOnly };

struct Method {
  std::string name;
  Measure measure;
};

/// A bare figure of the machine, by independent methods; the one with the better median counts.
struct Limit {
  std::string name;
  std::string work;
  std::string placement;  ///< who runs where
  ProbeRule probe = ProbeRule::kMustBeNear;
  Unit unit = Unit::kNs;
  bool lower_is_better = true;
  std::string main_figure;           ///< by which the methods are compared
  std::vector<std::string> figures;  ///< shown, in this order
  std::vector<Method> methods;
};

/// Part of what a figure is compared with: factor x figure of a limit, or of the row itself when
/// `limit` is empty.
struct LimitTerm {
  std::string limit;
  std::string figure;
  double factor = 1.0;
};

enum class Bound { kNone, kRatioAtMost, kRatioAtLeast, kAtMost, kAtLeast };

/// One line of the table: a figure and what is asked of it.
struct Line {
  std::string work;
  std::string figure;
  Unit unit = Unit::kNs;
  std::vector<LimitTerm> limit;  ///< the sum of these; may be empty
  Bound bound = Bound::kNone;
  double budget = 0.0;
};

struct Row {
  std::string name;       ///< as in ROW=name
  std::string placement;  ///< who runs where, and what persists
  std::string peer;       ///< the best other, same machine; may be empty
  ProbeRule probe = ProbeRule::kMustBeNear;
  std::vector<Line> lines;
  Measure measure;
};

/// All limits and rows in the order of the table. References stay valid.
class Registry {
 public:
  void add(Limit limit) { limits_.push_back(std::move(limit)); }
  void add(Row row) { rows_.push_back(std::move(row)); }

  [[nodiscard]] const std::deque<Limit>& limits() const noexcept { return limits_; }
  [[nodiscard]] const std::deque<Row>& rows() const noexcept { return rows_; }
  [[nodiscard]] const Limit* find_limit(std::string_view name) const noexcept;
  /// Each limit a row's lines name, once. A name without limit is our own bug (CHECK).
  [[nodiscard]] std::vector<const Limit*> limits_of(const Row& row) const;

 private:
  std::deque<Limit> limits_;
  std::deque<Row> rows_;
};

/// p50, p90, p99, p99.9, max, mean in nanoseconds of a histogram of ticks.
[[nodiscard]] Figures latency_figures(const Histogram& ticks);

}  // namespace mallbots::bench
