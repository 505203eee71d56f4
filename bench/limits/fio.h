// fio (fio.readthedocs.io) as the second opinion on a disk limit: another program, another clock,
// another author. Needs the fio package; without it, or when it answers in a way we do not know,
// the method is left out and says why (kUnsupported).
#pragma once

#include "bench/harness/row.h"

namespace mallbots::bench {

/// 4 KiB overwrites with O_DIRECT and O_DSYNC, one at a time: p50, p99, p99.9, max, rate.
[[nodiscard]] Result<Figures> fio_flush(const RunContext& run);

/// Sequential 1 MiB overwrites with O_DIRECT, 8 in flight: bytes (a second).
[[nodiscard]] Result<Figures> fio_stream(const RunContext& run);

}  // namespace mallbots::bench
