// Which runs of a row count. Pure functions of the probes; nothing here measures.
//
// A run is near when all its probes are at most `near_max_ns`, far when all are above it and agree
// within kAgreement, else mixed: its cores moved, or the host was busy. Only near runs count; the
// others are shown. When more than half had to be left out, the row has no figure: what remains
// would be a choice of ours.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace mallbots::bench {

/// Probes agree when the largest is at most so many times the smallest. Near and far lie four-fold
/// apart on machines that have both; probes of one placement differ by a tenth.
inline constexpr double kAgreement = 1.5;

enum class Placement { kNear, kFar, kMixed };

[[nodiscard]] std::string_view name_of(Placement placement) noexcept;

/// No probes at all: near (the row's work does not depend on the placement).
[[nodiscard]] Placement classify(std::span<const double> probes_ns, double near_max_ns) noexcept;

/// The lowest probe of an invocation, `known_ns` until now (0: none), after a run with these
/// probes. A placement that did not last from one probe of a run to the next is none to measure in:
/// such a run teaches nothing, or one lucky moment would call all the rest far.
[[nodiscard]] double lowest_lasting(double known_ns, std::span<const double> probes_ns) noexcept;

struct Selection {
  std::vector<Placement> placements;  ///< one per run
  std::size_t kept = 0;
  std::size_t left_out = 0;

  [[nodiscard]] bool more_than_half_left_out() const noexcept { return left_out > kept; }
};

/// `runs[i]` holds the probes of run i.
[[nodiscard]] Selection select_runs(std::span<const std::vector<double>> runs, double near_max_ns);

/// Median with its smallest and largest neighbour; of an even number the mean of the middle two.
struct Spread {
  double median = 0.0;
  double min = 0.0;
  double max = 0.0;
  std::size_t runs = 0;
};

[[nodiscard]] Spread spread_of(std::vector<double> values);

}  // namespace mallbots::bench
