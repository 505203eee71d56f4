// The bare figures of this machine. Their names are what the rows compare with. Each that counts is
// measured by at least two independent methods; those "only shown" by one.
//
//   limit.cache_line          round trip, two pinned, spinning processes, a line each way
//   limit.cache_line_turns    the same with one line that both write; only shown
//   limit.ring_rtt_SIZE       round trip through two bare rings, memory never used before
//   limit.ring_rtt_SIZE_hot   the same through 4 MiB that are used again and again
//   limit.log_rtt_64          the same with what a record is, under a word that is taken and given
//                             back, and a publication line
//   limit.ring_SIZE           one-way throughput of a bare ring, record by record, lossless
//   limit.ring_record         the same with what a record is: 64 B, a header, two hashes
//   limit.futex_rtt           round trip, both sides sleeping, pinned
//   limit.futex_wake          one way into a sleeper, not pinned, 1,000 a second
//   limit.disk_stream         sequential O_DIRECT writes
//   limit.disk_flush          4 KiB overwritten and flushed, one at a time
//
// SIZE is 64, 1k or 16k. A work row adds up what it needs: a flush and twice `limit.futex_wake` p50
// is what one durable append cannot beat; that row takes the flush in turns with its own work
// (bench/limits/bare_flush.h).
#pragma once

#include "bench/harness/row.h"

namespace mallbots::bench {

void add_cache_line_limit(Registry& registry);
void add_ring_limits(Registry& registry);
void add_futex_limits(Registry& registry);
void add_disk_stream_limit(Registry& registry);
void add_disk_flush_limit(Registry& registry);

inline void add_limits(Registry& registry) {
  add_cache_line_limit(registry);
  add_ring_limits(registry);
  add_futex_limits(registry);
  add_disk_stream_limit(registry);
  add_disk_flush_limit(registry);
}

}  // namespace mallbots::bench
