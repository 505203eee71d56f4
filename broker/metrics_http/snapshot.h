// What the metrics page shows: numbers copied on the control thread, written out on the metrics
// thread. Names follow prometheus.io/docs/practices/naming: base units, _total for counters.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace mallbots::broker {

enum class MetricKind : bool { kGauge, kCounter };

struct MetricSample {
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
};
struct Metric {
  std::string name;
  std::string help;
  MetricKind kind = MetricKind::kGauge;
  std::vector<MetricSample> samples;
};
using MetricsSnapshot = std::vector<Metric>;

}  // namespace mallbots::broker
