// The names and labels of M14.1, and that a failure is one however it was told (D8).
#include "clients/toolkit/prometheus_metrics.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "clients/toolkit/middleware/poison.h"
#include "clients/toolkit/middleware/retry.h"
#include "clients/toolkit/testkit/test_kit.h"

namespace mallbots::test {
namespace {

using namespace toolkit;

TEST(PrometheusMetrics, M14_1_CountTriesFailuresRetriesAndDeadLetters) {
  const auto registry = std::make_shared<prometheus::Registry>();
  TestKit kit{
      {.middlewares = {metrics(registry), poison(), retry({.times = 2})}, .stands_chaos = false}};
  const auto added = kit.router().add({.name = "h", .topics = {"in"}, .group = "g"},
                                      [](Context& context, const Message& message) -> Handled {
                                        if (message.payload() == "late" && !context.wait_ms(250))
                                          return {};
                                        if (message.payload() == "throws")
                                          throw std::runtime_error{"D8"};
                                        if (message.payload() == "malformed")
                                          return give_up("Malformed", "x");
                                        return {};
                                      });
  ASSERT_TRUE(added);
  for (const char* payload : {"good", "late", "throws", "malformed"})
    ASSERT_TRUE(kit.publish("in", {.payload = payload}));
  kit.clock().advance_ms(3'000);
  ASSERT_TRUE(kit.start());
  const auto quiet = kit.wait_until_quiet();
  ASSERT_TRUE(quiet) << quiet.error().sentence();
  const std::string text = metrics_text(*registry);
  for (const char* line :
       {"messages_processed_total{handler=\"h\",topic=\"in\"} 6",
        "messages_processing_failed_total{handler=\"h\",topic=\"in\",type=\"std::runtime_error\"} "
        "3",
        "messages_processing_failed_total{handler=\"h\",topic=\"in\",type=\"Malformed\"} 1",
        "messages_retried_total{handler=\"h\",topic=\"in\"} 2",
        "messages_dead_lettered_total{handler=\"h\",topic=\"in\"} 2",
        "messages_in_flight{handler=\"h\",topic=\"in\"} 0",
        "messages_processing_duration_seconds{handler=\"h\",topic=\"in\",quantile=\"0.5\"} ",
        "messages_processing_duration_seconds{handler=\"h\",topic=\"in\",quantile=\"0.9\"} ",
        "messages_processing_duration_seconds{handler=\"h\",topic=\"in\",quantile=\"0.99\"} ",
        "messages_processing_duration_seconds_count{handler=\"h\",topic=\"in\"} 6",
        "messages_processing_duration_seconds_sum{handler=\"h\",topic=\"in\"} 0.25",
        "messages_publish_to_consume_seconds_count{handler=\"h\",topic=\"in\"} 4",
        "messages_publish_to_consume_seconds_bucket{handler=\"h\",topic=\"in\",le=\"1\"} 0"})
    EXPECT_NE(text.find(line), std::string::npos) << line << '\n' << text;
}

}  // namespace
}  // namespace mallbots::test
