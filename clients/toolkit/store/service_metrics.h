// ServiceMetrics: what an operator watches of a service's own database, in a registry of
// prometheus-cpp, in a library of its own (toolkit_service_metrics).
//
//   outbox_messages_waiting{service}        committed and not yet published
//   outbox_oldest_seconds{service}          age of the oldest of them
//   outbox_messages_refused{service}        set aside: no bus will ever take them (relay.h)
//   saga_instances{saga,state}              running, undoing, stuck
//   saga_oldest_seconds{saga}               since the last move of one that is not over
//   view_lag_messages{view}                 between the live build and the end of the log
//   view_building{view}                     builds that are not yet where the live one is
//   service_metrics_failures_total          of refresh(): what is shown is older than it looks
//
// Who calls: watch() before the first refresh(), refresh() whenever the metrics are asked for; what
// is watched lives longer. One thread at a time. The gauges of something that cannot be read keep
// their last value.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "clients/toolkit/saga/saga_runner.h"
#include "clients/toolkit/store/outbox.h"
#include "clients/toolkit/views/view_runner.h"

namespace prometheus {
class Registry;
}

namespace mallbots::toolkit {

class ServiceMetrics {
 public:
  explicit ServiceMetrics(std::shared_ptr<prometheus::Registry> registry)
      : registry_(std::move(registry)) {}

  void watch(const std::string& service, const Outbox& outbox);
  void watch(SagaRunner& runner);
  void watch(const std::string& view, ViewRunner& runner);

  /// Reads all of them. The first error of those that could not be read.
  [[nodiscard]] Result<void> refresh();

 private:
  std::shared_ptr<prometheus::Registry> registry_;
  std::vector<std::function<Result<void>()>> readers_;
};

}  // namespace mallbots::toolkit
