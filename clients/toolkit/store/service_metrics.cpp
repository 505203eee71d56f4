#include "clients/toolkit/store/service_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <algorithm>

namespace mallbots::toolkit {
namespace {

struct Names {
  const char* name;
  const char* help;
};

prometheus::Gauge& gauge(prometheus::Registry& registry, const Names& names,
                         const prometheus::Labels& labels) {
  return prometheus::BuildGauge().Name(names.name).Help(names.help).Register(registry).Add(labels);
}

double seconds(std::int64_t milliseconds) { return static_cast<double>(milliseconds) / 1e3; }

}  // namespace

void ServiceMetrics::watch(const std::string& service, const Outbox& outbox) {
  const prometheus::Labels labels{{"service", service}};
  readers_.emplace_back(
      [&outbox,
       &waiting = gauge(*registry_, {"outbox_messages_waiting", "Committed and not yet published"},
                        labels),
       &oldest =
           gauge(*registry_, {"outbox_oldest_seconds", "Age of the oldest that waits"}, labels),
       &refused = gauge(*registry_, {"outbox_messages_refused", "Set aside: no bus takes them"},
                        labels)]() -> Result<void> {
        const auto backlog = outbox.backlog();
        if (!backlog) return std::unexpected(backlog.error());
        waiting.Set(static_cast<double>(backlog->waiting));
        oldest.Set(seconds(backlog->oldest_age_ms));
        refused.Set(static_cast<double>(backlog->refused));
        return {};
      });
}

void ServiceMetrics::watch(SagaRunner& runner) {
  const std::string& saga = runner.plan().name;
  const auto instances = [&](const char* state) -> prometheus::Gauge& {
    return gauge(*registry_, {"saga_instances", "Instances that are not over"},
                 {{"saga", saga}, {"state", state}});
  };
  readers_.emplace_back(
      [&runner, &running = instances("running"), &undoing = instances("undoing"),
       &stuck = instances("stuck"),
       &oldest = gauge(*registry_, {"saga_oldest_seconds", "Since the last move of one not over"},
                       {{"saga", saga}})]() -> Result<void> {
        const auto counts = runner.counts();
        if (!counts) return std::unexpected(counts.error());
        running.Set(static_cast<double>(counts->running));
        undoing.Set(static_cast<double>(counts->undoing));
        stuck.Set(static_cast<double>(counts->stuck));
        oldest.Set(seconds(counts->oldest_age_ms));
        return {};
      });
}

void ServiceMetrics::watch(const std::string& view, ViewRunner& runner) {
  const prometheus::Labels labels{{"view", view}};
  readers_.emplace_back(
      [&runner,
       &lag = gauge(*registry_, {"view_lag_messages", "Behind the end of the log"}, labels),
       &building = gauge(*registry_, {"view_building", "Builds not yet where the live one is"},
                         labels)]() -> Result<void> {
        // One look: runner.lag() would be another one, and a look waits for a broker that is away.
        const auto builds = runner.builds();
        if (!builds) return std::unexpected(builds.error());
        const auto live = std::ranges::find(*builds, BuildState::kLive, &ViewBuild::state);
        lag.Set(live == builds->end() ? 0.0 : static_cast<double>(live->lag));
        building.Set(static_cast<double>(
            std::ranges::count(*builds, BuildState::kBuilding, &ViewBuild::state)));
        return {};
      });
}

Result<void> ServiceMetrics::refresh() {
  auto& failures = prometheus::BuildCounter()
                       .Name("service_metrics_failures_total")
                       .Help("Gauges that could not be read and show an older value")
                       .Register(*registry_)
                       .Add({});
  Result<void> first;
  for (const auto& read : readers_) {
    auto result = read();
    if (result) continue;
    failures.Increment();
    if (first) first = std::move(result);
  }
  return first;
}

}  // namespace mallbots::toolkit
