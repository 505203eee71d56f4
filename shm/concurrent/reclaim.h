// What only the broker does to a slot: initialise, retire, give back a dead holder's word, fence a
// stalled one. From the broker's control thread. The order of stores is the protocol; each call
// says which rule of protocol section 5 it carries out. After a crash of the broker between any two
// stores the next broker may call again.
#pragma once

#include <functional>

#include "shm/concurrent/slot_word.h"

namespace mallbots::shm {

struct SlotInit {
  SlotGen slot_gen = 0;
  PartitionId partition_id{};
  LogEpoch log_epoch = 0;
  std::uint32_t data_units = 0;
  /// Where the slot begins, if it is known; else the slot before it is sealed later and says so.
  std::optional<LogEnd> base;
};

/// Makes memory slot `init.slot_gen`: fresh memory, or in place what was retired (sealed, durable,
/// unpinned, without a zombie). Line 4 first, then pairs, then P, and the word last with the next
/// epoch: nobody can acquire before all of it is new.
void init_slot(SlotHeader& slot, const SlotInit& init) noexcept;

/// True if the header says that it is a slot of that partition and size. For memory that a keeper
/// or a client had in between.
[[nodiscard]] bool is_slot_of(const SlotHeader& slot, PartitionId partition_id,
                              std::uint32_t data_units) noexcept;

/// Before the pins are scanned; a reader that comes later sees the mark and goes cold.
void mark_retiring(SlotHeader& slot, SlotGen slot_gen) noexcept;
/// A pin was found: readers may come again.
void unmark_retiring(SlotHeader& slot) noexcept;

/// The word of a session that is proven dead is free again; the bytes behind the tail are re-used.
/// `void_halves` is called before the word is freed and judges the session's producer cells against
/// (slot_gen, tail). False: that session does not hold the word.
bool free_word_of_dead(SlotHeader& slot, SlotGen slot_gen, SessionIndex dead,
                       const std::function<void(std::uint32_t tail_units)>& void_halves);

/// Seals the slot whoever holds it. If somebody does, `note` is called with the holder and tail
/// before the CAS and `unnote` if the CAS failed. False: sealed already, or at tail 0 without a
/// base: store_base first, once the slot before is sealed.
bool fence(SlotHeader& slot, SlotGen slot_gen,
           const std::function<void(SessionIndex holder, std::uint32_t tail_units)>& note,
           const std::function<void(SessionIndex holder)>& unnote);

}  // namespace mallbots::shm
