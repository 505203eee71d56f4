// The calls of customers (api.proto) on its application. Any thread; application and pool live
// longer.
#pragma once

#include <memory>

#include "clients/toolkit/log.h"
#include "services/customers/app/customers.h"

namespace grpc {
class Service;
}

namespace mallbots {
class WorkerPool;
}

namespace mallbots::customers {

[[nodiscard]] std::shared_ptr<grpc::Service> make_grpc(Customers& customers, WorkerPool& pool,
                                                       const toolkit::Log& log);

}  // namespace mallbots::customers
