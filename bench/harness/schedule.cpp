#include "bench/harness/schedule.h"

#include <time.h>

namespace mallbots::bench {
namespace {

constexpr double kSpinBeforeNs = 60'000;

}  // namespace

std::uint64_t Schedule::wait_for(std::uint64_t send) const noexcept {
  const std::uint64_t at = intended(send);
  std::uint64_t now = ticks();
  if (waiting_ == Waiting::kSleep && now < at) {
    const double left_ns = ticks_to_ns(at - now);
    if (left_ns > kSpinBeforeNs) {
      const auto sleep_ns = static_cast<std::uint64_t>(left_ns - kSpinBeforeNs);
      timespec pause{static_cast<time_t>(sleep_ns / 1'000'000'000),
                     static_cast<long>(sleep_ns % 1'000'000'000)};
      ::nanosleep(&pause, nullptr);
    }
  }
  while (now < at) {
    spin_pause();
    now = ticks();
  }
  return at;
}

}  // namespace mallbots::bench
