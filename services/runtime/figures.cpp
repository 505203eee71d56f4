#include "services/runtime/figures.h"

#include <memory>

#include "clients/toolkit/store/service_metrics.h"

namespace mallbots {
namespace {

constexpr std::int64_t kReadMs = 2'000;

/// Nothing: nobody is served.
std::shared_ptr<toolkit::ServiceMetrics> figures_of(Host& host, const std::string& name) {
  if (host.setting("metrics.port", "").empty()) return nullptr;
  auto figures = std::make_shared<toolkit::ServiceMetrics>(host.metrics());
  host.every(kReadMs, name + ".figures", [figures]() -> Outcome<void> {
    const auto read = figures->refresh();
    return read ? Outcome<void>{} : std::unexpected(Failure{read.error()});
  });
  return figures;
}

}  // namespace

void add_figures(Host& host, toolkit::SagaRunner& runner) {
  if (const auto figures = figures_of(host, runner.plan().name)) figures->watch(runner);
}

void add_figures(Host& host, const std::string& view, toolkit::ViewRunner& runner) {
  if (const auto figures = figures_of(host, view)) figures->watch(view, runner);
}

}  // namespace mallbots
