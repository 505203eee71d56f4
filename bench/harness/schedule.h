// Sends at a fixed rate and knows when each one was meant to go. Latency is counted from the
// intended time, so that a stall of the sender is seen by all sends it delayed, not by one
// (coordinated omission).
//
// A sender that spins keeps its core; one that sleeps gives it away until 60 us before the time
// and spins the rest, because a timer wakes 5 to 50 us late and that would be counted as latency.
// Used by one process; times are ticks() of bench/harness/clock.h.
#pragma once

#include <cstdint>

#include "bench/harness/clock.h"

namespace mallbots::bench {

class Schedule {
 public:
  enum class Waiting { kSpin, kSleep };

  /// The first send is one interval after `start_ticks`.
  Schedule(std::uint64_t start_ticks, double per_second, Waiting waiting) noexcept
      : start_(start_ticks), interval_(ns_to_ticks(1e9 / per_second)), waiting_(waiting) {}

  [[nodiscard]] std::uint64_t intended(std::uint64_t send) const noexcept {
    return start_ + (send + 1) * interval_;
  }
  /// Returns the intended time of `send`, not before it; at once when it has passed already.
  std::uint64_t wait_for(std::uint64_t send) const noexcept;

 private:
  std::uint64_t start_;
  std::uint64_t interval_;
  Waiting waiting_;
};

}  // namespace mallbots::bench
