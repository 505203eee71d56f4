// A slot: one memfd of a 4 KiB header page and `slot.bytes` of records. LAYOUT.md, "Slot".
//
// Written by the broker (identity) and by producers allowed to append directly (word, pairs,
// publication, data); read by everybody through a read-only mapping. One owner file per atomic:
// the algorithms are in shm/concurrent.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "shm/base/ids.h"
#include "shm/layout/layout.h"
#include "shm/layout/word.h"

namespace mallbots::shm {

/// What a commit leaves for the next writer. Two of them; the one whose end and generation match
/// the word and the slot is current, a writer fills the other before its commit. Plain stores under
/// ownership, made visible by the commit CAS; atomics because a fenced writer may still be storing
/// into the pair that nobody trusts any more.
struct alignas(kLineBytes) CommitPair {
  std::atomic<std::uint64_t> end_units;
  std::atomic<std::uint64_t> slot_gen;
  std::atomic<std::uint64_t> next_offset;
  std::atomic<std::int64_t> last_timestamp_ms;
};
static_assert(offsetof(CommitPair, end_units) == 0);
static_assert(offsetof(CommitPair, slot_gen) == 8);
static_assert(offsetof(CommitPair, next_offset) == 16);
static_assert(offsetof(CommitPair, last_timestamp_ms) == 24);
static_assert(sizeof(CommitPair) == 64);

/// Line 4: written by the broker only.
struct alignas(kLinePairBytes) SlotIdentity {
  std::atomic<std::uint64_t> slot_gen;
  std::atomic<std::uint64_t> retiring;  ///< slot_gen + 1 while being retired, 0 otherwise
  std::uint32_t magic;
  std::uint32_t layout_version;
  std::uint64_t partition_id;
  std::uint32_t log_epoch;
  std::uint32_t data_units;  ///< slot.bytes / 16
  /// slot_gen + 1 once base_offset and base_timestamp_ms hold; stored after them.
  std::atomic<std::uint64_t> base_set;
  std::atomic<std::uint64_t> base_offset;
  std::atomic<std::int64_t> base_timestamp_ms;
};
static_assert(offsetof(SlotIdentity, slot_gen) == 0);
static_assert(offsetof(SlotIdentity, retiring) == 8);
static_assert(offsetof(SlotIdentity, magic) == 16);
static_assert(offsetof(SlotIdentity, layout_version) == 20);
static_assert(offsetof(SlotIdentity, partition_id) == 24);
static_assert(offsetof(SlotIdentity, log_epoch) == 32);
static_assert(offsetof(SlotIdentity, data_units) == 36);
static_assert(offsetof(SlotIdentity, base_set) == 40);
static_assert(offsetof(SlotIdentity, base_offset) == 48);
static_assert(offsetof(SlotIdentity, base_timestamp_ms) == 56);

struct SlotHeader {
  alignas(kLinePairBytes) std::atomic<std::uint64_t> word;
  alignas(kLinePairBytes) CommitPair pairs[2];
  alignas(kLinePairBytes) std::atomic<std::uint64_t> publication;
  SlotIdentity identity;
  std::byte reserved[kPageBytes - 4 * kLinePairBytes];
};
static_assert(offsetof(SlotHeader, word) == 0);
static_assert(offsetof(SlotHeader, pairs) == 128);
static_assert(offsetof(SlotHeader, publication) == 256);
static_assert(offsetof(SlotHeader, identity) == 384);
static_assert(offsetof(SlotHeader, reserved) == 512);
static_assert(sizeof(SlotHeader) == kPageBytes);

}  // namespace mallbots::shm
