#include "shm/concurrent/partition.h"

#include <unistd.h>

#include "shm/base/crash_point.h"

namespace mallbots::shm {
namespace {

const SlotEntry& entry_of(const PartitionParts& parts, SlotGen slot_gen) noexcept {
  return parts.board->entries[slot_gen % parts.topic->slots];
}

}  // namespace

std::optional<std::uint64_t> slot_on_board(const PartitionParts& parts, SlotGen slot_gen) noexcept {
  const SlotEntry& entry = entry_of(parts, slot_gen);
  // SYNC board-entry: acquire here; release in post_slot. seq_cst: SYNC knock, as this is what a
  // waiter for `room` or for the next slot re-checks before it sleeps.
  if (entry.n.load(std::memory_order_seq_cst) != slot_gen) return std::nullopt;
  const std::uint64_t slot_id = entry.slot_id.load(std::memory_order_relaxed);
  const auto state = static_cast<SlotState>(entry.state.load(std::memory_order_relaxed));
  std::atomic_thread_fence(std::memory_order_acquire);
  if (entry.n.load(std::memory_order_relaxed) != slot_gen) return std::nullopt;
  return state == SlotState::kReady ? std::optional{slot_id} : std::nullopt;
}

bool slot_is_past(const PartitionParts& parts, SlotGen slot_gen) noexcept {
  const std::uint64_t n = entry_of(parts, slot_gen).n.load();
  return n != kNoSlot && n > slot_gen;
}

bool slot_is_valid(const PartitionParts& parts, const SlotMemory& memory,
                   SlotGen slot_gen) noexcept {
  const SlotIdentity& identity = memory.header->identity;
  return identity.magic == kSlotMagic && identity.layout_version == kLayoutVersion &&
         identity.partition_id == parts.board->partition_id &&
         std::uint64_t{identity.data_units} * kUnitBytes == parts.topic->slot_bytes &&
         load_slot_gen(*memory.header) == slot_gen;
}

void post_slot(PartitionBoard& board, std::uint32_t slots, SlotGen slot_gen,
               std::uint64_t slot_id) noexcept {
  SlotEntry& entry = board.entries[slot_gen % slots];
  CRASH_POINT("partition.post_slot");
  entry.n.store(kNoSlot, std::memory_order_relaxed);
  // SYNC board-entry: release fence here, so that who sees the rest sees that n has changed;
  // acquire fence in slot_on_board.
  std::atomic_thread_fence(std::memory_order_release);
  // no crash point: n says that nothing is there
  entry.slot_id.store(slot_id, std::memory_order_relaxed);
  entry.state.store(static_cast<std::uint32_t>(SlotState::kReady), std::memory_order_relaxed);
  CRASH_POINT("partition.post_slot_n");
  // SYNC board-entry: release here; acquire in slot_on_board. seq_cst: SYNC knock with `room`.
  entry.n.store(slot_gen, std::memory_order_seq_cst);
}

void withdraw_slot(PartitionBoard& board, std::uint32_t slots, SlotGen slot_gen) noexcept {
  SlotEntry& entry = board.entries[slot_gen % slots];
  if (entry.n.load(std::memory_order_relaxed) != slot_gen) return;
  CRASH_POINT("partition.withdraw_slot");
  entry.n.store(kNoSlot, std::memory_order_seq_cst);
}

void publish_durable(PartitionBoard& board, KnockLine& knock, Offset offset) noexcept {
  CRASH_POINT("partition.durable");
  // SYNC durable: release here; acquire in the readers that stop there. seq_cst: SYNC knock.
  board.durable_offset.store(offset, std::memory_order_seq_cst);
  wake_if_waited(knock.durable);
}

void wake_broker(const PartitionParts& parts) noexcept {
  if (parts.broker_eventfd < 0) return;
  CRASH_POINT("append.ring_broker");
  const std::uint64_t one = 1;
  // A full counter (EAGAIN) is a wake as well; nothing else can fail that a retry would mend.
  if (write(parts.broker_eventfd, &one, sizeof one) != sizeof one) return;
}

}  // namespace mallbots::shm
