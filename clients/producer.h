// Producer: appends records to the partitions of one topic. ExclusiveProducer: the only producer of
// one partition (topics with producers=exclusive), writes in place.
//
// Who calls: one thread at a time per object; several producers of one or many processes append to
// the same partition side by side. From a signal handler inside another call: Busy.
//
// What a completed append promises, by `acks`:
//   none       the record is in shared memory; the call returned without looking further (topics
//              with ingest=sequenced: it was handed in; the receipt has no offset)
//   committed  (default) every reader sees it; it survives the death of any one process, the broker
//              included. A power cut may take it back until the partition's durable offset passed.
//   durable    it survives a power cut
// Any error but NotDurable and InDoubt: the record is not in the log and never will be. NotDurable:
// it is in the log, but was not seen flushed by the deadline; ask again with wait_durable().
//
// Offsets of a partition are dense. A batch is atomic: all of its records are seen, or none. Time
// stamps are the log's own (wall time, 1 to 4 ms coarse) and never step back within a partition.
//
// Backpressure is the deadline: with no room in memory (the disk is behind), append() waits until
// then and gives Timeout; nothing is ever dropped or queued behind the caller's back. A broker
// restart is ridden out within the deadline.
//
// Errors: Timeout, NotDurable, Conflict (expected offset), OutOfSequence, TooLarge, BadPartition,
// BadArgument, TopicGone, Revoked, ConnectionLost, DiskFull, Io (the partition refuses appends),
// Corrupt, Busy, NameTaken, InDoubt (clients/README.md: the record may be in the log), Truncated
// (acks=durable found at the deadline that it went with the memory), LeaseLost and LeaseHeld
// (exclusive). Detail texts name topic and partition.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "clients/connection.h"
#include "clients/message.h"

namespace mallbots::client {

enum class Acks : std::uint8_t { kNone, kCommitted, kDurable };

inline constexpr PartitionIndex kAnyPartition = ~PartitionIndex{0};
/// Most records in one batch; its bytes, headers included, are bounded by the topic's record.max.
inline constexpr std::size_t kMaxBatch = 65'536;

/// What is to be appended. Spans are read during the call only.
struct Record {
  std::span<const std::byte> payload{};
  std::span<const std::byte> key{};  ///< empty: no key
  std::span<const Header> headers{};
  std::string_view trace_context{};  ///< W3C traceparent, 55 characters, or empty
  bool is_tombstone = false;
};

/// The record as a consumer would see it: for buses and tests without a broker. `where` gives
/// topic, partition, offset and time stamp. TooLarge: headers of more than 65,535 bytes or a name
/// of more than 255.
[[nodiscard]] Result<OwnedMessage> as_message(const Record& record, const Message& where);

struct SendOptions {
  /// Until when to wait; nothing: 30 s from the call on (without a clock read while all goes well).
  std::optional<Deadline> deadline{};
  /// kAnyPartition: XXH3-64 of the key modulo partitions; without key the next one in turn.
  PartitionIndex partition = kAnyPartition;
  Acks acks = Acks::kCommitted;
  /// The first record must get this offset, else Conflict; needs a partition (or a topic of one).
  Offset expected_offset = kNoOffset;
  /// Of the first record, for idempotence of the caller's own: what was accepted before is answered
  /// with `duplicate`. 0: the next one.
  std::uint64_t sequence = 0;
  /// Not before: the broker keeps the records in its delay log and appends them to the topic when
  /// they are due, one by one (a batch is handed in whole, but not delivered as one), in the order
  /// of their times. Acks speak of the delay log. At most one of the two; not with an expected
  /// offset or a sequence. Errors beside the usual ones: DelayTooLong, LimitReached (too many are
  /// pending), NotPermitted (users other than the broker's).
  std::optional<UnixMillis> deliver_at{};
  std::optional<std::int64_t> delay_ms{};

  [[nodiscard]] bool is_delayed() const noexcept { return deliver_at || delay_ms; }
};

struct Receipt {
  PartitionIndex partition = 0;
  Offset offset = kNoOffset;  ///< of the first record; with `duplicate`, not known
  std::uint32_t records = 0;
  UnixMillis timestamp_ms = 0;
  LogEpoch log_epoch = 0;
  bool duplicate = false;
  /// Kept for later: `partition` is where it will go, `offset` the id of the first record in the
  /// schedule, what `mallbots schedule cancel` and Admin::cancel_delayed take; the others follow
  /// it.
  bool delayed = false;

  [[nodiscard]] Offset last_offset() const noexcept { return offset + records - 1; }
};

/// Outcome of a call that must not allocate: `code` is kNone on success.
struct TryReceipt {
  ErrorCode code = ErrorCode::kTimeout;
  Receipt receipt{};
  [[nodiscard]] explicit operator bool() const noexcept { return code == ErrorCode::kNone; }
};

struct ProducerOptions {
  /// Identity to go on with (`producer_id()` of an earlier one), so that its sequences go on; 0: a
  /// new one.
  std::uint64_t producer_id = 0;
  /// Not empty: who appends, also across restarts of this process and of the broker, 1 to 200 bytes
  /// without control characters. The topic remembers under it the last sequence of each partition;
  /// prepare(), then last_sequence() says where to go on. Who opens a name takes it from whoever
  /// has it: that one's appends end with NameTaken, and it never comes back by itself. Unsupported:
  /// storage=memory, ingest=sequenced.
  std::string name{};
};

class Producer {
 public:
  /// Errors: UnknownTopic, NotPermitted, BadTopicName, ConnectionLost; BadArgument if the topic is
  /// for exclusive producers, or one of events.
  [[nodiscard]] static Result<std::unique_ptr<Producer>> open(Connection& connection,
                                                              const std::string& topic,
                                                              const ProducerOptions& options = {});
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;
  ~Producer();

