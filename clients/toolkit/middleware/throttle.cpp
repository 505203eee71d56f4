#include "clients/toolkit/middleware/throttle.h"

#include <algorithm>
#include <memory>
#include <mutex>

#include "shm/base/check.h"

namespace mallbots::toolkit {
namespace {

class Turns {
 public:
  explicit Turns(BootNanos spacing_ns) noexcept : spacing_ns_(spacing_ns) {}
  /// How long to wait for one's own.
  BootNanos take(BootNanos now) {
    const std::scoped_lock lock{mutex_};
    const BootNanos mine = std::max(now, next_);
    next_ = mine + spacing_ns_;
    return mine - now;
  }

 private:
  BootNanos spacing_ns_;
  std::mutex mutex_;
  BootNanos next_ = 0;
};

}  // namespace

Middleware throttle(std::uint32_t count, std::int64_t per_ms) {
  CHECK(count > 0 && per_ms > 0);
  const auto turns = std::make_shared<Turns>(per_ms * kMillisecond / count);
  const auto wrap = [turns](Handler next, const HandlerInfo& /*of*/) {
    return [turns, next = std::move(next)](Context& context, const Message& message) -> Handled {
      const BootNanos wait_ns = turns->take(context.clock().now_ns());
      if (wait_ns > 0 && !context.wait_ms((wait_ns + kMillisecond - 1) / kMillisecond))
        return not_now("Throttled", "closing while it waited for its turn", 0);
      return next(context, message);
    };
  };
  return {.name = "throttle", .layer = Layer::kThrottle, .wrap = wrap};
}

}  // namespace mallbots::toolkit
