#include "services/runtime/hosted_view.h"

namespace mallbots {

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
      [where, topics, options] { return toolkit::LogReader::open(where, topics, options); });
  MALLBOTS_TRY(runner->open());
  host.run_beside(view.name(),
                  [runner = runner.get()](const std::stop_token& stop) { runner->run(stop); });
  return runner;
}

}  // namespace mallbots
