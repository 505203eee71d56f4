#include "bench/harness/selection.h"

#include <algorithm>

namespace mallbots::bench {

std::string_view name_of(Placement placement) noexcept {
  switch (placement) {
    case Placement::kNear:
      return "near";
    case Placement::kFar:
      return "far";
    case Placement::kMixed:
      break;
  }
  return "mixed";
}

Placement classify(std::span<const double> probes_ns, double near_max_ns) noexcept {
  if (probes_ns.empty()) return Placement::kNear;
  const auto [smallest, largest] = std::ranges::minmax(probes_ns);
  if (largest <= near_max_ns) return Placement::kNear;
  const bool agree = largest <= smallest * kAgreement;
  return smallest > near_max_ns && agree ? Placement::kFar : Placement::kMixed;
}

double lowest_lasting(double known_ns, std::span<const double> probes_ns) noexcept {
  if (probes_ns.empty()) return known_ns;
  const auto [smallest, largest] = std::ranges::minmax(probes_ns);
  if (largest > smallest * kAgreement) return known_ns;
  return known_ns > 0 ? std::min(known_ns, smallest) : smallest;
}

Selection select_runs(std::span<const std::vector<double>> runs, double near_max_ns) {
  Selection selection;
  for (const std::vector<double>& probes : runs) {
    const Placement placement = classify(probes, near_max_ns);
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
