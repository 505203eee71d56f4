#include "clients/toolkit/clock.h"

#include <algorithm>
#include <chrono>

namespace mallbots::toolkit {
namespace {

/// Far deadlines overflow inside wait_for.
constexpr BootNanos kLongestWait = 3'600 * kSecond;

class SystemClock final : public Clock {
 public:
  BootNanos now_ns() const noexcept override { return boot_now_ns(); }
  UnixMillis wall_ms() const noexcept override { return wall_now_ms(); }
  void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, Deadline patience,
            BootNanos at_ns) override {
    if (patience.is_never() && at_ns == kNever) return changed.wait(lock);
    BootNanos left = std::min(patience.remaining_ns(), kLongestWait);
    if (at_ns != kNever) left = std::min(left, std::max<BootNanos>(at_ns - now_ns(), 0));
    changed.wait_for(lock, std::chrono::nanoseconds{left});
  }
};

}  // namespace

bool Clock::pause_until(BootNanos at_ns, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable changed;
  const std::stop_callback wake{stop, [&] {
                                  const std::scoped_lock lock{mutex};
                                  changed.notify_all();
                                }};
  std::unique_lock lock{mutex};
  while (!stop.stop_requested() && now_ns() < at_ns) wait(lock, changed, Deadline::never(), at_ns);
  lock.unlock();  // before the callback goes: it may be about to take it
  return !stop.stop_requested();
}

Clock& system_clock() noexcept {
  static SystemClock clock;
  return clock;
}

}  // namespace mallbots::toolkit
