// Logging: one line for every message handled or failed, with its ids.
//
// Who calls: any thread. No errors of its own.
#pragma once

#include <cstddef>

#include "clients/toolkit/handler.h"
#include "clients/toolkit/log.h"

namespace mallbots::toolkit {

struct LoggingOptions {
  bool successes = true;
  /// How much of the payload stands in the line; 0: nothing, it may be somebody's secret.
  std::size_t payload_bytes = 0;
};

[[nodiscard]] Middleware logging(Log log, LoggingOptions options = {});

}  // namespace mallbots::toolkit
