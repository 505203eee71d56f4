// The context orders as a service of a process: carts and orders as streams of the broker, the
// offers it keeps of stores, the create-order saga with its time-outs, abandoned carts, its calls.
// See services/runtime/host.h.
//
// Settings: orders.abandon_after_ms (600000). Errors: those of Host; BadConfig.
#pragma once

#include <memory>

#include "services/runtime/host.h"

namespace mallbots::orders {

[[nodiscard]] Result<std::unique_ptr<Service>> make_orders(Host& host);

}  // namespace mallbots::orders
