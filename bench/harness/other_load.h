// What else ran while a run was measured: processor time of the whole machine less that of this
// process and its ended children, and time the host took away (steal). Two quiet cores are the
// assumption of every pinned row, and the near/far probe does not see a neighbour that only
// sometimes runs.
//
// /proc/stat counts in ticks of 10 ms, so it says little about runs below 0.1 s. Nothing fails:
// where /proc/stat cannot be read, both are 0. One process, one thread.
#pragma once

namespace mallbots::bench {

/// Seconds since some start, all of them.
struct LoadReading {
  double now_s = 0;
  double busy_s = 0;    ///< all processors of the machine, everybody's work
  double own_s = 0;     ///< this process and its ended children
  double stolen_s = 0;  ///< what the host took
};

struct LoadShare {
  double others = 0;  ///< cores' worth: 0.5 is half of one core all the time
  double stolen = 0;  ///< the same, taken by the host
};

[[nodiscard]] LoadReading read_load();

/// Never negative, though the ticks of the two sources do not agree exactly.
[[nodiscard]] LoadShare share_between(const LoadReading& start, const LoadReading& end) noexcept;

}  // namespace mallbots::bench
