// Queues: all consumer groups in queue mode: their members, what each holds, what it gets next.
//
// A state machine like the group coordinator: no I/O, no clock, no thread. The broker's one control
// thread feeds it messages and calls duty() on every turn; logs, journal and clients are seen only
// through QueueHost. `now` is boot time.
//
// Order of things, which every promise hangs on: a change is made in memory, then journalled, and
// only when the journal has it is anybody told (a grant pushed, a settlement confirmed). While the
// journal cannot be written nothing is told and nothing new is granted.
//
//   a member that ends      what it holds is free at once: its session's process is dead (kernel's
//                           word), the session was revoked, or it left
//   a member that hangs     each lock ends with its time; it is stuck then and gets nothing more
//                           until it is heard of again
//   a message that fails    waits for its delay, then goes to anybody; with its last attempt before
//                           it, it is handed out alone, so that a message that kills its consumer
//                           does not take its neighbours to the dead letters
//   a broker that dies      its heir replays the journal: living sessions keep what they hold, with
//                           their lock time begun anew; counts go on
//
// Errors: BadGroupName, BadArgument, UnknownTopic, UnknownGroup, GroupBusy, BadPosition
// (reset=fail), Fenced, LimitReached.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "broker/groups/positions.h"
#include "broker/queues/queue_journal.h"
#include "shm/base/result.h"
#include "shm/layout/control.h"

namespace mallbots::broker {

/// A record that a group gave up on, to be written to the group's dead letters.
struct LetterOrder {
  QueueIdentity queue;
  Offset offset = 0;
  DeathReason reason = DeathReason::kRejected;
  std::uint32_t attempts = 0;
  FailureNote note;
};

/// What the queues see of logs, journal and clients; the driver implements it.
class QueueHost {
 public:
  virtual ~QueueHost() = default;

  /// `durable`: what may be granted; on memory topics the end.
  [[nodiscard]] virtual LogState log(TopicId topic, PartitionIndex partition) = 0;
  /// Records from `from` on that may be granted, and their hashed keys (0: none). What is left out
  /// up to `next` is nothing to be granted. next == from: nothing for now.
  struct Keys {
    std::vector<std::pair<Offset, std::uint64_t>> records;
    Offset next = 0;
  };
  [[nodiscard]] virtual Keys read_keys(TopicId topic, PartitionIndex partition, Offset from) = 0;
  /// A low mark as it holds in today's log.
  [[nodiscard]] virtual Offset settle(TopicId topic, PartitionIndex partition, Position low) = 0;
  /// First offset at or after the time, end of the log if there is none. Errors: as reading files.
  [[nodiscard]] virtual Result<Offset> offset_at(TopicId topic, PartitionIndex partition,
                                                 UnixMillis time_ms) = 0;

  /// Appends; how many of the payloads are committed, oldest first.
  [[nodiscard]] virtual std::size_t journal(std::span<const std::vector<std::byte>> payloads) = 0;
  /// Where the next payload will stand.
  [[nodiscard]] virtual Offset journal_end() = 0;
  /// Everything below `floor` is said again below `end`: not needed once that is durable.
  virtual void journal_covered(Offset floor, Offset end) = 0;

  virtual void send(SessionIndex session, const shm::Grants& grants) = 0;
  virtual void send(SessionIndex session, const shm::Settled& settled) = 0;

