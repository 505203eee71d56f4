// Slices: a closed loop between two pinned, spinning processes, cut into about a hundred pieces
// with a probe of the cores between two. A piece counts when the probes on both sides of it are
// near, so a run outlives that its cores move meanwhile (docs/decisions/0017).
//
// lead_slices() in one process, follow_slices() in the other, with the same plan and rounds that
// play each other; a side that fails ends its process, and run_roles the other.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "bench/harness/clock.h"
#include "bench/harness/ping_pong.h"
#include "bench/harness/row.h"
#include "bench/harness/selection.h"
#include "shm/base/result.h"

namespace mallbots::bench {

struct SlicePlan {
  std::uint64_t rounds = 0;  ///< of a slice
  std::uint64_t slices = 0;
  std::uint64_t warm_up = 0;  ///< slices at the beginning that do not count
  NearRange near;

  /// About `rounds` in all, in so many slices.
  [[nodiscard]] static SlicePlan of(std::uint64_t rounds, const NearRange& near,
                                    std::uint64_t most = 100) noexcept {
    const std::uint64_t slices = std::min(rounds, most);
    return {rounds / slices, slices, slices / 10, near};
  }
};

/// In memory that both share.
struct Slices {
  PingPong probe;
  alignas(128) Histogram times;  ///< what the leader recorded in slices that count
  std::uint64_t all = 0;         ///< without the warm-up
  std::uint64_t near = 0;
  double near_ns = 0;  ///< how long those took, by the second clock

  /// The share of slices that count.
  [[nodiscard]] double near_share() const {
    return static_cast<double>(near) / static_cast<double>(std::max(all, 1UL));
  }
  /// p50 and so on, and `near`: the share. Only that if none counts.
  [[nodiscard]] Figures figures() const {
    Figures figures = near == 0 ? Figures{} : latency_figures(times);
    figures[kNearShare] = near_share();
    return figures;
  }
  /// `rate`: rounds a second, with so many in a slice; and `near` as above.
  [[nodiscard]] Figures rate_figures(std::uint64_t rounds) const {
    Figures figures{{kNearShare, near_share()}};
    if (near != 0) figures["rate"] = static_cast<double>(near * rounds) / (near_ns / 1e9);
    return figures;
  }
};

/// Of a probe: twice over all pairs of lines; the first time brings them back into the caches.
inline constexpr std::uint32_t kProbeRounds = 2 * PingPong::kPairs;

/// Median round trip, nanoseconds; stamped as probe_round_trip() does.
inline double lead_probe(PingPong& game, std::uint32_t& at) noexcept {
  std::array<std::uint64_t, PingPong::kPairs> took{};
  std::uint64_t* next = took.data();
  serve(game, at, at + PingPong::kPairs, [] {}, 1);
  serve_stamped(
      game, at + PingPong::kPairs, at + kProbeRounds, [&](std::uint64_t time) { *next++ = time; },
      1);
  at += kProbeRounds;
  std::ranges::nth_element(took, took.begin() + took.size() / 2);
  return ticks_to_ns(took[took.size() / 2]);
}

/// Does what was measured between two probes count?
[[nodiscard]] inline bool is_between(const NearRange& near, double before, double after) noexcept {
  return near.holds(before) && near.holds(after);
}

/// `work(from, to, record)` plays the rounds from `from` to before `to` and gives record() a time
/// in ticks for each (or for several at once); Result<void>.
template <class Work>
Result<void> lead_slices(Slices& shared, const SlicePlan& plan, Work work) {
  std::vector<std::uint64_t> times;
  times.reserve(plan.rounds);
  std::uint32_t probed = 0;
  double before = lead_probe(shared.probe, probed);
  for (std::uint64_t slice = 0; slice < plan.slices; ++slice) {
    times.clear();
    const std::uint64_t begin_ns = raw_now_ns();
    MALLBOTS_TRY(work(slice * plan.rounds, (slice + 1) * plan.rounds,
                      [&times](std::uint64_t time) { times.push_back(time); }));
    const std::uint64_t end_ns = raw_now_ns();
    const double after = lead_probe(shared.probe, probed);
    const bool is_near = is_between(plan.near, before, after);
    before = after;
    if (slice < plan.warm_up) continue;
    ++shared.all;
    if (!is_near) continue;
    ++shared.near;
    shared.near_ns += static_cast<double>(end_ns - begin_ns);
    for (const std::uint64_t time : times) shared.times.record(time);
  }
  return {};
}

/// `work(from, to)` as above.
template <class Work>
Result<void> follow_slices(Slices& shared, const SlicePlan& plan, Work work) {
  std::uint32_t probed = 0;
  const auto answer_probe = [&] {
    answer(shared.probe, probed, probed + kProbeRounds, 1);
    probed += kProbeRounds;
  };
  answer_probe();
  for (std::uint64_t slice = 0; slice < plan.slices; ++slice) {
    MALLBOTS_TRY(work(slice * plan.rounds, (slice + 1) * plan.rounds));
    answer_probe();
  }
  return {};
}

}  // namespace mallbots::bench
