// The registry: what a restarted broker must know that is neither on disk nor on a board.
// LAYOUT.md, "Registry". Broker-private memory, held by the keeper across broker restarts.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "shm/base/ids.h"
#include "shm/layout/layout.h"

namespace mallbots::shm {

enum class SessionState : std::uint32_t { kFree = 0, kLive = 1, kGone = 2 };

struct SessionEntry {
  std::atomic<std::uint32_t> state;  ///< SessionState; stored last
  std::uint32_t pid;                 ///< as the broker's own namespace sees it; for people only
  std::uint32_t uid;
  std::uint32_t next_cell;
  std::uint64_t token;  ///< random: proves a re-attaching client to be the old one
  char name[40];        ///< what the client calls itself, NUL-padded; for people only
};
static_assert(offsetof(SessionEntry, state) == 0);
static_assert(offsetof(SessionEntry, token) == 16);
static_assert(offsetof(SessionEntry, name) == 24);
static_assert(sizeof(SessionEntry) == 64);

/// Written before a fence's CAS, removed if the CAS fails: dedup halves of that session and
/// generation that end above the tail are void while it stands (protocol section 5).
struct FenceNote {
  std::atomic<std::uint64_t> partition_id;  ///< 0: free; stored last
  std::uint64_t slot_gen;
  std::uint32_t session;
  std::uint32_t tail_units;
  std::uint64_t slot_id;  ///< memory that is not used again in place
};
static_assert(sizeof(FenceNote) == 32);

inline constexpr std::uint32_t kMaxFenceNotes = 4096;

/// Whose an ingest ring is: what a ring says of itself its client may have written.
struct RingEntry {
  std::atomic<std::uint64_t> partition_id;  ///< 0: free; stored last
  std::uint64_t producer_id;
  std::uint16_t session;
  std::uint16_t producer_epoch;
  std::uint32_t data_bytes;
  std::uint64_t scope;  ///< what OpenRing said; 0: only the partition
};
static_assert(offsetof(RingEntry, partition_id) == 0);
static_assert(offsetof(RingEntry, producer_id) == 8);
static_assert(offsetof(RingEntry, session) == 16);
static_assert(offsetof(RingEntry, producer_epoch) == 18);
static_assert(offsetof(RingEntry, data_bytes) == 20);
static_assert(offsetof(RingEntry, scope) == 24);
static_assert(sizeof(RingEntry) == 32);

inline constexpr std::uint32_t kMaxRings = 4096;

struct Registry {
  PageHeader page;
  std::atomic<std::uint64_t> next_slot_id;
  std::atomic<std::uint64_t> next_lease;
  std::atomic<std::uint64_t> next_producer_id;
  std::atomic<std::uint32_t> incarnation;
  std::uint32_t log_epoch;
  alignas(kPageBytes) SessionEntry sessions[kMaxSessions];
  alignas(kPageBytes) FenceNote fences[kMaxFenceNotes];
  alignas(kPageBytes) RingEntry rings[kMaxRings];
};
static_assert(offsetof(Registry, next_slot_id) == 16);
static_assert(offsetof(Registry, next_lease) == 24);
static_assert(offsetof(Registry, next_producer_id) == 32);
static_assert(offsetof(Registry, incarnation) == 40);
static_assert(offsetof(Registry, log_epoch) == 44);
static_assert(offsetof(Registry, sessions) == 4096);
static_assert(offsetof(Registry, fences) == 4096 + kMaxSessions * 64);
static_assert(offsetof(Registry, rings) == 4096 + kMaxSessions * 64 + kMaxFenceNotes * 32);
static_assert(sizeof(Registry) == 4096 + kMaxSessions * 64 + kMaxFenceNotes * 32 + kMaxRings * 32);

}  // namespace mallbots::shm
