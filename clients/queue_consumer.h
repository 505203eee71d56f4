// QueueConsumer: a member of a consumer group in queue mode. The broker hands records to it one by
// one, each under a lock; it settles each: ack, nack with a delay, reject, extend. As many members
// as wanted, whatever the number of partitions; of records with one key one at a time.
//
// Who calls: one thread at a time per object, except wait(), which any thread may be in beside it.
// Each member needs a Connection of its own: locks belong to sessions and end with them.
//
// What a completed call promises:
//   poll    the messages are this member's until their lock ends (lock_ms from the grant on), and
//           their attempts are counted: they survive the death of the broker
//   ack, nack, reject, extend, release
//           noted; sent with the next poll() or flush(), or when 64 have come together
//   flush   what was settled before is confirmed: it survives the death of any one process, and a
//           power cut after the broker's next flush (a few ms); before that an acknowledged message
//           may come again. What failed is in the error, the rest in take_failures().
// After a restart of the broker the member goes on: what it held it holds, what was not confirmed
// is asked again. What the new broker does not confirm is told by take_failures() as Fenced.
//
// Errors: BadArgument, BadGroupName, UnknownTopic, NotPermitted, WrongMode, BadPosition
// (reset=fail), ConnectionLost, TopicGone, Revoked; of settlements NotHeld (its lock ended, or it
// never was this member's), AlreadySettled, Fenced.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "clients/connection.h"
#include "clients/message.h"

namespace mallbots::client {

struct QueueConsumerOptions {
  /// Handed to this member and not settled: 1 to 4096.
  std::uint32_t max_in_flight = 64;
  /// 10 ms to 24 h. A message waits in this member's buffer under its lock, too: take fewer at once
  /// where one takes long.
  std::uint32_t lock_ms = 30'000;
  /// Of the group (what the member that joined last says): after so many failed deliveries a
  /// message goes to the dead letters, TOPIC.GROUP.dlq. 0: never.
  std::uint32_t max_deliveries = 10;
};

/// Names one delivery of one record. Kept over the deletion of its topic it is NotHeld, also if the
/// name is another topic's by then; with topic_id 0 (a token from a text) nobody can tell.
struct QueueToken {
  std::string topic;
  PartitionIndex partition = 0;
  Offset offset = 0;
  std::uint32_t attempt = 0;
  std::uint64_t topic_id = 0;
  friend auto operator<=>(const QueueToken&, const QueueToken&) = default;
};

struct QueueMessage {
  OwnedMessage message;
  std::uint32_t attempt = 1;
  BootNanos lock_until_ns = 0;

  [[nodiscard]] const Message& operator*() const noexcept { return message.view(); }
  [[nodiscard]] const Message* operator->() const noexcept { return &message.view(); }
  [[nodiscard]] QueueToken token() const;
};

/// Why a message was not acknowledged; goes into its dead letter. Cut at 1 KiB each.
struct QueueFailure {
  std::string type;
  std::string text;
  std::string handler;
};

/// A settlement that did not come about.
struct FailedSettlement {
  QueueToken token;
  ErrorCode code = ErrorCode::kNone;
};

class QueueConsumer {
 public:
  [[nodiscard]] static Result<std::unique_ptr<QueueConsumer>> open(
      Connection& connection, const QueueConsumerOptions& options = {});
  QueueConsumer(const QueueConsumer&) = delete;
  QueueConsumer& operator=(const QueueConsumer&) = delete;
  /// Sends what is noted, then leaves: what is not settled is free at once.
  ~QueueConsumer();

  /// Joins; again: with other topics.
  [[nodiscard]] Result<void> subscribe(std::span<const std::string> topics,
                                       const std::string& group);
  /// Sends what is noted, gives back what is held.
  [[nodiscard]] Result<void> unsubscribe();

  /// Up to `max_messages`; none if the deadline passes first. Sends what is noted.
  [[nodiscard]] Result<std::vector<QueueMessage>> poll(Deadline deadline,
                                                       std::size_t max_messages = 64);
  /// Until poll() or flush() may have something to do, or the deadline passes; any thread.
  void wait(Deadline deadline) const;

  [[nodiscard]] Result<void> ack(const QueueToken& token);
  /// Again after `delay_ms` (0: at once; at most 24 h), to anybody.
  [[nodiscard]] Result<void> nack(const QueueToken& token, std::uint32_t delay_ms = 0,
                                  const QueueFailure& failure = {});
  /// A dead letter now.
  [[nodiscard]] Result<void> reject(const QueueToken& token, const QueueFailure& failure = {});
  /// Its lock begins anew.
  [[nodiscard]] Result<void> extend(const QueueToken& token);
  /// Nobody looked at it: again at once, and the attempt does not count.
  [[nodiscard]] Result<void> release(const QueueToken& token);

  /// Waits until everything settled so far is confirmed. An error names the first that failed.
  [[nodiscard]] Result<void> flush(Deadline deadline);
  /// Sends what is noted, takes what has been answered, waits for nothing.
  [[nodiscard]] Result<void> pump();
  /// Settled and not confirmed yet.
  [[nodiscard]] bool is_unconfirmed(const QueueToken& token) const;
  /// What failed since the last call.
  [[nodiscard]] std::vector<FailedSettlement> take_failures();
  /// Given by poll() and not settled.
  [[nodiscard]] std::size_t in_flight() const noexcept;

 private:
  class Impl;
  explicit QueueConsumer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mallbots::client
