// The measurement clock: the processor's time stamp counter, read so that what stands before the
// read in the program has finished and what stands after it has not begun.
//
// ticks() is `rdtscp; lfence`: rdtscp waits until every earlier instruction has executed and every
// earlier load is globally visible; the lfence holds back what follows (Intel SDM volume 2,
// "RDTSCP"; AMD APM volume 3 says the same for processors whose lfence serialises, which Linux
// arranges). Without the fences a read may run ahead of the load it times, and a round trip of
// 100 ns looks 20 ns shorter. The same read serves as start and as end, so that back-to-back
// iterations share one.
//
// Ticks become nanoseconds by a factor measured once against CLOCK_MONOTONIC_RAW (not slewed by
// NTP): each end is the tightest of 64 nested reads, 100 ms apart, which leaves an error below
// 10 ppm. Call clock_info() once before forking; the children inherit the factor.
//
// The counters of two cores may differ by some 5 to 15 ns on one socket, so a one-way figure
// carries that and a round trip does not. On other processors ticks() is CLOCK_MONOTONIC_RAW in
// nanoseconds; a counter that the kernel does not call invariant is used all the same, and the
// machine sheet warns.
//
// Callable from any thread or process; nothing here fails. The product's own clock is
// shm/base/clock.h; this one exists because a benchmark must not time with the code it judges.
#pragma once

#include <cstdint>
#include <string>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace mallbots::bench {

struct ClockInfo {
  bool is_tsc = false;
  double ns_per_tick = 1.0;
  double read_cost_ns = 0.0;  ///< median distance of two reads in a row
  std::string source;         ///< for the machine sheet
};

/// CLOCK_MONOTONIC_RAW in nanoseconds: the second, independent clock of the limits.
[[nodiscard]] std::uint64_t raw_now_ns() noexcept;

/// Measured at the first call (about 0.1 s), the same ever after.
[[nodiscard]] const ClockInfo& clock_info();

[[nodiscard]] bool has_invariant_tsc() noexcept;

[[nodiscard]] inline std::uint64_t ticks() noexcept {
#if defined(__x86_64__)
  unsigned int core = 0;
  const std::uint64_t now = __rdtscp(&core);
  _mm_lfence();
  return now;
#else
  return raw_now_ns();
#endif
}

[[nodiscard]] inline double ticks_to_ns(std::uint64_t count) {
  return static_cast<double>(count) * clock_info().ns_per_tick;
}

[[nodiscard]] inline std::uint64_t ns_to_ticks(double nanoseconds) {
  return static_cast<std::uint64_t>(nanoseconds / clock_info().ns_per_tick);
}

/// One turn of a spinning loop: tells the core that it waits for another one.
inline void spin_pause() noexcept {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

}  // namespace mallbots::bench
