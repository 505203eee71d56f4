#include "services/runtime/figures.h"

#include <memory>

#include "clients/toolkit/clock.h"
#include "clients/toolkit/store/service_metrics.h"

namespace mallbots {
namespace {

constexpr std::int64_t kReadMs = 2'000;

/// Nothing: nobody is served.
std::shared_ptr<toolkit::ServiceMetrics> figures_of(Host& host, const std::string& name) {
  if (host.setting("metrics.port", "").empty()) return nullptr;
  auto figures = std::make_shared<toolkit::ServiceMetrics>(host.metrics());
  // No timer: a look waits for a broker that is away (at most 5 s, TopicReader::end), and the
  // timers must not. A figure that could not be read stays as it was; that the broker is away is
  // said by everybody else.
  host.run_beside(name + ".figures", [figures](const std::stop_token& stop) {
    toolkit::Clock& clock = toolkit::system_clock();
    while (clock.pause_until(clock.now_ns() + kReadMs * kMillisecond, stop))
      static_cast<void>(figures->refresh());
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
