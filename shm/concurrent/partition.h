// What a process needs to know of one partition to append to it or read it, and the questions that
// both ask the board. Owner file of the board's slot entries (reading side) and of the broker's
// parked word (client side).
#pragma once

#include <cstdint>
#include <optional>

#include "shm/concurrent/slot_word.h"
#include "shm/concurrent/wait.h"
#include "shm/layout/board.h"
#include "shm/layout/knock.h"
#include "shm/layout/session_page.h"

namespace mallbots::shm {

/// A slot mapped into this process. `header` null: none.
struct SlotMemory {
  SlotHeader* header = nullptr;
  std::byte* data = nullptr;
};

/// Gives mapped and populated slots; called outside the section only. The memory stays mapped until
/// `drop_slot`.
class SlotSource {
 public:
  virtual ~SlotSource() = default;
  /// Empty if it cannot be had (broker away, slot replaced meanwhile): the caller looks at the
  /// board again or waits.
  [[nodiscard]] virtual SlotMemory map_slot(std::uint64_t slot_id) = 0;
  virtual void drop_slot(SlotMemory memory) = 0;
};

/// What an Appender or a reader needs to know of its partition; all of it outlives them.
struct PartitionParts {
  const BoardHeader* topic = nullptr;
  const PartitionBoard* board = nullptr;
  KnockHeader* knock_header = nullptr;  ///< null: may not be knocked (readers without rights)
  KnockLine* knock = nullptr;
  SessionPage* session = nullptr;
  SlotSource* slots = nullptr;
  int broker_eventfd = -1;  ///< -1: nobody persists (tests, bare measurements)
  WaitStrategy strategy = WaitStrategy::kHybrid;
};

/// The memory of slot `slot_gen`, if the board has it and it is READY.
[[nodiscard]] std::optional<std::uint64_t> slot_on_board(const PartitionParts& parts,
                                                         SlotGen slot_gen) noexcept;
/// True if the board's entry already has a later slot: `slot_gen` was re-used or replaced.
[[nodiscard]] bool slot_is_past(const PartitionParts& parts, SlotGen slot_gen) noexcept;
/// True if freshly mapped memory is slot `slot_gen` of this partition.
[[nodiscard]] bool slot_is_valid(const PartitionParts& parts, const SlotMemory& memory,
                                 SlotGen slot_gen) noexcept;
/// Broker: makes slot `slot_gen` known under `slot_id`; it must be initialised. Then knock `room`.
void post_slot(PartitionBoard& board, std::uint32_t slots, SlotGen slot_gen,
               std::uint64_t slot_id) noexcept;
/// Broker: `slot_gen` is no longer to be opened; before its memory changes.
void withdraw_slot(PartitionBoard& board, std::uint32_t slots, SlotGen slot_gen) noexcept;

/// Broker: everything below `offset` is on disk. Wakes who waits for it.
void publish_durable(PartitionBoard& board, KnockLine& knock, Offset offset) noexcept;

/// Unconditional, if there is a broker to wake.
void wake_broker(const PartitionParts& parts) noexcept;

/// Wakes the broker if it sleeps without a timer; `even_with_timer`: if it sleeps at all.
inline void ring_broker(const PartitionParts& parts, bool even_with_timer) noexcept {
  if (parts.knock_header == nullptr) return;
  // Dekker: seq_cst load after the caller's publication; the broker stores (seq_cst, broker/log/
  // topics) before it looks at all tails once more and sleeps. One of the two sees the other.
  const auto sleep =
      static_cast<BrokerSleep>(parts.knock_header->broker.load(std::memory_order_seq_cst));
  if (sleep == BrokerSleep::kAwake) return;
  if (sleep == BrokerSleep::kParkedWithTimer && !even_with_timer) return;
  wake_broker(parts);
}

}  // namespace mallbots::shm
