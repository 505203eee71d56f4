// Owner file of a slot's word, publication line, commit pairs and generation: every access to them
// in the tree goes through here, so that the ordering argument fits on one page.
//
// Who calls: producers (acquire, release, commit, seal), readers (load), the broker (fence, init).
// All calls are lock-free, noexcept, without system call.
//
// Pairs used below:
//   SYNC commit        what a holder wrote before its commit is seen by whoever acquires after it
//   SYNC publication   what was committed is seen by whoever reads the publication line
//   SYNC generation    line 4 is seen as new before the word of the new generation can be acquired
//   SYNC base          base offset and time are seen by whoever sees base_set
//   SYNC pair          whoever reads a pair that is being overwritten sees that the tail has moved
#pragma once

#include <optional>

#include "shm/base/crash_point.h"
#include "shm/layout/slot.h"

namespace mallbots::shm {

// --- Prefetching
//
// A hop between two cores is one request for ownership by the writer and one fetch by the reader,
// per line. Asked for one after the other (record, word, publication line) they add up; asked for
// early they overlap. Measured on one two-core machine: round trip 64 B 1.0 us without, 0.36 us
// with (docs/decisions/0004).

/// Asks for a line to be written soon. A hint: never faults, changes nothing.
inline void prefetch_for_write(const void* line) noexcept {
#if defined(__x86_64__)
  // GCC emits PREFETCHW for __builtin_prefetch only with -mprfchw; every x86-64 since 2014 has it,
  // and older ones take it as a no-op.
  asm volatile("prefetchw %0" ::"m"(*static_cast<const char*>(line)));
#else
  __builtin_prefetch(line, 1);
#endif
}

/// Asks for the lines of a small record.
inline void prefetch_record_for_write(const std::byte* at) noexcept {
  prefetch_for_write(at);
  prefetch_for_write(at + kLineBytes);
}
/// While one record is written, the lines some records ahead: there are only so many misses under
/// way when each store waits for its turn.
inline void prefetch_ahead(const std::byte* at, const std::byte* end) noexcept {
  constexpr std::size_t kAhead = 1024;
  if (at + kAhead + 2 * kLineBytes <= end) prefetch_record_for_write(at + kAhead);
}
/// After a record [at, end): if it ended on a new page, looks the page behind that up, so that the
/// append which gets there need not walk the page tables first.
inline void prefetch_next_page(const std::byte* at, const std::byte* end) noexcept {
  const auto begin = reinterpret_cast<std::uintptr_t>(at);
  const auto behind = reinterpret_cast<std::uintptr_t>(end);
  if ((begin ^ behind) / kPageBytes != 0) prefetch_for_write(end + kPageBytes);
}
inline void prefetch_record(const std::byte* at) noexcept {
  __builtin_prefetch(at);
  __builtin_prefetch(at + kLineBytes);
}

// --- The word

[[nodiscard]] inline Word load_word(const SlotHeader& slot) noexcept {
  // SYNC commit: acquire here; release in commit.
  return {slot.word.load(std::memory_order_acquire)};
}

/// The word after everything this thread published (Dekker with a waiter or a pinner).
[[nodiscard]] inline Word load_word_seq_cst(const SlotHeader& slot) noexcept {
  return {slot.word.load(std::memory_order_seq_cst)};
}

/// {t,0,e} -> {t,me,e}. `seen` must be free and unsealed.
[[nodiscard]] inline bool try_acquire(SlotHeader& slot, Word seen, SessionIndex me) noexcept {
  CRASH_POINT("word.acquire");
  // SYNC commit: acquire here; release in commit. seq_cst because the holder then looks whether it
  // was revoked or its lease moved (SYNC revoked, SYNC lease).
  return slot.word.compare_exchange_strong(seen.bits, seen.acquired_by(me).bits,
                                           std::memory_order_seq_cst, std::memory_order_relaxed);
}

/// {t,me,e} -> {t',0,e}: commits and unlocks. False: FENCED, definitely not committed.
[[nodiscard]] inline bool commit(SlotHeader& slot, Word held, std::uint32_t end_units) noexcept {
  CRASH_POINT("word.commit");
  // SYNC commit: release here; acquire in try_acquire and load_word. seq_cst because the waker
  // then looks for sleepers (SYNC knock).
  return slot.word.compare_exchange_strong(held.bits, held.released().with_tail(end_units).bits,
                                           std::memory_order_seq_cst, std::memory_order_relaxed);
}

/// {t,me,e} -> {t',me,e}: an exclusive producer commits and stays the holder.
[[nodiscard]] inline bool commit_and_hold(SlotHeader& slot, Word held,
                                          std::uint32_t end_units) noexcept {
  CRASH_POINT("word.commit_and_hold");
  // SYNC commit: release here; acquire in load_word.
  return slot.word.compare_exchange_strong(held.bits, held.with_tail(end_units).bits,
                                           std::memory_order_seq_cst, std::memory_order_relaxed);
}

/// {t,me,e} -> {t,0,e}: unlocks without a commit.
inline bool release(SlotHeader& slot, Word held) noexcept {
  CRASH_POINT("word.release");
  return slot.word.compare_exchange_strong(held.bits, held.released().bits,
                                           std::memory_order_seq_cst, std::memory_order_relaxed);
}

/// {t,me,e} -> {t,0,e,sealed}: the holder found no room.
[[nodiscard]] inline bool seal_held(SlotHeader& slot, Word held) noexcept {
  CRASH_POINT("word.seal");
  return slot.word.compare_exchange_strong(held.bits, held.released().with_seal().bits,
                                           std::memory_order_seq_cst, std::memory_order_relaxed);
}

/// Broker: the holder is proven dead. {t,X,e} -> {t,0,e+1}; the bytes behind the tail are re-used.
[[nodiscard]] inline bool free_dead(SlotHeader& slot, Word seen) noexcept {
  CRASH_POINT("word.free_dead");
  return slot.word.compare_exchange_strong(seen.bits, seen.released().with_next_epoch().bits,
                                           std::memory_order_seq_cst, std::memory_order_relaxed);
}

/// Broker: nobody may append to this slot any more, whoever holds it. {t,*,e} -> {t,0,e+1,sealed}.
[[nodiscard]] inline bool fence_and_seal(SlotHeader& slot, Word seen) noexcept {
  CRASH_POINT("word.fence");
  return slot.word.compare_exchange_strong(seen.bits,
                                           seen.released().with_seal().with_next_epoch().bits,
                                           std::memory_order_seq_cst, std::memory_order_relaxed);
}

// --- The publication line

inline void publish(SlotHeader& slot, SlotGen slot_gen, Word word) noexcept {
  CRASH_POINT("word.publish");
  // SYNC publication: release here; acquire in load_publication.
  slot.publication.store(Publication::of(slot_gen, word).bits, std::memory_order_release);
}

[[nodiscard]] inline Publication load_publication(const SlotHeader& slot) noexcept {
  // SYNC publication: acquire here; release in publish.
  return {slot.publication.load(std::memory_order_acquire)};
}

// --- Commit pairs

/// What a commit left: the next record's offset and the last record's time.
struct LogEnd {
  Offset next_offset = 0;
  UnixMillis last_timestamp_ms = 0;
};

/// The pair that belongs to `tail_units` of generation `slot_gen`; nothing if none does, which only
/// damage can bring about. Holder only, or between two equal reads of the word.
[[nodiscard]] inline std::optional<LogEnd> find_pair(const SlotHeader& slot, SlotGen slot_gen,
                                                     std::uint32_t tail_units) noexcept {
  for (const CommitPair& pair : slot.pairs) {
    // Acquire only against a re-init by the broker; under ownership SYNC commit orders these.
    if (pair.end_units.load(std::memory_order_acquire) == tail_units &&
        pair.slot_gen.load(std::memory_order_acquire) == slot_gen)
      return LogEnd{pair.next_offset.load(std::memory_order_relaxed),
                    pair.last_timestamp_ms.load(std::memory_order_relaxed)};
  }
  return std::nullopt;
}

/// Holder: fills the pair that is not current. Becomes true with the commit that follows.
inline void store_pair(SlotHeader& slot, SlotGen slot_gen, std::uint32_t current_tail_units,
                       std::uint32_t end_units, LogEnd end) noexcept {
  const bool first_is_current =
      slot.pairs[0].end_units.load(std::memory_order_relaxed) == current_tail_units &&
      slot.pairs[0].slot_gen.load(std::memory_order_relaxed) == slot_gen;
  CommitPair& pair = slot.pairs[first_is_current ? 1 : 0];
  // SYNC pair: release fence here, behind the acquire that this store comes under; acquire fence in
  // log_end.
  std::atomic_thread_fence(std::memory_order_release);
  CRASH_POINT("word.pair");
  // Relaxed: SYNC commit publishes all four; half a pair never matches the committed tail.
  pair.next_offset.store(end.next_offset, std::memory_order_relaxed);
  // no crash point: nobody trusts the pair before its end matches the word
  pair.last_timestamp_ms.store(end.last_timestamp_ms, std::memory_order_relaxed);
  pair.slot_gen.store(slot_gen, std::memory_order_relaxed);
  pair.end_units.store(end_units, std::memory_order_relaxed);
}

// --- Identity

[[nodiscard]] inline SlotGen load_slot_gen(const SlotHeader& slot) noexcept {
  // SYNC generation: seq_cst here (after an acquire or a pin); seq_cst store in init_slot.
  return slot.identity.slot_gen.load(std::memory_order_seq_cst);
}

/// After the pin and before load_slot_gen.
[[nodiscard]] inline bool is_retiring(const SlotHeader& slot, SlotGen slot_gen) noexcept {
  // SYNC retire: seq_cst load after the pin; seq_cst store in mark_retiring before the pin scan.
  return slot.identity.retiring.load(std::memory_order_seq_cst) == slot_gen + 1;
}

/// Where the slot begins, if the broker has said so for this generation.
[[nodiscard]] inline std::optional<LogEnd> load_base(const SlotHeader& slot,
                                                     SlotGen slot_gen) noexcept {
  // SYNC base: acquire here; release in store_base.
  if (slot.identity.base_set.load(std::memory_order_acquire) != slot_gen + 1) return std::nullopt;
  return LogEnd{slot.identity.base_offset.load(std::memory_order_relaxed),
                slot.identity.base_timestamp_ms.load(std::memory_order_relaxed)};
}

/// Broker only.
inline void store_base(SlotHeader& slot, SlotGen slot_gen, LogEnd base) noexcept {
  CRASH_POINT("word.base");
  slot.identity.base_offset.store(base.next_offset, std::memory_order_relaxed);
  // no crash point: not valid before base_set
  slot.identity.base_timestamp_ms.store(base.last_timestamp_ms, std::memory_order_relaxed);
  // SYNC base: release here; acquire in load_base.
  slot.identity.base_set.store(slot_gen + 1, std::memory_order_release);
}

/// Where the records of a slot end, whoever asks and whether the slot has any: the pair of its
/// tail, or its base while the tail is 0. Nothing: the base is not known yet, or the slot was
/// re-used meanwhile (compare load_slot_gen after the call).
[[nodiscard]] inline std::optional<LogEnd> log_end(const SlotHeader& slot,
                                                   SlotGen slot_gen) noexcept {
  for (;;) {
    const Word before = load_word_seq_cst(slot);
    const auto end = before.tail_units() == 0 ? load_base(slot, slot_gen)
                                              : find_pair(slot, slot_gen, before.tail_units());
    // SYNC pair: acquire fence here; release fence in store_pair.
    std::atomic_thread_fence(std::memory_order_acquire);
    if (load_word_seq_cst(slot).tail_units() == before.tail_units()) return end;
  }
}

}  // namespace mallbots::shm
