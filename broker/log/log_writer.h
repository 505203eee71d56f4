// LogWriter: the broker as a producer of one partition. It appends with the protocol that clients
// use, in a session that is its own (kBrokerSession), so that its words are fenced and freed like
// anybody's: an heir frees them at once.
//
// Control thread only, one per partition (Partition::writer()). Never blocks, never sleeps: a call
// that cannot append says why, and nothing of it is in the log.
//
//   kBusy      a client is between acquire and commit, or stopped there: try again in a
//   millisecond;
//              what lasts longer is the stall watch's to end (stall.limit). On topics with
//              producers=exclusive it may be so for ever.
//   kNoRoom    all slots wait for the disk: try again after the next durable_moved
//   kReadOnly  appends are refused; `reason` says why (disk full or failed, or set_readonly)
//   kClosed    the topic is gone, or the broker drains
//   kConflict  the next offset is not the expected one; `offset` has it
//
// A completed append (kAppended) is committed: every reader sees it, it survives this broker. It
// survives a power cut once Partition::durable_offset() has passed its last record; `flush` starts
// that with the next duty() instead of after flush.interval.
//
// Records carry the producer id broker_producer_id(partition) and sequences that only rise, over
// restarts, too, but with gaps: a run begins above every offset, hence above every sequence before.
#pragma once

#include <cstdint>
#include <span>

#include "broker/log/slot_ring.h"
#include "shm/base/error.h"
#include "shm/concurrent/append.h"
#include "shm/layout/knock.h"

namespace mallbots::broker {

enum class WriteStatus : std::uint8_t {
  kAppended,
  kBusy,
  kNoRoom,
  kReadOnly,
  kClosed,
  kConflict,
  kTooLarge,  ///< more than record.max, or 65,536 records
};

struct WriteOutcome {
  WriteStatus status = WriteStatus::kBusy;
  Offset offset = kNoOffset;  ///< of the first record
  UnixMillis timestamp_ms = 0;
  ErrorCode reason = ErrorCode::kNone;  ///< with kReadOnly
};

struct WriteOptions {
  Offset expected_offset = kNoOffset;  ///< kNoOffset: any
  bool flush = false;
};

/// The identity under which every broker of the instance appends to that partition.
[[nodiscard]] std::uint64_t broker_producer_id(PartitionId partition) noexcept;

class LogWriter final : private shm::SlotSource {
 public:
  struct Parts {
    const shm::BoardHeader& topic;
    const shm::PartitionBoard& board;
    shm::KnockLine& knock;
    SlotRing& ring;
    shm::SessionPage& session;
    bool& flush_now;  ///< the partition's
  };
  explicit LogWriter(const Parts& parts);
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;
  ~LogWriter() override = default;

  /// All records or none, with one commit: data, control or tombstone records.
  [[nodiscard]] WriteOutcome append(std::span<const shm::RecordInput> records,
                                    const WriteOptions& options = {});
  [[nodiscard]] WriteOutcome append(const shm::RecordInput& record,
                                    const WriteOptions& options = {}) {
    return append({&record, 1}, options);
  }

 private:
  [[nodiscard]] shm::SlotMemory map_slot(std::uint64_t slot_id) override;
  void drop_slot(shm::SlotMemory memory) override;
  [[nodiscard]] WriteStatus why_not() const noexcept;

  Parts parts_;
  shm::ProducerCell cell_{};
  shm::ProducerSeat seat_;
  bool seated_ = false;
};

}  // namespace mallbots::broker
