#include <gtest/gtest.h>

#include "broker/metrics_http/metrics_server.h"

namespace mallbots::broker {
namespace {

TEST(MetricsText, IsThePrometheusFormat) {
  const MetricsSnapshot snapshot{
      {"a_total", "What a counts", MetricKind::kCounter, {{{}, 3}}},
      {"b", "What b shows", MetricKind::kGauge, {{{{"topic", "x\"y\n"}}, 0.5}, {{}, -1}}}};
  EXPECT_EQ(metrics_text(snapshot),
            "# HELP a_total What a counts\n"
            "# TYPE a_total counter\n"
            "a_total 3\n"
            "# HELP b What b shows\n"
            "# TYPE b gauge\n"
            "b{topic=\"x\\\"y\\n\"} 0.5\n"
            "b -1\n");
}

}  // namespace
}  // namespace mallbots::broker
