// Throttle: at most `count` messages in `per_ms`, evenly spaced, over all handlers that this one
// middleware wraps. A message waits on its worker for its turn; a close ends the wait (the message
// comes again and was not tried).
//
// Who calls: any thread. No errors of its own.
#pragma once

#include <cstdint>

#include "clients/toolkit/handler.h"

namespace mallbots::toolkit {

[[nodiscard]] Middleware throttle(std::uint32_t count, std::int64_t per_ms);

}  // namespace mallbots::toolkit
