// RingSender: hands entries in to the partitions of one sequenced topic and finds out what became
// of each, whatever becomes of the broker meanwhile.
//
// Its owner's thread. An entry that the caller waits for has one outcome:
//   an answer          the broker's: done, or why not
//   Timeout            withdrawn at the deadline: not in the log, and never will be
//   InDoubt            keeper and broker were killed between taking it and answering, or nobody
//   came
//                      back to answer within 5 s after the deadline
//   any other error    not in the log, and never will be
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "clients/internal/ring_lane.h"

namespace mallbots::client {

/// What became of an entry, and in which log epoch: that of the memory that it went to, whatever
/// memory the topic has by the time of the answer.
struct RingAnswer : shm::IngestOutcome {
  LogEpoch log_epoch = 0;
  /// If records were appended: this producer's last one in that memory before them.
  RingLane::LastRecord previous{};
};

class RingSender {
 public:
  /// `wanted_id`: the identity to go on with, 0: a new one.
  RingSender(TopicMemory& topic, std::uint64_t wanted_id);
  RingSender(const RingSender&) = delete;
  RingSender& operator=(const RingSender&) = delete;
  /// What was handed in is still served by the broker.
  ~RingSender();

  /// Waits for the answer. A refusal is an answer (its code says so), not an error.
  [[nodiscard]] Result<RingAnswer> send(PartitionIndex partition, const RingRequest& request,
                                        Deadline deadline);
  /// Does not wait for the answer, only for room.
  [[nodiscard]] Result<void> post(PartitionIndex partition, const RingRequest& request,
                                  Deadline deadline);
  /// One attempt, some microseconds long; see Producer::try_append.
  struct Tried {
    ErrorCode code = ErrorCode::kTimeout;  ///< kNone: `outcome` holds
    RingAnswer outcome{};
  };
  [[nodiscard]] Tried try_send(PartitionIndex partition, const RingRequest& request) noexcept;
  /// Asks the broker to flush soon what is appended; false: the ring is full, or there is none.
  bool ask_for_flush(PartitionIndex partition) noexcept;
  /// Waits until everything posted to the partition has its answer; the last record known to be in
  /// the log. Truncated: the ring was closed, or its memory lost, before all was appended; told
  /// once.
  [[nodiscard]] Result<RingLane::LastRecord> settle(PartitionIndex partition, Deadline deadline);
  /// The last records of the partition's rings that are no more, since the last call and the last
  /// Truncated: at most one of a log epoch. Whether they survived is for the caller to find out.
  [[nodiscard]] std::vector<RingLane::LastRecord> take_ended(PartitionIndex partition) {
    return std::exchange(ended_[partition], {});
  }
  /// Not found out: take_ended() gives it again.
  void put_back(PartitionIndex partition, const RingLane::LastRecord& last);
  /// The records of the last entry went with their memory, and the caller knows it: take_ended()
  /// will give what was before them instead, if anything.
  void forget(PartitionIndex partition, const RingAnswer& last);

  /// A ring for that partition; nothing to do if there is one.
  [[nodiscard]] Result<void> prepare(PartitionIndex partition, Deadline deadline);
  /// Notices that the broker was replaced.
  [[nodiscard]] Result<void> refresh(Deadline deadline);
  /// What try_send left undone.
  [[nodiscard]] Result<void> tend();
  /// Null: not prepared.
  [[nodiscard]] const RingLane* lane(PartitionIndex partition) const noexcept {
    return lanes_[partition].get();
  }
  [[nodiscard]] std::uint64_t producer_id(PartitionIndex partition) const noexcept {
    return ids_[partition];
  }

 private:
  /// Nothing: not in the log, may be handed in again.
  using Outcome = std::optional<shm::IngestOutcome>;
  [[nodiscard]] Result<Outcome> await(PartitionIndex partition,
                                      const std::shared_ptr<RingLane>& lane, std::uint64_t number,
                                      Deadline deadline);
  [[nodiscard]] Result<std::shared_ptr<RingLane>> hand_in(PartitionIndex partition,
                                                          const RingRequest& request,
                                                          Deadline deadline, std::uint64_t& number);
  [[nodiscard]] RingAnswer answer_of(PartitionIndex partition, const RingLane& lane,
                                     const shm::IngestOutcome& outcome) const noexcept;
  void pause(Deadline deadline) const noexcept;
  void drop(PartitionIndex partition);

  TopicMemory* topic_;
  std::uint64_t wanted_id_;
  std::vector<std::shared_ptr<RingLane>> lanes_;
  std::vector<std::uint64_t> ids_;
  std::vector<std::uint64_t> posted_;  ///< behind the last entry that nobody waited for
  std::vector<char> lost_;             ///< something posted had no answer when its ring ended
  std::vector<std::vector<RingLane::LastRecord>> ended_;
  std::vector<char> missed_;  ///< partitions that try_send had no ring for
  bool any_missed_ = false;
};

}  // namespace mallbots::client
