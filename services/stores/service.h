// The context stores in a process: aggregates in the broker's event topics, the catalogue in
// stores.db, calls on stores.sock. Who calls: the mall. Errors: those of what it opens.
#pragma once

#include <memory>

#include "services/runtime/host.h"

namespace mallbots::stores {

[[nodiscard]] Result<std::unique_ptr<Service>> make_stores(Host& host);

}  // namespace mallbots::stores
