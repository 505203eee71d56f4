// SlotCache: the slots of one partition as one Producer or Consumer has them mapped. Asks the
// broker for a slot's descriptor when the board names one that is not mapped yet, faults its pages
// in, keeps it mapped while the board has it (slots are re-used in place), unmaps it afterwards.
//
// From its owner's thread. map_slot() is called by Appender and PartitionReader at roll time; it
// asks the broker only while the deadline given with may_ask() has not passed, so a call that must
// not block never does.
#pragma once

#include <vector>

#include "clients/internal/topic_memory.h"
#include "shm/concurrent/partition.h"

namespace mallbots::client {

class SlotCache final : public shm::SlotSource {
 public:
  SlotCache(const TopicMemory& topic, PartitionIndex partition, shm::Access access);
  SlotCache(const SlotCache&) = delete;
  SlotCache& operator=(const SlotCache&) = delete;
  ~SlotCache() override = default;

  /// How long map_slot() may take from now on; passed: only what is mapped already.
  void may_ask(Deadline deadline) noexcept { deadline_ = deadline; }
  [[nodiscard]] shm::SlotMemory map_slot(std::uint64_t slot_id) override;
  void drop_slot(shm::SlotMemory memory) override;

  /// True since a slot was taken that prefetch() has not looked behind yet. No call.
  [[nodiscard]] bool wants_prefetch() const noexcept { return wants_prefetch_; }
  /// Maps what the board has behind the open slot (two slots), unmaps what it no longer has.
  void prefetch(Deadline deadline);
  /// True if prefetch() would find something to do. Some loads.
  [[nodiscard]] bool is_behind() const noexcept;
  [[nodiscard]] std::size_t mapped() const noexcept { return slots_.size(); }

 private:
  struct Slot {
    std::uint64_t slot_id;
    shm::Mapping memory;
    std::uint32_t users;
  };
  static constexpr SlotGen kAhead = 2;
  [[nodiscard]] Slot* find(std::uint64_t slot_id) noexcept;
  [[nodiscard]] bool has(std::uint64_t slot_id) const noexcept;
  [[nodiscard]] Result<void> fetch(std::uint64_t slot_id, Deadline deadline);
  [[nodiscard]] shm::PartitionParts board_parts() const noexcept;
  void trim();

  const TopicMemory* topic_;
  PartitionIndex partition_;
  shm::Access access_;
  std::size_t slot_bytes_;
  Deadline deadline_ = Deadline::passed();
  bool wants_prefetch_ = true;
  std::vector<Slot> slots_;
};

}  // namespace mallbots::client
