// HandInProducer: what a Producer does on a topic with ingest=sequenced. Producer delegates to it;
// calls, promises and errors are those of clients/producer.h.
//
// Its owner's thread. `acks=none` does not wait for answers: the receipt has no offset, and what
// was refused is not told; wait_durable() and flush() wait for the answers first. Truncated from
// them: some of it was lost with the memory or its ring; told once, however often it happened.
#pragma once

#include <vector>

#include "clients/internal/ring_sender.h"
#include "clients/producer.h"
#include "shm/concurrent/append.h"

namespace mallbots::client {

class HandInProducer {
 public:
  HandInProducer(TopicMemory& topic, std::uint64_t wanted_id)
      : topic_(&topic), sender_(topic, wanted_id), last_(topic.partitions()) {}

  [[nodiscard]] Result<Receipt> append(PartitionIndex partition,
                                       std::span<const shm::RecordInput> records,
                                       const SendOptions& options);
  [[nodiscard]] TryReceipt try_append(PartitionIndex partition, const shm::RecordInput& record,
                                      const SendOptions& options) noexcept;
  [[nodiscard]] Result<void> wait_durable(const Receipt& receipt, Deadline deadline);
  [[nodiscard]] Result<void> flush(Deadline deadline);
  void ask_for_flush(PartitionIndex partition) noexcept;
  [[nodiscard]] std::uint64_t last_sequence(PartitionIndex partition) const noexcept;
  /// Rings, their preparing and tending.
  [[nodiscard]] RingSender& sender() noexcept { return sender_; }

 private:
  [[nodiscard]] Receipt accept(PartitionIndex partition, std::uint32_t count,
                               const shm::AppendOutcome& outcome, LogEpoch log_epoch);
  [[nodiscard]] Receipt receipt_of(PartitionIndex partition,
                                   const RingLane::LastRecord& last) const noexcept;
  void look_now_and_then();
  [[nodiscard]] Result<void> settle(PartitionIndex partition, Deadline deadline);

  TopicMemory* topic_;
  RingSender sender_;
  std::vector<Receipt> last_;
  UnixMillis looked_ms_ = 0;
};

}  // namespace mallbots::client
