// DurableNote: 128 bytes of memory that outlives the broker, one per partition, in which the store
// leaves its last durable point, so that a broker which takes over kept memory need not read the
// open segment to know where it ends. Written by the store after each flush, on the broker's
// thread; read by the next broker before it starts. The broker keeps the notes of a topic in one
// memfd that the keeper holds; nobody else maps it. Without a note recovery reads the segment:
// slower, never wrong.
//
// Two halves: the writer fills the one with the lower `store` and stores `store` last, so that a
// broker killed in between leaves the other half.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "broker/storage/segment_info.h"

namespace mallbots::broker {

struct NoteHalf {
  std::atomic<std::uint64_t> offset;
  std::atomic<std::uint64_t> segment;
  std::atomic<std::uint64_t> byte;
  std::atomic<std::int64_t> running_max_ms;
  std::atomic<std::uint64_t> records;  ///< in that segment
  std::atomic<std::uint64_t> slot_gen;
  std::atomic<std::uint64_t> units;  ///< where in that slot the durable point is
  std::atomic<std::uint64_t> store;  ///< 0: never filled; stored last
};
static_assert(offsetof(NoteHalf, offset) == 0);
static_assert(offsetof(NoteHalf, segment) == 8);
static_assert(offsetof(NoteHalf, byte) == 16);
static_assert(offsetof(NoteHalf, running_max_ms) == 24);
static_assert(offsetof(NoteHalf, records) == 32);
static_assert(offsetof(NoteHalf, slot_gen) == 40);
static_assert(offsetof(NoteHalf, units) == 48);
static_assert(offsetof(NoteHalf, store) == 56);
static_assert(sizeof(NoteHalf) == 64);

/// Zeroed memory is an empty note.
struct DurableNote {
  NoteHalf halves[2];
};
static_assert(sizeof(DurableNote) == 128);

struct NoteValue {
  DurablePoint point;
  std::uint64_t records = 0;
  SlotGen slot_gen = 0;
  std::uint32_t units = 0;
};

void store_note(DurableNote& note, const NoteValue& value) noexcept;
/// Nothing if the note was never filled.
[[nodiscard]] std::optional<NoteValue> load_note(const DurableNote& note) noexcept;

}  // namespace mallbots::broker
