// The context analytics as a service (README.md). Who calls: the process that runs it (host.h).
#pragma once

#include <memory>

#include "services/runtime/host.h"

namespace mallbots::analytics {

/// Errors: those of the database, the view and the topic.
[[nodiscard]] Result<std::unique_ptr<Service>> make_analytics(Host& host);

}  // namespace mallbots::analytics
