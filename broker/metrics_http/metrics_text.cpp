#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "broker/metrics_http/metrics_server.h"

namespace mallbots::broker {

std::string metrics_text(const MetricsSnapshot& snapshot) {
  std::vector<prometheus::MetricFamily> families;
  families.reserve(snapshot.size());
  for (const Metric& metric : snapshot) {
    const bool counter = metric.kind == MetricKind::kCounter;
    prometheus::MetricFamily& family = families.emplace_back();
    family.name = metric.name;
    family.help = metric.help;
    family.type = counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
    for (const MetricSample& sample : metric.samples) {
      prometheus::ClientMetric& row = family.metric.emplace_back();
      for (const auto& [name, value] : sample.labels) {
        prometheus::ClientMetric::Label& label = row.label.emplace_back();
        label.name = name;
        label.value = value;
      }
      if (counter)
        row.counter.value = sample.value;
      else
        row.gauge.value = sample.value;
    }
  }
  return prometheus::TextSerializer{}.Serialize(families);
}

}  // namespace mallbots::broker
