// The calls of payments (api.proto) on its application. Any thread; application and pool live
// longer.
#pragma once

#include <memory>

#include "clients/toolkit/log.h"
#include "services/payments/app/payments.h"

namespace grpc {
class Service;
}

namespace mallbots {
class WorkerPool;
}

namespace mallbots::payments {

[[nodiscard]] std::shared_ptr<grpc::Service> make_grpc(Payments& payments, WorkerPool& pool,
                                                       const toolkit::Log& log);

}  // namespace mallbots::payments
