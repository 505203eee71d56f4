// Retry: how often and when a failed message comes again. It holds no worker and no key but the
// message's own: the message goes back to the bus with a delay, others go on.
//
// A first level of quick retries, then, if `later_ms` says so, a second one with long delays. When
// both are used up the message is given up: a dead letter. Failures that are for good (give_up) are
// not retried, those that were not tried (not_now) are not counted. Attempts are counted by the
// group's member (bus.h): a restart begins anew.
//
// Who calls: any thread. No errors of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "clients/toolkit/handler.h"

namespace mallbots::toolkit {

struct RetryOptions {
  std::uint32_t times = 10;              ///< after the first try
  std::int64_t first_ms = 100;           ///< before the second try
  double factor = 2.0;                   ///< how much longer each next delay is
  std::int64_t max_ms = 1'000;           ///< and its end
  std::vector<std::int64_t> later_ms{};  ///< second level: {10'000, 60'000, 600'000}
  /// For ever, with max_ms or the last of later_ms in between: a mended build handles it one day.
  bool never_give_up = false;
  /// What is worth retrying; nothing: every failure. The others are given up at once.
  std::function<bool(const HandlerFailure&)> when{};
};

[[nodiscard]] Middleware retry(RetryOptions options = {});

}  // namespace mallbots::toolkit
