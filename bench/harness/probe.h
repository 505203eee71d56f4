// The near/far probe: the median round trip of one cache line between the two cores a run uses.
//
// Virtual machines move their cores: the round trip may flip four-fold within seconds, and with it
// every two-process figure. So a run carries a probe before, between and after its parts, and
// bench/harness/selection.h decides by them which runs are compared. About 15 ms.
//
// Errors: those of run_roles. Call it from a process with one thread, while nothing of the
// benchmark spins on either core.
#pragma once

#include "shm/base/result.h"

namespace mallbots::bench {

/// Nanoseconds.
[[nodiscard]] Result<double> probe_round_trip(int cpu_a, int cpu_b, bool quick = false);

}  // namespace mallbots::bench
