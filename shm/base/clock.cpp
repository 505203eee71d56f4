#include "shm/base/clock.h"

#include <time.h>

#include <atomic>

namespace mallbots {
namespace {

std::atomic<std::int64_t> wall_shift_ms{0};

std::int64_t read_ns(clockid_t clock) noexcept {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

std::int64_t shift_ns() noexcept { return wall_shift_ms.load() * kMillisecond; }

}  // namespace

BootNanos boot_now_ns() noexcept { return read_ns(CLOCK_BOOTTIME); }

BootNanos monotonic_now_ns() noexcept { return read_ns(CLOCK_MONOTONIC); }

std::int64_t wall_now_ns() noexcept { return read_ns(CLOCK_REALTIME) + shift_ns(); }

UnixMillis wall_now_ms() noexcept { return wall_now_ns() / kMillisecond; }

UnixMillis wall_coarse_ms() noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return now.tv_sec * 1'000 + now.tv_nsec / kMillisecond + wall_shift_ms.load();
}

BootNanos Deadline::remaining_ns() const noexcept {
  if (is_never()) return INT64_MAX;
  if (is_try()) return 0;
  const BootNanos left = at_ns_ - boot_now_ns();
  return left > 0 ? left : 0;
}

void shift_wall_clock(std::int64_t milliseconds) noexcept { wall_shift_ms.fetch_add(milliseconds); }

}  // namespace mallbots
