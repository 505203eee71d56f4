#include "bench/harness/row.h"

#include <algorithm>

#include "bench/harness/clock.h"
#include "shm/base/check.h"

namespace mallbots::bench {

const Limit* Registry::find_limit(std::string_view name) const noexcept {
  const auto found = std::ranges::find(limits_, name, &Limit::name);
  return found == limits_.end() ? nullptr : &*found;
}

std::vector<const Limit*> Registry::limits_of(const Row& row) const {
  std::vector<const Limit*> limits;
  for (const Line& line : row.lines) {
    for (const LimitTerm& term : line.limit) {
      if (term.limit.empty()) continue;
      const Limit* limit = find_limit(term.limit);
      CHECK(limit != nullptr);
      if (std::ranges::find(limits, limit) == limits.end()) limits.push_back(limit);
    }
  }
  return limits;
}

Figures latency_figures(const Histogram& ticks) {
  return Figures{
      {"p50", ticks_to_ns(ticks.percentile(50))}, {"p90", ticks_to_ns(ticks.percentile(90))},
      {"p99", ticks_to_ns(ticks.percentile(99))}, {"p99.9", ticks_to_ns(ticks.percentile(99.9))},
      {"max", ticks_to_ns(ticks.max())},          {"mean", ticks.mean() * clock_info().ns_per_tick},
  };
}

}  // namespace mallbots::bench
