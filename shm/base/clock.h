// The only door to time. Intervals and deadlines are measured on boot time, which goes on while the
// machine sleeps and never jumps; stamps and retention use wall time, which may jump
// (clock_gettime(2): CLOCK_BOOTTIME, CLOCK_REALTIME, CLOCK_REALTIME_COARSE).
//
// Callable from any thread. Tests move the wall clock of their own process with shift_wall_clock.
#pragma once

#include <cstdint>

#include "shm/base/ids.h"

namespace mallbots {

using BootNanos = std::int64_t;

inline constexpr BootNanos kMillisecond = 1'000'000;
inline constexpr BootNanos kSecond = 1'000'000'000;

[[nodiscard]] BootNanos boot_now_ns() noexcept;
/// CLOCK_MONOTONIC: only where a system call wants a moment on that clock.
[[nodiscard]] BootNanos monotonic_now_ns() noexcept;
/// Wall time, exact.
[[nodiscard]] UnixMillis wall_now_ms() noexcept;
/// Wall time of the last tick (1 to 4 ms old), a few nanoseconds to read: the stamp of a record.
[[nodiscard]] UnixMillis wall_coarse_ms() noexcept;
/// Wall time in nanoseconds, for time stamps that people compare across processes.
[[nodiscard]] std::int64_t wall_now_ns() noexcept;

/// A moment on boot time by which something must be done.
class Deadline {
 public:
  /// From now on; 0 or less: already passed (a try); later than the clock can tell: never.
  [[nodiscard]] static Deadline after_ns(BootNanos nanoseconds) noexcept {
    if (nanoseconds <= 0) return passed();
    const BootNanos now = boot_now_ns();
    return nanoseconds < INT64_MAX - now ? Deadline{now + nanoseconds} : never();
  }
  [[nodiscard]] static Deadline after_ms(std::int64_t milliseconds) noexcept {
    return milliseconds < INT64_MAX / kMillisecond ? after_ns(milliseconds * kMillisecond)
                                                   : never();
  }
  [[nodiscard]] static constexpr Deadline never() noexcept { return Deadline{INT64_MAX}; }
  [[nodiscard]] static constexpr Deadline passed() noexcept { return Deadline{0}; }

  [[nodiscard]] constexpr bool is_never() const noexcept { return at_ns_ == INT64_MAX; }
  /// True for a try: no waiting at all, not even a clock read.
  [[nodiscard]] constexpr bool is_try() const noexcept { return at_ns_ == 0; }
  [[nodiscard]] bool has_passed() const noexcept {
    return is_try() || (!is_never() && boot_now_ns() >= at_ns_);
  }
  /// 0 if passed, INT64_MAX if never.
  [[nodiscard]] BootNanos remaining_ns() const noexcept;

 private:
  explicit constexpr Deadline(BootNanos at_ns) noexcept : at_ns_(at_ns) {}
  BootNanos at_ns_;
};

/// Adds to the wall clock as this process sees it (tests of clock jumps only).
void shift_wall_clock(std::int64_t milliseconds) noexcept;

}  // namespace mallbots
