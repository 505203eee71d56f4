// What a predecessor appended for a producer, read from the slots: before its ring is served, so
// that no handed-in record is appended twice and none is answered wrongly.
//
// Control thread, at a start that found the memory kept; nobody appends meanwhile. Bytes that are
// no records end the walk of that slot: the persister judges those.
#pragma once

#include <map>
#include <optional>
#include <span>

#include "broker/log/slot_ring.h"

namespace mallbots::broker {

struct AppendedBefore {
  Offset offset = 0;
  UnixMillis timestamp_ms = 0;
};

struct ProducerHistory {
  std::uint64_t wanted = 0;             ///< a sequence that may be in the log; 0: none is asked for
  std::uint64_t last_sequence = 0;      ///< highest found; 0: no record of it is in memory
  Offset end_offset = 0;                ///< behind the last record found
  std::optional<AppendedBefore> found;  ///< the record with the wanted sequence
};

/// Fills in what the slots tell of these producers.
void read_history(const SlotRing& slots, std::map<std::uint64_t, ProducerHistory>& producers);

}  // namespace mallbots::broker
