#include "bench/harness/clock.h"

#include <fmt/core.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <fstream>

namespace mallbots::bench {
namespace {

struct Pair {
  std::uint64_t raw_ns = 0;
  std::uint64_t tick = 0;
};

/// The same moment on both clocks: the tightest of some nested reads.
Pair read_both() {
  Pair best;
  std::uint64_t tightest = ~std::uint64_t{0};
  for (int i = 0; i < 64; ++i) {
    const std::uint64_t before = ticks();
    const std::uint64_t raw = raw_now_ns();
    const std::uint64_t after = ticks();
    if (after - before < tightest) {
      tightest = after - before;
      best = Pair{raw, before + (after - before) / 2};
    }
  }
  return best;
}

double measure_ns_per_tick() {
  const Pair first = read_both();
  while (raw_now_ns() - first.raw_ns < 100'000'000) {
  }
  const Pair last = read_both();
  return static_cast<double>(last.raw_ns - first.raw_ns) /
         static_cast<double>(last.tick - first.tick);
}

double measure_read_cost_ns(double ns_per_tick) {
  std::array<std::uint64_t, 1001> distances{};
  std::uint64_t previous = ticks();
  for (std::uint64_t& distance : distances) {
    const std::uint64_t now = ticks();
    distance = now - previous;
    previous = now;
  }
  std::nth_element(distances.begin(), distances.begin() + distances.size() / 2, distances.end());
  return static_cast<double>(distances[distances.size() / 2]) * ns_per_tick;
}

ClockInfo calibrate() {
  ClockInfo info;
#if defined(__x86_64__)
  // rdtscp counts even where the kernel found the counter unfit; its verdict is only a warning
  // then.
  info.is_tsc = true;
  info.ns_per_tick = measure_ns_per_tick();
  info.source = fmt::format("rdtscp+lfence, {:.4f} GHz{}", 1.0 / info.ns_per_tick,
                            has_invariant_tsc() ? ", invariant" : ", NOT invariant");
#else
  info.source = "CLOCK_MONOTONIC_RAW";
#endif
  info.read_cost_ns = measure_read_cost_ns(info.ns_per_tick);
  return info;
}

}  // namespace

std::uint64_t raw_now_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

bool has_invariant_tsc() noexcept {
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::string line;
  while (std::getline(cpuinfo, line)) {
    if (!line.starts_with("flags")) continue;
    return line.find(" constant_tsc") != std::string::npos &&
           line.find(" nonstop_tsc") != std::string::npos;
  }
  return false;
}

const ClockInfo& clock_info() {
  static const ClockInfo info = calibrate();
  return info;
}

}  // namespace mallbots::bench
