// The context customers as a service of a process: its database, its command, its calls. See
// services/runtime/host.h. Errors: those of Host.
#pragma once

#include <memory>

#include "services/runtime/host.h"

namespace mallbots::customers {

[[nodiscard]] Result<std::unique_ptr<Service>> make_customers(Host& host);

}  // namespace mallbots::customers
