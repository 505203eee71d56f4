// Owner file of ingest rings and of the sequencer's parked word: every access to them in the tree
// goes through here, so that the ordering argument fits on one page.
//
// Who calls: the client of a ring, from one thread (hand_in, withdraw, load_answer); the broker's
// sequencer, from its thread (the rest). Lock-free, noexcept; a system call only to wake a client
// that sleeps. Nothing here trusts the other side: the broker copies an entry before it looks at it
// (broker/sequencer/entry.h), a client that lies about states hurts only itself.
//
//   handed in ──▶ taken ──▶ answered        the broker's steps, in order of the numbers
//       │  ▲        │
//       │  └────────┘ no room in the log: not yet
//       ▼
//   withdrawn                               the client's: definitely not appended, and never will
//   be
//
// Pairs used below:
//   SYNC hand-in         entry and data are seen by the broker that sees the state
//   SYNC answer          the outcome is seen by the client that sees its number
//   SYNC sequencer-park  the sequencer sees the entry, or the client sees that it must wake it
#pragma once

#include <optional>

#include "shm/base/crash_point.h"
#include "shm/concurrent/slot_word.h"
#include "shm/concurrent/wait.h"
#include "shm/layout/board.h"
#include "shm/layout/ingest.h"

namespace mallbots::shm {

/// An answer as a value.
struct IngestOutcome {
  std::uint32_t code = 0;
  std::uint32_t flags = 0;
  std::uint64_t value = 0;
  std::int64_t timestamp_ms = 0;
  std::uint64_t extras[kIngestExtras] = {};
};

[[nodiscard]] constexpr std::uint64_t ingest_word(std::uint64_t number,
                                                  IngestState state) noexcept {
  return number << 3 | static_cast<std::uint64_t>(state);
}
[[nodiscard]] inline IngestEntry& entry_of(IngestRing& ring, std::uint64_t number) noexcept {
  return ring.entries[number % kIngestEntries];
}

// --- Client

/// Asks for the lines of entry `number` while its records are still being gathered.
inline void prefetch_entry(IngestRing& ring, std::uint64_t number, std::byte* data) noexcept {
  prefetch_for_write(&entry_of(ring, number));
  prefetch_record_for_write(data);
}

/// Everything in the entry and its data is written. From now on it may be taken at any moment.
inline void hand_in(IngestRing& ring, std::uint64_t number) noexcept {
  // no crash point: nobody acts on it
  ring.header.handed_in.store(number + 1, std::memory_order_relaxed);
  // SYNC hand-in: release here; acquire in look_at and take. SYNC sequencer-park: seq_cst store
  // before the client looks at the parked word; seq_cst load in look_at after the word was stored.
  CRASH_POINT("ingest.hand_in");
  entry_of(ring, number)
      .state.store(ingest_word(number, IngestState::kHandedIn), std::memory_order_seq_cst);
}

/// After hand_in: the sequencer's eventfd must be written, or it sleeps on.
[[nodiscard]] inline bool sequencer_sleeps(const BoardHeader& topic) noexcept {
  // SYNC sequencer-park: seq_cst load after hand_in; seq_cst store in park_sequencer.
  return topic.sequencer.load(std::memory_order_seq_cst) ==
         static_cast<std::uint32_t>(SequencerSleep::kParked);
}

/// True: the entry is not in the log and never will be. False: the broker has it; wait for the
/// answer.
[[nodiscard]] inline bool withdraw(IngestRing& ring, std::uint64_t number) noexcept {
  std::uint64_t seen = ingest_word(number, IngestState::kHandedIn);
  // no crash point: who dies here has handed in, and the broker does with the entry what it likes
  return entry_of(ring, number)
      .state.compare_exchange_strong(seen, ingest_word(number, IngestState::kWithdrawn),
                                     std::memory_order_seq_cst);
}

[[nodiscard]] inline bool is_answered(const IngestRing& ring, std::uint64_t number) noexcept {
  // SYNC answer: acquire here; release in answer. seq_cst: SYNC knock, as this is what a sleeping
  // client re-checks.
  return ring.results[number % kIngestEntries].number.load(std::memory_order_seq_cst) == number + 1;
}
/// The outcome; nothing yet.
[[nodiscard]] inline std::optional<IngestOutcome> load_answer(const IngestRing& ring,
                                                              std::uint64_t number) noexcept {
  if (!is_answered(ring, number)) return std::nullopt;
  const IngestAnswer& from = ring.results[number % kIngestEntries];
  IngestOutcome outcome{from.code, from.flags, from.value, from.timestamp_ms};
  for (std::size_t i = 0; i < kIngestExtras; ++i) outcome.extras[i] = from.extras[i];
  return outcome;
}
/// True: no answer comes any more. Look for one once more after it.
[[nodiscard]] inline bool is_closed(const IngestRing& ring) noexcept {
  // SYNC ring-closed: acquire here; release in close_ring.
  return ring.header.closed.load(std::memory_order_acquire) != 0;
}

// --- Broker

/// What the client says of entry `number`; nothing: not there yet. May be called of the next entry
/// over and over: one line that nobody else writes meanwhile.
[[nodiscard]] inline std::optional<IngestState> look_at(const IngestRing& ring,
                                                        std::uint64_t number) noexcept {
  // SYNC hand-in: acquire here; release in hand_in. SYNC sequencer-park: seq_cst, as this is what
  // the sequencer looks at once more before it sleeps.
  const std::uint64_t word =
      ring.entries[number % kIngestEntries].state.load(std::memory_order_seq_cst);
  if (word >> 3 != (number & ~std::uint64_t{0} >> 3) || (word & 7) == 0 || (word & 7) > 3)
    return std::nullopt;
  return static_cast<IngestState>(word & 7);
}

/// False: it was withdrawn (or scribbled over).
[[nodiscard]] inline bool take(IngestRing& ring, std::uint64_t number) noexcept {
  std::uint64_t seen = ingest_word(number, IngestState::kHandedIn);
  CRASH_POINT("ingest.take");
  // SYNC hand-in: acquire here; release in hand_in.
  return entry_of(ring, number)
      .state.compare_exchange_strong(seen, ingest_word(number, IngestState::kTaken),
                                     std::memory_order_seq_cst);
}

/// Nothing was appended, and nothing will be before it is taken again: the client may withdraw it.
inline void give_back(IngestRing& ring, std::uint64_t number) noexcept {
  std::uint64_t seen = ingest_word(number, IngestState::kTaken);
  // no crash point: to a successor this is a death after the take, before the append
  entry_of(ring, number)
      .state.compare_exchange_strong(seen, ingest_word(number, IngestState::kHandedIn),
                                     std::memory_order_seq_cst);
}

/// What the producer's sequence is after the entry that is answered next.
inline void note_sequence(IngestRing& ring, std::uint64_t last_sequence) noexcept {
  // no crash point: a successor that finds it old finds the record in the slots
  ring.header.last_sequence.store(last_sequence, std::memory_order_relaxed);
}

/// The broker's word on entry `number`; then wakes the client if it sleeps.
inline void answer(IngestRing& ring, std::uint64_t number, const IngestOutcome& outcome) noexcept {
  IngestAnswer& to = ring.results[number % kIngestEntries];
  to.code = outcome.code;
  to.flags = outcome.flags;
  to.value = outcome.value;
  to.timestamp_ms = outcome.timestamp_ms;
  for (std::size_t i = 0; i < kIngestExtras; ++i) to.extras[i] = outcome.extras[i];
  CRASH_POINT("ingest.answer");
  // SYNC answer: release here; acquire in is_answered. seq_cst: SYNC knock.
  to.number.store(number + 1, std::memory_order_seq_cst);
  // no crash point: the successor counts on from any value (first_unanswered)
  ring.header.answered.store(number + 1, std::memory_order_relaxed);
  wake_if_waited(ring.header.answers);
}

/// Where a successor goes on: the first entry without an answer.
[[nodiscard]] inline std::uint64_t first_unanswered(const IngestRing& ring) noexcept {
  std::uint64_t number = ring.header.answered.load(std::memory_order_relaxed);
  // The predecessor may have died between the answer and the count.
  for (std::uint32_t i = 0; i < kIngestEntries && is_answered(ring, number); ++i) ++number;
  return number;
}

inline void close_ring(IngestRing& ring) noexcept {
  CRASH_POINT("ingest.close");
  // SYNC ring-closed: release here, behind the last answer; acquire in is_closed. seq_cst: SYNC
  // knock.
  ring.header.closed.store(1, std::memory_order_seq_cst);
  wake_if_waited(ring.header.answers);
}

/// Before the sequencer looks at all rings once more and sleeps; and after it woke.
inline void park_sequencer(BoardHeader& topic, SequencerSleep sleep) noexcept {
  CRASH_POINT("ingest.park");
  // SYNC sequencer-park: seq_cst store, then look_at every ring; seq_cst load in sequencer_sleeps
  // after hand_in.
  topic.sequencer.store(static_cast<std::uint32_t>(sleep), std::memory_order_seq_cst);
}

}  // namespace mallbots::shm
