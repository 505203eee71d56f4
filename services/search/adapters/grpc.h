// The calls of the context search (api.proto), over gRPC. Who calls: service.cpp makes it; gRPC's
// threads call it. All that it is given lives longer.
#pragma once

#include <memory>

#include "clients/toolkit/log.h"
#include "services/search/app/search.h"

namespace grpc {
class Service;
}

namespace mallbots {
class WorkerPool;
}

namespace mallbots::search {

[[nodiscard]] std::shared_ptr<grpc::Service> make_grpc(const Search& search, WorkerPool& pool,
                                                       const toolkit::Log& log);

}  // namespace mallbots::search
