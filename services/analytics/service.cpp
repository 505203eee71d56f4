#include "services/analytics/service.h"

#include "services/analytics/adapters/grpc.h"
#include "services/analytics/app/feed.h"
#include "services/analytics/app/report.h"
#include "services/runtime/hosted_view.h"

namespace mallbots::analytics {
namespace {

constexpr std::int64_t kSayMs = 1'000;

class AnalyticsService final : public Service {
 public:
  AnalyticsService(Host& host, toolkit::Database& database,
                   std::unique_ptr<toolkit::ViewRunner> runner)
      : database_(&database),
        runner_(std::move(runner)),
        log_(host.log()),
        calls_(make_grpc([this] { return report(); }, host.calls(), host.log())) {
    host.serve("analytics", *calls_);
    host.every(kSayMs, "analytics.progress", [this] { return say(); });
  }

 private:
  [[nodiscard]] Result<analyticspb::Progress> progress() const;
  [[nodiscard]] Result<analyticspb::Report> report() const;
  [[nodiscard]] Outcome<void> say();

  toolkit::Database* database_;
  std::unique_ptr<toolkit::ViewRunner> runner_;
  toolkit::Log log_;
  bool is_up_to_date_ = false;  ///< as the log was told; the timer's
  std::shared_ptr<grpc::Service> calls_;
};

Result<analyticspb::Progress> AnalyticsService::progress() const {
  const auto builds = runner_->builds();
  if (!builds) return std::unexpected(builds.error());
  analyticspb::Progress progress;
  for (const toolkit::ViewBuild& build : *builds) {
    if (build.state != toolkit::BuildState::kLive) continue;
    progress.set_read(build.applied);
    progress.set_left(build.lag);
  }
  return progress;
}

Result<analyticspb::Report> AnalyticsService::report() const {
  const auto now = progress();
  if (!now) return std::unexpected(now.error());
  auto report = report_from(*database_, *now);
  if (report) report->set_text(shown(*report));
  return report;
}

Outcome<void> AnalyticsService::say() {
  const auto now = progress();
  if (!now) return std::unexpected(Failure(now.error()));
  const bool is_news = now->left() != 0 ? !is_up_to_date_ || now->left() > 1'000 : !is_up_to_date_;
  is_up_to_date_ = now->left() == 0;
  if (is_news) log_({toolkit::Severity::kInfo, "analytics " + shown(*now), {}});
  return {};
}

}  // namespace

Result<std::unique_ptr<Service>> make_analytics(Host& host) {
  const auto store = host.open_store("analytics");
  if (!store) return std::unexpected(store.error());
  auto kept = keep_view(host, view(), *store, topics());
  if (!kept) return std::unexpected(std::move(kept).error());
  return std::make_unique<AnalyticsService>(host, store->database, std::move(*kept));
}

}  // namespace mallbots::analytics
