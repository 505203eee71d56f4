// The context notifications in a process: what was sent in notifications.db, numbers asked of
// customers; it has no calls of its own. Who calls: the mall. Errors: those of what it opens.
#pragma once

#include <memory>

#include "services/runtime/host.h"

namespace mallbots::notifications {

[[nodiscard]] Result<std::unique_ptr<Service>> make_notifications(Host& host);

}  // namespace mallbots::notifications
