// The cells of a session page: what a client stores in them and how the broker judges it. Owner
// file of positions and sequences. A writer fills the lower of two halves and stores its number
// last; a reader takes the higher one, re-reads both numbers, and starts again if either changed
// (protocol section 8). Single writer per cell; readers in the broker.
#pragma once

#include <atomic>
#include <optional>

#include "shm/base/crash_point.h"
#include "shm/layout/session_page.h"

namespace mallbots::shm {

/// Counts a call of this client for whoever watches that it is alive. Threads that share a session
/// may swallow one another's counts: only that the number changes means anything.
inline void count_call(std::atomic<std::uint64_t>& counter) noexcept {
  // no crash point: nothing follows from it
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

struct StoredPosition {
  std::uint32_t group_generation = 0;
  Position position;
  std::uint64_t store = 0;  ///< how many stores this cell has seen
};

/// The latest whole store; nothing if there was none. The writer may be dead or storing right now.
[[nodiscard]] inline std::optional<StoredPosition> load_position(const ReaderCell& cell) noexcept {
  for (;;) {
    // SYNC position: acquire here; release in store_position.
    const std::uint64_t first = cell.halves[0].store.load(std::memory_order_acquire);
    const std::uint64_t second = cell.halves[1].store.load(std::memory_order_acquire);
    if (first == 0 && second == 0) {
      // Two stores may have gone by between the two loads; then the first number is no longer 0.
      // SYNC position: acquire above and here; release in store_position.
      if (cell.halves[0].store.load(std::memory_order_acquire) == 0) return std::nullopt;
      continue;
    }
    const PositionHalf& half = cell.halves[second > first ? 1 : 0];
    const StoredPosition stored{half.group_generation.load(std::memory_order_relaxed),
                                {half.log_epoch.load(std::memory_order_relaxed),
                                 half.offset.load(std::memory_order_relaxed)},
                                second > first ? second : first};
    std::atomic_thread_fence(std::memory_order_acquire);
    if (cell.halves[0].store.load(std::memory_order_relaxed) == first &&
        cell.halves[1].store.load(std::memory_order_relaxed) == second)
      return stored;
  }
}

/// A commit of a consumer: everything before `position` is done with. Survives the death of the
/// consumer; reaches the disk with the broker's next flush.
inline void store_position(ReaderCell& cell, std::uint32_t group_generation,
                           Position position) noexcept {
  const std::uint64_t first = cell.halves[0].store.load(std::memory_order_relaxed);
  const std::uint64_t second = cell.halves[1].store.load(std::memory_order_relaxed);
  PositionHalf& half = cell.halves[second > first ? 0 : 1];
  const std::uint64_t number = (second > first ? second : first) + 1;
  CRASH_POINT("cells.position");
  // SYNC position: release here; acquire in load_position: who sees this half void sees that the
  // other one is not.
  half.store.store(0, std::memory_order_release);
  // SYNC position: release fence here, so that who sees the rest sees that the number has changed;
  // acquire fence in load_position. no crash point: the half is void
  std::atomic_thread_fence(std::memory_order_release);
  // no crash point: the half is void
  half.group_generation.store(group_generation, std::memory_order_relaxed);
  half.log_epoch.store(position.log_epoch, std::memory_order_relaxed);
  half.offset.store(position.offset, std::memory_order_relaxed);
  CRASH_POINT("cells.position_number");
  // SYNC position: release here; acquire in load_position. SYNC taken: seq_cst store here, before
  // is_cell_taken; seq_cst store in take_cell, before the halves are read. One sees the other.
  half.store.store(number, std::memory_order_seq_cst);
}

/// The broker ended the session or took the cell. What was stored before the broker read the cell
/// for the last time counts, though it may be refused; what is stored later is refused.
[[nodiscard]] inline bool is_cell_taken(const SessionHeader& header, std::uint32_t cell) noexcept {
  // SYNC taken: seq_cst loads here, after the store of a position; seq_cst store in take_cell. SYNC
  // revoked: seq_cst store by the broker, before it reads the session's cells for the last time.
  return header.revoked.load(std::memory_order_seq_cst) != 0 ||
         (header.taken[cell / 64].load(std::memory_order_seq_cst) >> (cell % 64) & 1) != 0;
}

/// Stores a position; false: it does not count, the cell is no longer this client's.
[[nodiscard]] inline bool commit_position(const SessionHeader& header, std::uint32_t cell_index,
                                          ReaderCell& cell,
                                          const StoredPosition& position) noexcept {
  store_position(cell, position.group_generation, position.position);
  return !is_cell_taken(header, cell_index);
}

/// Broker: takes the cell from a client that lives; then its halves are read for the last time. The
/// broker alone writes these words.
inline void take_cell(SessionHeader& header, std::uint32_t cell) noexcept {
  std::atomic<std::uint64_t>& word = header.taken[cell / 64];
  const std::uint64_t taken =
      word.load(std::memory_order_relaxed) | (std::uint64_t{1} << (cell % 64));
  CRASH_POINT("cells.take_cell");
  // SYNC taken: seq_cst store here, before the halves are read with seq_cst; seq_cst store in
  // store_position, before is_cell_taken.
  word.store(taken, std::memory_order_seq_cst);
}

/// Broker: a cell before it is given out.
inline void clear_cell(ReaderCell& cell) noexcept {
  for (PositionHalf& half : cell.halves) {
    CRASH_POINT("cells.clear");
    half.store.store(0, std::memory_order_seq_cst);
  }
  for (auto& pin : cell.pins) {
    CRASH_POINT("cells.clear_pin");
    pin.store(0, std::memory_order_seq_cst);
  }
}

/// Broker: does this cell hold that slot (pin_of)? After the retiring mark was stored.
[[nodiscard]] inline bool is_pinned(const ReaderCell& cell, std::uint64_t pin) noexcept {
  // SYNC retire: seq_cst loads after mark_retiring; seq_cst store of the pin before the reader
  // looks for the mark. SYNC unpin: acquire, so that re-use comes after the reader's last read.
  return cell.pins[0].load(std::memory_order_seq_cst) == pin ||
         cell.pins[1].load(std::memory_order_seq_cst) == pin;
}

/// Broker: takes a pin away (view held too long, orphan.max).
inline void revoke_pin(ReaderCell& cell, std::uint64_t pin) noexcept {
  for (auto& held : cell.pins) {
    std::uint64_t expected = pin;
    CRASH_POINT("cells.revoke_pin");
    // SYNC revoke: seq_cst here, before the memory is used again; acquire in has_pin.
    held.compare_exchange_strong(expected, 0, std::memory_order_seq_cst);
  }
}

struct StoredSequence {
  SlotGen slot_gen = 0;
  std::uint64_t end_units = 0;
  std::uint64_t sequence = 0;
};

/// Fills half `which`; becomes true with the commit that follows it.
inline void store_sequence(ProducerCell& cell, std::uint8_t which,
                           const StoredSequence& stored) noexcept {
  SequenceHalf& half = cell.halves[which];
  CRASH_POINT("cells.sequence");
  half.sequence.store(0, std::memory_order_relaxed);
  // SYNC sequence: release fence here: a void half before its new contents.
  std::atomic_thread_fence(std::memory_order_release);
  // no crash point: the half is void
  half.slot_gen.store(stored.slot_gen, std::memory_order_relaxed);
  half.end_units.store(stored.end_units, std::memory_order_relaxed);
  CRASH_POINT("cells.sequence_number");
  // SYNC sequence: release here, last; acquire in load_sequence.
  half.sequence.store(stored.sequence, std::memory_order_release);
}

/// A half that its commit did not confirm.
inline void void_sequence(ProducerCell& cell, std::uint8_t which) noexcept {
  CRASH_POINT("cells.void_sequence");
  cell.halves[which].sequence.store(0, std::memory_order_seq_cst);
}

/// Broker, when the session can store no more: what half `which` says; nothing if it is void.
[[nodiscard]] inline std::optional<StoredSequence> load_sequence(const ProducerCell& cell,
                                                                 std::uint8_t which) noexcept {
  const SequenceHalf& half = cell.halves[which];
  // SYNC sequence: acquire here; release in store_sequence.
  const std::uint64_t sequence = half.sequence.load(std::memory_order_acquire);
  if (sequence == 0) return std::nullopt;
  return StoredSequence{half.slot_gen.load(std::memory_order_relaxed),
                        half.end_units.load(std::memory_order_relaxed), sequence};
}

/// Broker: nobody begins an append through this cell any more. Then fence where its session holds a
/// word; after that all that it has committed can be seen.
inline void take_seat(ProducerCell& cell) noexcept {
  CRASH_POINT("cells.take_seat");
  // SYNC seat: seq_cst store here, before the words are read; seq_cst load in is_seat_taken.
  cell.producer_id.store(kSeatTaken, std::memory_order_seq_cst);
}

/// Producer, after an acquire.
[[nodiscard]] inline bool is_seat_taken(const ProducerCell& cell) noexcept {
  // SYNC seat: seq_cst load here, after the acquire; seq_cst store in take_seat. One of the two
  // sees the other, so nothing is appended behind the back of the new holder.
  return cell.producer_id.load(std::memory_order_seq_cst) == kSeatTaken;
}

}  // namespace mallbots::shm
