// Timeout: the time that a handler is given. When it is over, its context says cancelled; a handler
// that then fails has failed with type "Timeout". One that never looks is not interrupted, and one
// that succeeds late has succeeded: what it did is done. The next try has its time anew.
//
// Who calls: any thread. No errors of its own.
#pragma once

#include <cstdint>

#include "clients/toolkit/handler.h"

namespace mallbots::toolkit {

[[nodiscard]] Middleware timeout(std::int64_t milliseconds);

}  // namespace mallbots::toolkit
