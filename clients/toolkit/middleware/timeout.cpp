#include "clients/toolkit/middleware/timeout.h"

#include <algorithm>

namespace mallbots::toolkit {

Middleware timeout(std::int64_t milliseconds) {
  const auto wrap = [milliseconds](Handler next, const HandlerInfo& /*of*/) {
    return [milliseconds, next = std::move(next)](Context& context,
                                                  const Message& message) -> Handled {
      const BootNanos before = context.deadline_ns();
      const BootNanos mine = context.clock().now_ns() + milliseconds * kMillisecond;
      context.set_deadline_ns(std::min(before, mine));
      Handled handled = next(context, message);
      context.set_deadline_ns(before);  // what comes after the handler has its own time
      if (!handled && handled.error().again == Again::kCounted &&
          context.clock().now_ns() >= mine) {
        HandlerFailure& failure = handled.error();
        failure.text = "not done within " + std::to_string(milliseconds) + " ms (" + failure.type +
                       ": " + failure.text + ")";
        failure.type = "Timeout";
      }
      return handled;
    };
  };
  return {.name = "timeout", .layer = Layer::kTimeout, .wrap = wrap};
}

}  // namespace mallbots::toolkit
