#include "bench/harness/selection.h"

#include <algorithm>
#include <cmath>

namespace mallbots::bench {

std::string_view name_of(Placement placement) noexcept {
  switch (placement) {
    case Placement::kNear:
      return "near";
    case Placement::kCloser:
      return "closer";
    case Placement::kFar:
      return "far";
    case Placement::kMixed:
      break;
  }
  return "mixed";
}

Placement classify(const Seen& run, const NearRange& near) noexcept {
  if (run.near_share) return *run.near_share >= kSeldom ? Placement::kNear : Placement::kMixed;
  if (run.probes_ns.empty()) return Placement::kNear;
  const auto [smallest, largest] = std::ranges::minmax(run.probes_ns);
  if (near.holds(smallest) && near.holds(largest)) return Placement::kNear;
  if (largest > smallest * kAgreement) return Placement::kMixed;
  if (largest < near.min_ns) return Placement::kCloser;
  return smallest > near.max_ns ? Placement::kFar : Placement::kMixed;
}

NearRange near_range_of(std::vector<double> probes_ns) {
  std::ranges::sort(probes_ns);
  const double half = std::sqrt(kAgreement);
  NearRange most;
  std::ptrdiff_t held_most = 0;
  for (auto first = probes_ns.begin(); first != probes_ns.end(); ++first) {
    const auto last = std::upper_bound(first, probes_ns.end(), *first * kAgreement);
    const double median = *(first + (last - first) / 2);
    const NearRange near{median / half, median * half};
    const auto held =
        std::ranges::count_if(probes_ns, [&](double probe) { return near.holds(probe); });
    if (static_cast<double>(held) >= kSeldom * static_cast<double>(probes_ns.size())) return near;
    if (held > held_most) {
      most = near;
      held_most = held;
    }
  }
  return most;
}

Selection select_runs(std::span<const Seen> runs, const NearRange& near) {
  Selection selection;
  for (const Seen& run : runs) {
    const Placement placement = classify(run, near);
    selection.placements.push_back(placement);
    ++(placement == Placement::kNear ? selection.kept : selection.left_out);
  }
  return selection;
}

Spread spread_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return Spread{median, values.front(), values.back(), values.size()};
}

}  // namespace mallbots::bench