  /// The letter's offset; nothing: not now. kNoOffset: the record cannot be read any more.
  [[nodiscard]] virtual std::optional<Offset> write_letter(const LetterOrder& order) = 0;
  [[nodiscard]] virtual bool is_letter_durable(const QueueIdentity& queue, Offset letter) = 0;
  /// Durable or not, it is in the topic of the queue's dead letters.
  [[nodiscard]] virtual bool has_letter(const QueueIdentity& queue, Offset letter) = 0;
  [[nodiscard]] virtual bool is_alive(const Holder& holder) = 0;
  [[nodiscard]] virtual UnixMillis wall_ms() = 0;
  /// Log it.
  virtual void report(const QueueIdentity& queue, const std::string& sentence) = 0;
};

struct QueueTopic {
  TopicId id{};
  std::string name;
  std::uint32_t partitions = 0;
  ResetTo reset = ResetTo::kStart;
  bool memory_only = false;
};

struct QueuesOptions {
  std::uint32_t incarnation = 0;  ///< of the broker: group ids differ across restarts
  /// Members of living sessions keep their locks so long after a restart, until they join again.
  BootNanos restart_lock_ns = 30 * kSecond;
  /// The journal is written anew when it has grown by so much since the last time.
  std::size_t round_after_bytes = std::size_t{4} << 20;
};

struct QueueJoin {
  Holder holder;
  std::string group;
  std::vector<std::string> topics;
  std::uint32_t max_in_flight = 0;
  std::uint32_t lock_ms = 0;
  std::uint32_t max_deliveries = 0;
};

struct QueueCounts {
  std::uint64_t granted = 0;
  std::uint64_t redelivered = 0;
  std::uint64_t acked = 0;
  std::uint64_t dead_letters = 0;
  std::uint64_t expired = 0;
};

struct QueueView {
  QueueIdentity identity;
  std::string topic_name;
  Offset low = 0;
  Offset end = 0;          ///< what may be granted ends there
  std::uint64_t left = 0;  ///< not done
  std::uint32_t in_flight = 0;
  std::uint32_t waiting = 0;
  QueueCounts counts;
};
struct QueueMemberView {
  SessionIndex session = 0;
  std::uint32_t in_flight = 0;
  bool is_stuck = false;
};
struct QueueGroupView {
  std::vector<QueueView> queues;
  std::vector<QueueMemberView> members;
};

class Queues {
 public:
  static constexpr std::uint32_t kMaxInFlight = 4096;
  static constexpr std::uint32_t kMinLockMs = 10;
  static constexpr std::uint32_t kMaxLockMs = 24 * 3600 * 1000;
  static constexpr std::uint32_t kMaxDelayMs = 24 * 3600 * 1000;
  /// Groups times their partitions, of an instance: each is looked after on every turn.
  static constexpr std::size_t kMaxQueues = 16'384;
  /// Answers that one session is owed while the journal cannot be written; what it asks beyond is
  /// refused with LimitReached, and has changed nothing.
  static constexpr std::size_t kMaxOwed = 1'024;

  Queues(QueueHost& host, QueuesOptions options);
  ~Queues();
  Queues(const Queues&) = delete;
  Queues& operator=(const Queues&) = delete;

  // At start, in this order: topic_known() for each topic, replay() for each payload, started().

  /// Members that named it have it from now on: it was deleted and made anew while they were there.
  void topic_known(const QueueTopic& topic);
  /// `same_boot`: the boot times of the journal are of this boot (the memory was kept).
  [[nodiscard]] Result<void> replay(std::span<const std::byte> payload, bool same_boot,
                                    BootNanos now);
  void started(bool memory_kept, BootNanos now);

  /// The grants that the session holds already are pushed by the next duty(), after the reply.
  [[nodiscard]] Result<shm::JoinQueueReply> join(const QueueJoin& request, BootNanos now);
  [[nodiscard]] Result<void> leave(SessionIndex session, std::uint64_t group_id, BootNanos now);
  /// Answered by the next duty().
  void settle(SessionIndex session, const shm::Settle& message, BootNanos now);
  /// The session's process is dead, or its session was revoked.
  void session_ended(SessionIndex session, BootNanos now);
  void topic_deleted(TopicId topic);

  /// Locks, delays, letters, grants; journals and tells. When to be called again; INT64_MAX: never
  /// without an event.
  [[nodiscard]] BootNanos duty(BootNanos now);
  /// Members may take more, so appends to topics without disk must wake the broker.
  [[nodiscard]] bool waits_for(TopicId topic) const;
  /// The journal has everything.
  [[nodiscard]] bool idle() const;
  /// Journals what was done since the last duty(). Where the journal ends once it has all of it.
  [[nodiscard]] Offset journal_now();

  [[nodiscard]] bool has(const std::string& group) const;
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] Result<QueueGroupView> describe(const std::string& group) const;
  [[nodiscard]] Result<void> remove(const std::string& group);
  /// Refused with GroupBusy while a member lives; without `execute` it only says what would be. If
  /// the log of one partition cannot be read, none is moved.
  [[nodiscard]] Result<std::vector<shm::SeekRow>> seek(const shm::SeekGroup& request);
  /// Below it every queue is done with the partition; nothing if none reads it.
  [[nodiscard]] std::optional<Offset> consumed(TopicId topic, PartitionIndex partition) const;