  /// Appends one record; waits (see above) until `deadline`.
  [[nodiscard]] Result<Receipt> append(const Record& record, const SendOptions& options = {});
  /// Appends 1 to kMaxBatch records to one partition with one commit: all or none. Without a
  /// partition the first record's key decides.
  [[nodiscard]] Result<Receipt> append_batch(std::span<const Record> records,
                                             const SendOptions& options = {});

  /// One attempt: no waiting, no allocation, no system call but the wake of a sleeping reader or
  /// broker. Timeout: somebody else is inside, there is no room, the partition is not prepared, or
  /// its next slot is not mapped yet: call tend() at a calm moment, then try again. Headers up to
  /// 1 KiB in sum; more is TooLarge. Options other than partition, expected offset and sequence are
  /// not looked at; a delay is BadArgument.
  [[nodiscard]] TryReceipt try_append(const Record& record,
                                      const SendOptions& options = {}) noexcept;
  /// Makes partitions ready for try_append: asks the broker for a seat and maps memory. append()
  /// does it by itself at the first use of a partition. Empty: all partitions.
  [[nodiscard]] Result<void> prepare(std::span<const PartitionIndex> partitions = {});
  /// What try_append leaves undone: prepares what it missed, maps the slots to come, notices a
  /// broker restart and attaches again. Some loads if there is nothing to do, a few microseconds
  /// every 50 ms, about a millisecond when a slot is to be mapped. append() includes it.
  [[nodiscard]] Result<void> tend();

  /// First offset of the partition that a power cut could still take back. No call to anybody: one
  /// load. The end of the log for memory topics.
  [[nodiscard]] Offset durable_offset(PartitionIndex partition) const noexcept;
  /// Waits until all records of the receipt survive a power cut. Errors: NotDurable (deadline),
  /// Truncated (a power cut or the loss of the memory took the record back: it is not in the log),
  /// Unsupported (memory topic).
  [[nodiscard]] Result<void> wait_durable(const Receipt& receipt, Deadline deadline);
  /// wait_durable for everything this producer has appended so far, with a name also for what its
  /// older holders have, in prepared partitions. Truncated, told once for each partition and lost
  /// memory: of what was appended there, some is not in the log; the receipts say which. It says
  /// nothing of the rest: flush again. With a name it may be records of others that are not.
  [[nodiscard]] Result<void> flush(Deadline deadline);
  /// Wakes the broker now, for somebody who will wait later: receipts are then durable within about
  /// one device flush instead of flush.interval.
  void ask_for_flush(PartitionIndex partition) noexcept;

  [[nodiscard]] const std::string& topic() const noexcept;
  [[nodiscard]] PartitionIndex partitions() const noexcept;
  /// XXH3-64 of the key (seed 0) modulo partitions.
  [[nodiscard]] PartitionIndex partition_of(std::span<const std::byte> key) const noexcept;
  [[nodiscard]] std::size_t record_max_bytes() const noexcept;
  [[nodiscard]] bool is_memory_only() const noexcept;
  /// Names this producer in the records of a prepared partition; 0: not prepared.
  [[nodiscard]] std::uint64_t producer_id(PartitionIndex partition) const noexcept;
  /// The last sequence accepted there.
  [[nodiscard]] std::uint64_t last_sequence(PartitionIndex partition) const noexcept;
  /// Rises when the log's memory was lost and the producer had to start afresh on it; receipts from
  /// before are settled by wait_durable.
  [[nodiscard]] LogEpoch log_epoch(PartitionIndex partition) const noexcept;

 private:
  class Impl;
  explicit Producer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct ExclusiveOptions {
  PartitionIndex partition = 0;
  bool take_over = false;  ///< also from a living producer, which then gets LeaseLost
};

/// Holds the lease of one partition. LeaseLost is final: another took over, what was not committed
/// is not in the log, and it must not be sent again (it would come after the other's records).
class ExclusiveProducer {
 public:
  /// Errors: as Producer::open; LeaseHeld; BadArgument if the topic is for shared producers.
  [[nodiscard]] static Result<std::unique_ptr<ExclusiveProducer>> open(
      Connection& connection, const std::string& topic, const ExclusiveOptions& options = {});
  ExclusiveProducer(const ExclusiveProducer&) = delete;
  ExclusiveProducer& operator=(const ExclusiveProducer&) = delete;
  /// What was reserved and not committed is not in the log.
  ~ExclusiveProducer();

  /// Memory for one payload, in place, to be written until commit(). Several reserves make a batch
  /// that one commit makes visible; the next reserve ends the span of the one before.
  [[nodiscard]] Result<std::span<std::byte>> reserve(std::size_t payload_bytes,
                                                     Deadline deadline = Deadline::after_ms(30'000),
                                                     std::span<const std::byte> key = {});
  /// Hashes, stamps and commits all that is reserved. Only deadline and acks of the options count.
  /// Draining or ConnectionLost: the broker is being replaced, the reservation is void; reserve
  /// again.
  [[nodiscard]] Result<Receipt> commit(const SendOptions& options = {});
  /// Copies and commits: all or none. Only deadline and acks of the options count.
  [[nodiscard]] Result<Receipt> append_batch(std::span<const Record> records,
                                             const SendOptions& options = {});
  [[nodiscard]] Result<Receipt> append(const Record& record, const SendOptions& options = {});

  [[nodiscard]] Offset durable_offset() const noexcept;
  [[nodiscard]] Result<void> wait_durable(const Receipt& receipt, Deadline deadline);
  [[nodiscard]] std::size_t record_max_bytes() const noexcept;
  [[nodiscard]] PartitionIndex partition() const noexcept;

 private:
  class Impl;
  explicit ExclusiveProducer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mallbots::client
