// The calls of orders (api.proto) on its application. Any thread; what it is given lives longer.
#pragma once

#include <memory>

#include "clients/toolkit/log.h"
#include "clients/toolkit/saga/saga_runner.h"
#include "services/orders/app/abandonment.h"
#include "services/orders/app/orders.h"

namespace grpc {
class Service;
}

namespace mallbots {
class WorkerPool;
}

namespace mallbots::orders {

struct OrdersParts {
  Orders& orders;
  Abandonment& abandonment;
  toolkit::SagaRunner& saga;
};

[[nodiscard]] std::shared_ptr<grpc::Service> make_grpc(const OrdersParts& parts, WorkerPool& pool,
                                                       const toolkit::Log& log);

}  // namespace mallbots::orders