 private:
  class Replayer;
  struct Member {
    Holder holder;
    std::set<std::string> names;  ///< of its subscription
    std::set<TopicId> topics;     ///< of those, the ones that there are
    std::uint32_t max_in_flight = 0;
    BootNanos lock_ns = 0;
    std::uint32_t held = 0;
    bool joined = false;  ///< false: of a living session that has yet to join again
    bool stuck = false;
    bool alone = false;  ///< holds a message with its last attempt
  };
  struct Queue {
    QueueNumber number = 0;
    QueueIdentity identity;
    LogEpoch epoch = 0;
    QueueState state;
    QueueCounts counts;
    BootNanos next_letter = 0;  ///< its letters could not be written: not before
  };
  struct Group {
    std::string name;
    std::uint64_t id = 0;
    std::uint32_t max_deliveries = 0;
    std::map<SessionIndex, Member> members;
    std::map<std::pair<TopicId, PartitionIndex>, std::unique_ptr<Queue>> queues;
    SessionIndex turn = 0;  ///< of the members
    std::size_t queue_turn = 0;
    std::optional<SessionIndex> draining;  ///< gets nothing until it can take a message alone
  };
  struct Push {
    SessionIndex session = 0;
    std::variant<shm::Grants, shm::Settled> message;
  };

  [[nodiscard]] bool is_owed_too_much(SessionIndex session) const;
  [[nodiscard]] Group* find(std::uint64_t group_id);
  /// Where the queues that a join adds begin.
  using Fresh = std::vector<std::pair<QueueIdentity, Position>>;
  [[nodiscard]] Result<Fresh> fresh_queues(const QueueJoin& request,
                                           const std::vector<const QueueTopic*>& topics);
  void open_queues(Group& group, const Fresh& fresh);
  Queue& open_queue(Group& group, TopicId topic, PartitionIndex partition, Position low);
  Group& add_group(const std::string& name);
  void let_go(Member& member);
  void fail_item(Group& group, Queue& queue, const ItemView& item, DeliveryFailure failure,
                 const DueTime& due);
  void release(Group& group, Member& member, bool died);
  void settle_item(Group& group, Queue& queue, Member& member, const shm::SettleItem& item,
                   const shm::SettleNote* note, BootNanos now, shm::Settled& answer,
                   std::uint32_t index);
  [[nodiscard]] DueTime due_in(std::uint32_t delay_ms, BootNanos now) const;

  void expire(Group& group, Queue& queue, BootNanos now);
  void write_letters(Group& group, Queue& queue, BootNanos now);
  void lose_letter(Queue& queue, const ItemView& item);
  void forget_lost(Group& group, Queue& queue);
  [[nodiscard]] bool fill(Queue& queue, std::size_t& budget);
  [[nodiscard]] Member* pick(Group& group, TopicId topic, bool alone);
  void distribute(Group& group, BootNanos now, std::size_t& budget);
  [[nodiscard]] bool grant_some(Group& group, Queue& queue, BootNanos now, std::size_t& budget,
                                std::optional<TopicId>& wants_alone);
  void give(Queue& queue, Member& member, const QueueState::Next& next, BootNanos now);
  void push_grants();
  void write_round();
  void commit();

  QueueHost& host_;
  QueuesOptions options_;
  std::map<TopicId, QueueTopic> topics_;
  std::map<std::string, std::unique_ptr<Group>> groups_;
  std::map<QueueNumber, Queue*> by_number_;
  std::map<QueueNumber, std::unique_ptr<Queue>> shadows_;  ///< begun in the journal, not ended
  QueueNumber next_number_ = 1;
  std::uint32_t next_group_ = 1;

  QueueWriter writer_;
  std::vector<std::vector<std::byte>> backlog_;
  std::vector<Push> outbox_;                  ///< goes when the backlog is written
  std::map<SessionIndex, std::size_t> owed_;  ///< answers in the outbox
  std::map<std::pair<SessionIndex, Queue*>, shm::Grants> granting_;

  std::size_t bytes_since_round_ = 0;
  std::size_t round_bytes_ = 0;
  std::optional<QueueNumber> round_at_;  ///< the next queue of the round
  Offset round_floor_ = 0;
};

}  // namespace mallbots::broker
