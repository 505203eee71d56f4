#include "bench/harness/other_load.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "bench/harness/clock.h"

namespace mallbots::bench {
namespace {

double own_seconds() {
  double seconds = 0;
  for (const auto who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage use{};
    ::getrusage(who, &use);
    for (const timeval& time : {use.ru_utime, use.ru_stime}) {
      seconds += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    }
  }
  return seconds;
}

}  // namespace

LoadReading read_load() {
  LoadReading reading{.now_s = static_cast<double>(raw_now_ns()) / 1e9, .own_s = own_seconds()};
  // proc(5): cpu user nice system idle iowait irq softirq steal
  std::ifstream file("/proc/stat");
  std::string cpu;
  double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, soft_irq = 0, steal = 0;
  if (!(file >> cpu >> user >> nice >> system >> idle >> waiting >> irq >> soft_irq >> steal)) {
    return reading;
  }
  const auto per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
  reading.busy_s = (user + nice + system + irq + soft_irq) / per_second;
  reading.stolen_s = steal / per_second;
  return reading;
}

LoadShare share_between(const LoadReading& start, const LoadReading& end) noexcept {
  const double elapsed_s = end.now_s - start.now_s;
  if (elapsed_s <= 0) return {};
  const double busy_s = end.busy_s - start.busy_s;
  const double own_s = end.own_s - start.own_s;
  return LoadShare{std::max(0.0, busy_s - own_s) / elapsed_s,
                   std::max(0.0, end.stolen_s - start.stolen_s) / elapsed_s};
}

}  // namespace mallbots::bench
