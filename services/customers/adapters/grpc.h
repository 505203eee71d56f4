// The calls of customers (api.proto) on its application. Any thread; `customers` and the pool live
// longer.
#pragma once

#include <memory>

#include "services/customers/app/customers.h"
#include "services/runtime/host.h"

namespace mallbots::customers {

[[nodiscard]] std::unique_ptr<grpc::Service> make_calls(Customers& customers, Host& host);

}  // namespace mallbots::customers
