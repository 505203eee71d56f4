#include "shm/concurrent/reclaim.h"

namespace mallbots::shm {

void init_slot(SlotHeader& slot, const SlotInit& init) noexcept {
  SlotIdentity& identity = slot.identity;
  CRASH_POINT("reclaim.init_identity");
  // SYNC generation: seq_cst here; seq_cst load after an acquire or a pin.
  identity.slot_gen.store(init.slot_gen, std::memory_order_seq_cst);
  // SYNC generation: release fence here, before anything else of the slot changes: who reads the
  // new base or pair as the old slot's, then sees the new generation (acquire fence in log_end).
  std::atomic_thread_fence(std::memory_order_release);
  if (!is_slot_of(slot, init.partition_id, init.data_units) ||
      identity.log_epoch != init.log_epoch) {
    // Fresh memory. In place these stay as they are, since others may be reading them.
    identity.magic = kSlotMagic;
    identity.layout_version = kLayoutVersion;
    identity.partition_id = static_cast<std::uint64_t>(init.partition_id);
    identity.log_epoch = init.log_epoch;
    identity.data_units = init.data_units;
  }
  CRASH_POINT("reclaim.init_base");
  identity.base_set.store(0, std::memory_order_seq_cst);
  if (init.base) store_base(slot, init.slot_gen, *init.base);
  CRASH_POINT("reclaim.init_retiring");
  identity.retiring.store(0, std::memory_order_seq_cst);
  for (CommitPair& pair : slot.pairs) {
    CRASH_POINT("reclaim.init_pair");
    pair.end_units.store(~std::uint64_t{0}, std::memory_order_relaxed);
    // no crash point: the same pair, still void
    pair.slot_gen.store(init.slot_gen, std::memory_order_relaxed);
  }
  publish(slot, init.slot_gen, Word{});
  const Word old = load_word(slot);
  CRASH_POINT("reclaim.init_word");
  // SYNC commit: release here; acquire in load_word and try_acquire. Nobody CASes a sealed word.
  slot.word.store(
      Word{old.bits}.released().with_next_epoch().bits & ~(Word::kTailMask | Word::kSealedBit),
      std::memory_order_seq_cst);
}

bool is_slot_of(const SlotHeader& slot, PartitionId partition_id,
                std::uint32_t data_units) noexcept {
  const SlotIdentity& identity = slot.identity;
  return identity.magic == kSlotMagic && identity.layout_version == kLayoutVersion &&
         identity.partition_id == static_cast<std::uint64_t>(partition_id) &&
         identity.data_units == data_units;
}

void mark_retiring(SlotHeader& slot, SlotGen slot_gen) noexcept {
  CRASH_POINT("reclaim.mark_retiring");
  // SYNC retire: seq_cst store before the pin scan; seq_cst load after the pin.
  slot.identity.retiring.store(slot_gen + 1, std::memory_order_seq_cst);
}

void unmark_retiring(SlotHeader& slot) noexcept {
  CRASH_POINT("reclaim.unmark_retiring");
  slot.identity.retiring.store(0, std::memory_order_seq_cst);
}

bool free_word_of_dead(SlotHeader& slot, SlotGen slot_gen, SessionIndex dead,
                       const std::function<void(std::uint32_t tail_units)>& void_halves) {
  const Word seen = load_word_seq_cst(slot);
  if (!seen.owned_by(dead) || load_slot_gen(slot) != slot_gen) return false;
  // Before the release: afterwards another producer may fill the same bytes, and the lost record
  // would look like a duplicate (tests/models/commit).
  void_halves(seen.tail_units());
  // The holder is dead and the word owned: nobody but us changes it.
  return free_dead(slot, seen);
}

bool fence(SlotHeader& slot, SlotGen slot_gen,
           const std::function<void(SessionIndex holder, std::uint32_t tail_units)>& note,
           const std::function<void(SessionIndex holder)>& unnote) {
  for (;;) {
    const Word seen = load_word_seq_cst(slot);
    if (seen.sealed() || load_slot_gen(slot) != slot_gen) return false;
    // A slot sealed at 0 passes its base on, so it must have one (tests/models/commit_roll.pml).
    if (seen.tail_units() == 0 && !load_base(slot, slot_gen)) return false;
    if (seen.owned()) note(seen.owner(), seen.tail_units());
    if (fence_and_seal(slot, seen)) {
      publish(slot, slot_gen, seen.released().with_seal());
      return true;
    }
    if (seen.owned()) unnote(seen.owner());
  }
}

}  // namespace mallbots::shm
