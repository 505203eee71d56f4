// Clock: the time by which toolkit code waits and delays, so that a test can hold it in its hand
// (testkit/manual_clock.h). Deadlines (shm/base/clock.h) stay real time: they are the patience of a
// caller, not part of what a service does.
//
// Who calls: any thread.
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>

#include "shm/base/clock.h"

namespace mallbots::toolkit {

/// No moment at all.
inline constexpr BootNanos kNever = INT64_MAX;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual BootNanos now_ns() const noexcept = 0;
  [[nodiscard]] virtual UnixMillis wall_ms() const noexcept = 0;
  /// Waits on `changed` until it is notified, `patience` (real time) ends or `at_ns` of this clock
  /// has come. May return early: the caller looks again.
  virtual void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                    Deadline patience, BootNanos at_ns) = 0;
  /// Waits until then; false: `stop` came before.
  virtual bool pause_until(BootNanos at_ns, const std::stop_token& stop);
};

/// Boot time and wall time of the machine.
[[nodiscard]] Clock& system_clock() noexcept;

}  // namespace mallbots::toolkit
