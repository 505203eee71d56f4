// Lane: one partition as the sequencer appends to it, for whoever handed in. Sequencer thread.
//
// An append never waits: kTimeout and its like mean that the entry stays and is tried again. Maps
// the slots by itself, from what the partition shares; a slot is unmapped when neither this lane
// nor the partition has it any more.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "broker/log/slot_share.h"
#include "broker/sequencer/admission.h"
#include "shm/concurrent/append.h"

namespace mallbots::broker {

struct LaneParts {
  SharedPartition partition;
  std::shared_ptr<Admission> admission;  ///< null: records are appended as they come
};

class Lane final : private shm::SlotSource {
 public:
  /// `own`: the broker's session page on this thread. `broker_eventfd` wakes the control thread.
  Lane(const LaneParts& parts, shm::SessionPage& own, int broker_eventfd);
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane() override = default;

  struct Order {
    shm::Author author;
    std::uint64_t last_sequence = 0;  ///< of that producer
    std::uint64_t sequence = 0;
    Offset expected_offset = kNoOffset;
    bool await_durable = false;
  };
  [[nodiscard]] shm::AppendOutcome append(std::span<const shm::RecordInput> records,
                                          const Order& order);
  /// Somebody will wait for the durable position: the control thread flushes soon.
  void ask_for_flush() noexcept;

  [[nodiscard]] Admission* admission() const noexcept { return parts_.admission.get(); }
  [[nodiscard]] shm::BoardHeader& topic() const noexcept { return parts_.partition.topic; }
  [[nodiscard]] bool hashes_bodies() const noexcept;
  /// ErrorCode of the board's `readonly`.
  [[nodiscard]] ErrorCode readonly() const noexcept;

 private:
  struct Slot {
    std::uint64_t slot_id = 0;
    shm::Mapping memory;
    std::uint32_t users = 0;
  };
  [[nodiscard]] shm::SlotMemory map_slot(std::uint64_t slot_id) override;
  void drop_slot(shm::SlotMemory memory) override;

  LaneParts parts_;
  shm::PartitionParts shared_;
  std::vector<Slot> slots_;
  shm::ProducerCell cell_{};  ///< of the appender; what it says is in the records, too
  std::optional<shm::Appender> appender_;
};

}  // namespace mallbots::broker
