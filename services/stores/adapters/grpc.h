// The calls of the context stores (api.proto), over gRPC. Who calls: service.cpp makes it; gRPC's
// threads call it. All that it is given lives longer.
#pragma once

#include <memory>

#include "clients/toolkit/log.h"
#include "services/stores/app/stores.h"

namespace grpc {
class Service;
}

namespace mallbots {
class WorkerPool;
}

namespace mallbots::stores {

[[nodiscard]] std::shared_ptr<grpc::Service> make_grpc(Stores& stores, const Catalogue& catalogue,
                                                       WorkerPool& pool, const toolkit::Log& log);

}  // namespace mallbots::stores
