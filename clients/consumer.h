// Consumer: reads partitions, alone (assign) or as a member of a group (subscribe). Records come in
// order within a partition; partitions take turns. Memory and files are one log: a reader that fell
// behind is fed from the segment files and comes back to memory without a gap.
//
// Who calls: one thread at a time per object. poll() is the heartbeat of a group member: whoever
// does not poll for max_poll_interval_ms loses its partitions to the others (and zero-copy views
// may be taken back: ViewExpired).
//
// What a completed call promises:
//   poll           views valid until the next poll. With read=committed each record survives the
//                  death of any one process, with read=durable also a power cut.
//   commit         the group's position is in shared memory: it survives the death of this process
//                  and of the broker, and reaches the disk with the broker's next flush
//   commit_durable the positions stored before it survive a power cut
// A group gives every record at least once: the heir of a partition starts at the position that was
// committed last. A position never moves back but by seek or by the loss of records (Truncated).
//
// Setbacks are told once, then reading goes on; poll() returns them as errors, and setback() has
// the range: Evicted (overwritten or deleted before they were read), Truncated (records that were
// read with read=committed went with the memory), Damaged (offsets that do not check out),
// ViewExpired (the last views may have been overwritten; nothing is skipped). BadPosition: the
// group has no position in a topic with reset=fail; its other partitions are read. is_setback()
// tells them from errors that end the reading: TopicGone, Revoked, ConnectionLost (the broker is
// away longer than reconnect_timeout and memory has nothing more), Fenced (the group expelled this
// member, or its session was ended while it stood still; subscribe again). Nobody rejoins silently:
// the session page says Fenced also when the broker that expelled was replaced, or none serves. A
// commit that does not count is refused with Fenced; one that returned without error counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "clients/connection.h"
#include "clients/message.h"

namespace mallbots::client {

enum class ReadLevel : std::uint8_t {
  kDefault,    ///< durable in a group, committed for a plain reader; committed on memory topics
  kCommitted,  ///< as soon as it is in shared memory
  kDurable,    ///< only what a power cut cannot take back
};

enum class AutoCommit : std::uint8_t {
  kNo,      ///< commit() says what is done
  kOnPoll,  ///< poll() commits what the poll before it gave
};

struct TopicPartition {
  std::string topic;
  PartitionIndex partition = 0;
  friend bool operator==(const TopicPartition&, const TopicPartition&) = default;
};

/// Where a plain reader starts.
struct Start {
  enum class At : std::uint8_t { kStart, kEnd, kOffset, kTime };
  At at = At::kEnd;
  std::int64_t value = 0;

  [[nodiscard]] static Start oldest() noexcept { return {At::kStart, 0}; }
  /// What is appended from now on.
  [[nodiscard]] static Start end() noexcept { return {At::kEnd, 0}; }
  /// BadPosition if it is not kept any more or behind the end.
  [[nodiscard]] static Start offset(Offset offset) noexcept {
    return {At::kOffset, static_cast<std::int64_t>(offset)};
  }
  /// The first record stamped at or after it, else the end.
  [[nodiscard]] static Start time(UnixMillis time_ms) noexcept { return {At::kTime, time_ms}; }
};

struct ConsumerOptions {
  ReadLevel read = ReadLevel::kDefault;
  /// Groups only. 0: the broker's default of 5 min.
  std::uint32_t max_poll_interval_ms = 0;
  AutoCommit auto_commit = AutoCommit::kNo;
  /// Also events that their context keeps to itself (Message::is_internal).
  bool internal_events = false;
  /// Also check payload hashes of records read from memory (those from disk always are).
  bool verify_memory = false;
  /// Bytes of the buffer per partition that is read from disk; grows if a record is larger.
  std::size_t disk_buffer_bytes = 256 * 1024;
  /// Groups only; called inside poll(): what came, what will go. It may commit() and call nothing
  /// else of the consumer; when it returns, what goes belongs to another member.
  std::function<void(std::span<const TopicPartition> gained, std::span<const TopicPartition> lost)>
      on_assignment{};
};

/// What happened, beside the error that poll() returned.
struct Setback {
  ErrorCode code = ErrorCode::kNone;
  TopicPartition partition;
  Offset first = 0;  ///< the offsets [first, end) were lost; ViewExpired: empty
  Offset end = 0;
};

/// Ends of one partition at the moment of the call.
struct LogRange {
  Offset start = 0;    ///< oldest record kept
  Offset end = 0;      ///< of the next record
  Offset durable = 0;  ///< first that a power cut could take back
};

/// True for errors of poll() after which reading goes on.
[[nodiscard]] bool is_setback(ErrorCode code) noexcept;

class Consumer {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Consumer>> open(Connection& connection,
                                                              const ConsumerOptions& options = {});
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;
  /// Leaves the group; uncommitted positions stay uncommitted.
  ~Consumer();

