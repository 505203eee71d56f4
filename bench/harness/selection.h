// Which runs of a row count. Pure functions of the probes; nothing here measures.
//
// A run is near when all its probes lie in the range that counts, far or closer when all lie on
// that side of it and agree within kAgreement, else mixed: its cores moved, or the host was busy.
// A run whose work is cut in slices is near when at least a quarter of the slices of each part are:
// only those have figures. Only near runs count; the others are shown. When more than half had to
// be left out, the row has no figure: what remains would be a choice of ours.
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace mallbots::bench {

/// Probes agree when the largest is at most so many times the smallest. Placements were seen to lie
/// two- to four-fold apart; probes of one differ by a fifth at most.
inline constexpr double kAgreement = 1.5;

/// Probes of the placement by which runs are compared; nanoseconds.
struct NearRange {
  double min_ns = 0;
  double max_ns = 0;

  [[nodiscard]] bool holds(double probe_ns) const noexcept {
    return probe_ns >= min_ns && probe_ns <= max_ns;
  }
};

/// A placement in which less of the probes, or of the slices of a part, lie is none to measure in.
inline constexpr double kSeldom = 0.25;

inline constexpr NearRange kAnywhere{0, std::numeric_limits<double>::infinity()};

/// Near on a machine where these probes were seen: the lowest placement that holds a quarter of
/// them, kAgreement wide around its median; if none does, the one that holds most. A lower one that
/// is seldom (two threads of one core, on a host that moves cores about) would leave no runs to
/// compare. Not empty unless there are no probes.
[[nodiscard]] NearRange near_range_of(std::vector<double> probes_ns);

enum class Placement { kNear, kCloser, kFar, kMixed };

[[nodiscard]] std::string_view name_of(Placement placement) noexcept;

/// What a run saw of where its cores were.
struct Seen {
  std::vector<double> probes_ns;
  /// Of work that is cut in slices: of its parts' near shares the least.
  std::optional<double> near_share;
};

/// No probes at all: near (the row's work does not depend on the placement).
[[nodiscard]] Placement classify(const Seen& run, const NearRange& near) noexcept;

struct Selection {
  std::vector<Placement> placements;  ///< one per run
  std::size_t kept = 0;
  std::size_t left_out = 0;

  [[nodiscard]] bool more_than_half_left_out() const noexcept { return left_out > kept; }
};

[[nodiscard]] Selection select_runs(std::span<const Seen> runs, const NearRange& near);

/// Median with its smallest and largest neighbour; of an even number the mean of the middle two.
struct Spread {
  double median = 0.0;
  double min = 0.0;
  double max = 0.0;
  std::size_t runs = 0;
};

[[nodiscard]] Spread spread_of(std::vector<double> values);

}  // namespace mallbots::bench
