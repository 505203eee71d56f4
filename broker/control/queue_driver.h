// QueueDriver: shows the queues (broker/queues) logs, journal and clients, and does for them what
// touches any of these. The queues think, this one acts. Control thread.
//
// The journal is the internal topic `_queues`, made with the first queue. Dead letters are written
// here, and nowhere else: a message whose consumers all died gets there, too. Their topic is made
// with the first letter, as large as the source's slots twice.
//
// A completed start() promises: everything journalled is known again; members whose sessions
// outlived a broker hold what they held.
// Errors: as of Queues, plus those of Topics::internal and of reading the journal.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/control/sessions.h"
#include "broker/event_log.h"
#include "broker/log/log_reader.h"
#include "broker/log/topics.h"
#include "broker/queues/queues.h"

namespace mallbots::broker {

class QueueDriver final : private QueueHost {
 public:
  struct Parts {
    Disk& disk;
    Sessions& sessions;
    Topics& topics;
    /// A topic of dead letters was made.
    std::function<void(const Topic&)> topic_made;
  };
  QueueDriver(const Parts& parts, QueuesOptions options);

  /// After the topics have started.
  [[nodiscard]] Result<void> start(bool memory_kept, BootNanos now);

  void topic_known(const Topic& topic);
  void topic_deleted(TopicId topic);
  [[nodiscard]] Result<shm::JoinQueueReply> join(Session& who, const shm::JoinQueue& message);
  [[nodiscard]] Result<void> leave(SessionIndex session, std::uint64_t group_id) {
    return queues_.leave(session, group_id, boot_now_ns());
  }
  void settle(SessionIndex session, const shm::Settle& message) {
    queues_.settle(session, message, boot_now_ns());
  }
  void session_ended(SessionIndex session) { queues_.session_ended(session, boot_now_ns()); }
  [[nodiscard]] BootNanos duty();
  /// Before the logs are sealed: what was done since the last duty is journalled.
  void drain() { static_cast<void>(queues_.duty(boot_now_ns())); }

  [[nodiscard]] bool has(const std::string& group) const { return queues_.has(group); }
  [[nodiscard]] std::vector<std::string> names() const { return queues_.names(); }
  [[nodiscard]] Result<QueueGroupView> describe(const std::string& group) const {
    return queues_.describe(group);
  }
  [[nodiscard]] Result<std::vector<shm::SeekRow>> seek(const shm::SeekGroup& request) {
    return queues_.seek(request);
  }
  [[nodiscard]] Result<void> remove(const std::string& group) { return queues_.remove(group); }
  [[nodiscard]] std::optional<Offset> consumed(TopicId topic, PartitionIndex partition) const {
    return queues_.consumed(topic, partition);
  }
  /// What was done so far is durable once is_durable() of this is true.
  [[nodiscard]] Offset changes() { return queues_.journal_now(); }
  [[nodiscard]] bool is_durable(Offset changes);
  /// Age of the oldest record that is not done; 0 if there is none.
  [[nodiscard]] std::int64_t age_ms(const QueueView& row);

 private:
  // QueueHost
  LogState log(TopicId topic, PartitionIndex partition) override;
  Keys read_keys(TopicId topic, PartitionIndex partition, Offset from) override;
  Offset settle(TopicId topic, PartitionIndex partition, Position low) override;
  Result<Offset> offset_at(TopicId topic, PartitionIndex partition, UnixMillis time_ms) override;
  std::size_t journal(std::span<const std::vector<std::byte>> payloads) override;
  Offset journal_end() override;
  void journal_covered(Offset floor, Offset end) override;
  void send(SessionIndex session, const shm::Grants& grants) override;
  void send(SessionIndex session, const shm::Settled& settled) override;
  std::optional<Offset> write_letter(const LetterOrder& order) override;
  bool is_letter_durable(const QueueIdentity& queue, Offset letter) override;
  bool has_letter(const QueueIdentity& queue, Offset letter) override;
  bool is_alive(const Holder& holder) override;
  UnixMillis wall_ms() override { return wall_now_ms(); }
  void report(const QueueIdentity& queue, const std::string& sentence) override;

  [[nodiscard]] Partition* find(TopicId topic, PartitionIndex partition);
  [[nodiscard]] LogReader& reader(TopicId topic, PartitionIndex partition);
  [[nodiscard]] Result<void> replay(bool memory_kept, BootNanos now);
  [[nodiscard]] Topic* letters_of(const QueueIdentity& queue, const Topic& source);
  [[nodiscard]] std::optional<Offset> append_letter(Topic& letters, const Topic& source,
                                                    const LetterOrder& order,
                                                    const shm::RecordView& record);
  [[nodiscard]] Topic* known_letters_of(const QueueIdentity& queue);
  void complain(const QueueIdentity& queue, const std::string& sentence);

  Parts parts_;
  Queues queues_;
  TopicId journal_{};  ///< 0: not made yet
  std::map<std::pair<TopicId, PartitionIndex>, std::unique_ptr<LogReader>> readers_;
  struct Covered {
    Offset floor = 0;
    Offset end = 0;
  };
  std::optional<Covered> covered_;
  LogBrake brake_{5};
};

}  // namespace mallbots::broker
