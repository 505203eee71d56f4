// Chaos: does on purpose what may happen to any message, so that a suite can show that the end is
// the same: it fails before it was tried, its success is lost (a death before the acknowledgement),
// it is handled twice, it comes late. Chaos alone makes no dead letters: what it fails is not
// counted as tried.
//
// Who calls: any thread. Errors of chaos_from: BadArgument.
#pragma once

#include <cstdint>
#include <string_view>

#include "clients/toolkit/handler.h"
#include "shm/base/result.h"

namespace mallbots::toolkit {

/// Each a probability from 0 to 1.
struct ChaosOptions {
  double fail = 0;       ///< it is not handled and comes again
  double lose = 0;       ///< it was handled and comes again
  double duplicate = 0;  ///< it is handled twice
  double delay = 0;      ///< it comes again after delay_ms
  std::int64_t delay_ms = 50;
  std::uint64_t seed = 1;
};

/// "duplicate:1", "fail:0.1,lose:0.1,seed:7", ...
[[nodiscard]] Result<ChaosOptions> chaos_from(std::string_view text);

[[nodiscard]] Middleware chaos(ChaosOptions options);

}  // namespace mallbots::toolkit
