#include "clients/toolkit/prometheus_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/summary.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <mutex>

namespace mallbots::toolkit {
namespace {

using prometheus::Labels;

/// The metrics of one topic and handler.
struct Row {
  prometheus::Counter* processed;
  prometheus::Summary* duration;
  prometheus::Histogram* latency;
  prometheus::Counter* retried;
  prometheus::Counter* dead;
  prometheus::Gauge* in_flight;
};

const prometheus::Summary::Quantiles kQuantiles{{0.5, 0.05}, {0.9, 0.01}, {0.99, 0.001}};
const prometheus::Histogram::BucketBoundaries kLatencies{0.001, 0.005, 0.01, 0.05, 0.1, 0.5,
                                                         1,     5,     10,   30,   60,  300};

class Rows {
 public:
  Rows(std::shared_ptr<prometheus::Registry> registry, std::string handler)
      : registry_(std::move(registry)), handler_(std::move(handler)) {}

  const Row& of(std::string_view topic) {
    const std::scoped_lock lock{mutex_};
    const auto found = rows_.find(topic);
    if (found != rows_.end()) return found->second;
    return rows_
        .emplace(std::string{topic}, make({{"topic", std::string{topic}}, {"handler", handler_}}))
        .first->second;
  }

  void count_failure(std::string_view topic, const std::string& type) {
    prometheus::BuildCounter()
        .Name("messages_processing_failed_total")
        .Help("Tries that failed")
        .Register(*registry_)
        .Add({{"topic", std::string{topic}}, {"handler", handler_}, {"type", type}})
        .Increment();
  }

 private:
  [[nodiscard]] Row make(const Labels& labels) {
    const auto counter = [&](const std::string& name, const std::string& help) {
      return &prometheus::BuildCounter().Name(name).Help(help).Register(*registry_).Add(labels);
    };
    return {.processed = counter("messages_processed_total", "Tries, whatever came of them"),
            .duration = &prometheus::BuildSummary()
                             .Name("messages_processing_duration_seconds")
                             .Help("How long a try took")
                             .Register(*registry_)
                             .Add(labels, kQuantiles),
            .latency = &prometheus::BuildHistogram()
                            .Name("messages_publish_to_consume_seconds")
                            .Help("From the log's stamp to the first try")
                            .Register(*registry_)
                            .Add(labels, kLatencies),
            .retried = counter("messages_retried_total", "Tries after the first"),
            .dead = counter("messages_dead_lettered_total", "Messages that were given up"),
            .in_flight = &prometheus::BuildGauge()
                              .Name("messages_in_flight")
                              .Help("Tries that go on now")
                              .Register(*registry_)
                              .Add(labels)};
  }

  std::shared_ptr<prometheus::Registry> registry_;
  std::string handler_;
  std::mutex mutex_;
  std::map<std::string, Row, std::less<>> rows_;
};

}  // namespace

Middleware metrics(std::shared_ptr<prometheus::Registry> registry) {
  const auto wrap = [registry = std::move(registry)](Handler next, const HandlerInfo& of) {
    const auto rows = std::make_shared<Rows>(registry, of.name);
    for (const std::string& topic : of.topics) static_cast<void>(rows->of(topic));
    return [rows, next = std::move(next), of](Context& context, const Message& message) -> Handled {
      const Row& row = rows->of(message.topic());
      Clock& clock = context.clock();
      if (message.attempt() > 1)
        row.retried->Increment();
      else
        row.latency->Observe(static_cast<double>(clock.wall_ms() - message.published_ms()) / 1e3);
      row.in_flight->Increment();
      const BootNanos begun = clock.now_ns();
      Handled handled = next(context, message);
      row.duration->Observe(static_cast<double>(clock.now_ns() - begun) / 1e9);
      row.in_flight->Decrement();
      row.processed->Increment();
      if (!handled) {
        rows->count_failure(message.topic(), handled.error().type);
        if (of.is_last(handled.error(), message.attempt())) row.dead->Increment();
      }
      return handled;
    };
  };
  return {.name = "metrics", .layer = Layer::kMetrics, .wrap = wrap, .takes_batches = true};
}

std::string metrics_text(const prometheus::Registry& registry) {
  return prometheus::TextSerializer{}.Serialize(registry.Collect());
}

}  // namespace mallbots::toolkit
