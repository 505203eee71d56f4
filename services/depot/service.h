// The context depot as a service of a process: its database, its commands and events, its clock's
// turn every second, its calls. See services/runtime/host.h.
//
// Settings: depot.offer_ms, depot.heartbeat_ms, depot.stranded_ms (app/depot.h). Errors: those of
// Host; BadConfig.
#pragma once

#include <memory>

#include "services/runtime/host.h"

namespace mallbots::depot {

[[nodiscard]] Result<std::unique_ptr<Service>> make_depot(Host& host);

}  // namespace mallbots::depot
