// The call of the context analytics (api.proto), over gRPC. Who calls: service.cpp makes it; gRPC's
// threads call it. All that it is given lives longer.
#pragma once

#include <functional>
#include <memory>

#include "clients/toolkit/log.h"
#include "services/analytics/api.pb.h"
#include "services/runtime/outcome.h"

namespace grpc {
class Service;
}

namespace mallbots {
class WorkerPool;
}

namespace mallbots::analytics {

[[nodiscard]] std::shared_ptr<grpc::Service> make_grpc(
    std::function<Result<analyticspb::Report>()> report, WorkerPool& pool, const toolkit::Log& log);

}  // namespace mallbots::analytics
