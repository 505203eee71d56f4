// The calls of depot (api.proto) on its application. Any thread; application and pool live longer.
#pragma once

#include <memory>

#include "clients/toolkit/log.h"
#include "services/depot/app/depot.h"

namespace grpc {
class Service;
}

namespace mallbots {
class WorkerPool;
}

namespace mallbots::depot {

[[nodiscard]] std::shared_ptr<grpc::Service> make_grpc(Depot& depot, WorkerPool& pool,
                                                       const toolkit::Log& log);

}  // namespace mallbots::depot
