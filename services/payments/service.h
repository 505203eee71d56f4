// The context payments as a service of a process: its database, commands and events, its calls, and
// the simulated provider, whose books are a file of their own (payment-provider.db). See
// services/runtime/host.h. Errors: those of Host and Database.
#pragma once

#include <memory>

#include "services/runtime/host.h"

namespace mallbots::payments {

[[nodiscard]] Result<std::unique_ptr<Service>> make_payments(Host& host);

}  // namespace mallbots::payments
