#include "services/runtime/hosted_view.h"

#include <atomic>

#include "services/runtime/figures.h"

namespace mallbots {
namespace {

/// A reader that is opened while the view runs may meet a broker that is just ending, and is tried
/// again; until it gives up, the process cannot end.
constexpr std::int64_t kReopenMs = 5'000;

/// What was replaced goes; what is wanted anew begins, unless it has begun.
Result<void> tidy_builds(toolkit::ViewRunner& runner, bool build_anew) {
  const auto builds = runner.builds();
  if (!builds) return std::unexpected(builds.error());
  for (const toolkit::ViewBuild& build : *builds) {
    if (build.state == toolkit::BuildState::kRetired) MALLBOTS_TRY(runner.drop(build.number));
    build_anew = build_anew && build.state != toolkit::BuildState::kBuilding;
  }
  if (!build_anew) return {};
  const auto begun = runner.rebuild();
  if (!begun) return std::unexpected(begun.error());
  return {};
}

}  // namespace

Result<std::unique_ptr<toolkit::ViewRunner>> keep_view(Host& host, const toolkit::View& view,
                                                       const toolkit::ServiceStore& store,
                                                       const std::vector<std::string>& topics,
                                                       const toolkit::LogReaderOptions& options) {
  const std::vector<Topic> wanted(topics.begin(), topics.end());
  MALLBOTS_TRY(host.ensure_topics(wanted));
  const client::ConnectionOptions where{.instance = host.options().instance,
                                        .runtime_dir = host.options().runtime_dir,
                                        .name = host.options().name + "-" + view.name(),
                                        .waiting = client::Waiting::kBlock};
  auto runner = std::make_unique<toolkit::ViewRunner>(
      std::vector{view}, store,
      [where, topics, options, is_start = std::make_shared<std::atomic<bool>>(true)] {
        client::ConnectionOptions how = where;
        if (!is_start->exchange(false)) how.reconnect_timeout_ms = kReopenMs;
        return toolkit::LogReader::open(how, topics, options);
      });
  MALLBOTS_TRY(runner->open());
  MALLBOTS_TRY(tidy_builds(*runner, host.setting(view.name() + ".rebuild", "no") == "yes"));
  host.declare_reader(view.name(), topics);
  add_figures(host, view.name(), *runner);
  host.run_beside(view.name(),
                  [runner = runner.get()](const std::stop_token& stop) { runner->run(stop); });
  return runner;
}

}  // namespace mallbots
