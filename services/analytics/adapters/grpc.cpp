#include "services/analytics/adapters/grpc.h"

#include "services/analytics/api.grpc.pb.h"
#include "services/runtime/grpc_calls.h"

namespace mallbots::analytics {
namespace {

class Adapter final : public analyticspb::AnalyticsService::CallbackService {
 public:
  Adapter(std::function<Result<analyticspb::Report>()> report, WorkerPool& pool,
          const toolkit::Log& log)
      : report_(std::move(report)), calls_(pool, log) {}

  grpc::ServerUnaryReactor* GetReport(grpc::CallbackServerContext* context,
                                      const google::protobuf::Empty*,
                                      analyticspb::Report* response) override {
    return calls_.run(context, [this, response](const toolkit::Cause&) -> Outcome<void> {
      auto report = report_();
      if (!report) return std::unexpected(Failure(std::move(report).error()));
      *response = *std::move(report);
      return {};
    });
  }

 private:
  std::function<Result<analyticspb::Report>()> report_;
  Calls calls_;
};

}  // namespace

std::shared_ptr<grpc::Service> make_grpc(std::function<Result<analyticspb::Report>()> report,
                                         WorkerPool& pool, const toolkit::Log& log) {
  return std::make_shared<Adapter>(std::move(report), pool, log);
}

}  // namespace mallbots::analytics