  /// Joins the group; partitions come with the polls that follow. `instance` names a static member,
  /// which gets its old partitions back if it returns within 10 s. Again with other topics: changes
  /// them. A new group begins where the topics' `reset` says; a power cut within some 20 ms lets it
  /// begin anew. Each member of a group needs a Connection of its own: the broker judges sessions,
  /// by their polls and their deaths. Errors: UnknownTopic, NotPermitted, BadGroupName, BadArgument
  /// (also: another consumer of the connection is in the group), ConnectionLost.
  [[nodiscard]] Result<void> subscribe(std::span<const std::string> topics,
                                       const std::string& group, const std::string& instance = {});
  /// Stores nothing; gives the partitions back at once.
  [[nodiscard]] Result<void> unsubscribe();

  /// Adds partitions of a topic to a plain reader; empty: all. Errors: UnknownTopic, BadPartition,
  /// NotPermitted, BadPosition, ConnectionLost; BadArgument in a group.
  [[nodiscard]] Result<void> assign(const std::string& topic,
                                    std::span<const PartitionIndex> partitions, const Start& start);

  /// Up to `max_records` records, at least one unless the deadline passes first (then empty, no
  /// error). Ends the views of the poll before. Never waits for more than one record. If the broker
  /// must be asked (a position on disk, a new assignment), up to 100 ms longer than the deadline.
  [[nodiscard]] Result<std::span<const Message>> poll(Deadline deadline,
                                                      std::size_t max_records = 1024);
  /// After poll() gave an error with is_setback(): what was lost.
  [[nodiscard]] const Setback& setback() const noexcept;

  /// Groups: everything that poll has given so far is done. No system call, no allocation. Fenced:
  /// this member was expelled, and what it wanted to commit may come again, to others too.
  [[nodiscard]] Result<void> commit();
  /// Groups: everything up to and with `message` of its partition is done. Fenced: as above, or the
  /// partition is no longer this member's, or is another topic's that was made under the name.
  [[nodiscard]] Result<void> commit(const Message& message);
  /// Groups: waits until the committed positions survive a power cut. Unsupported on memory topics.
  [[nodiscard]] Result<void> commit_durable(Deadline deadline);

  /// What poll reads next in that partition; nothing if it is not this consumer's.
  [[nodiscard]] std::optional<Position> position(const TopicPartition& partition) const;
  [[nodiscard]] std::vector<TopicPartition> assignment() const;
  /// Goes on there with the next poll. In a group, the committed position stays until the next
  /// commit. Errors: BadPosition, BadPartition (not this consumer's).
  [[nodiscard]] Result<void> seek(const TopicPartition& partition, const Start& start);
  /// Paused partitions give no records and hold no memory.
  [[nodiscard]] Result<void> pause(const TopicPartition& partition);
  [[nodiscard]] Result<void> resume(const TopicPartition& partition);

  /// Ends of any partition that this user may consume, assigned or not.
  [[nodiscard]] Result<LogRange> range(const TopicPartition& partition);
  /// The last record of the partition, assigned or not; with `key`, the last one with that key.
  /// Nothing if there is none, or if the key's last record is a tombstone. The first call with a
  /// key reads the whole partition once and keeps the last record of every key from then on; other
  /// calls look at new records only. Valid until the next call of latest() for that partition.
  [[nodiscard]] Result<std::optional<Message>> latest(const TopicPartition& partition,
                                                      std::span<const std::byte> key = {});

 private:
  class Impl;
  explicit Consumer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mallbots::client
