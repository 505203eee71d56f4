// The consumer-group coordinator: who reads which partition for which group, and how far it got.
//
// A state machine without I/O, clock or thread: the broker's one control thread feeds it messages
// and ticks, and executes the returned actions in their order. Shared memory and logs are seen only
// through GroupHost. Time is what the last tick() said (boot time, nanoseconds); call tick() before
// the other inputs of a loop turn.
//
// A partition in a group:
//
//                  grant                       revoke
//        idle ───────────────▶ owned ────────────────────▶ revoking
//        ▲ ▲                    │ │ ▲                          │
//        │ │     take_back      │ │ └────────────┐             │
//        │ └────────────────────┘ │ keep         │ grant       │
//        │                        ▼              │             │
//        │   grace over         reserved ────────┘             │
//        ├────────────────────────┘                            │
//        └─────────────────────────────────────────────────────┘ take_back
//
//   state     cell    may read and store positions       position is
//   idle      none    nobody                             final until the next grant
//   owned     open    the holder                         in the cell
//   revoking  open    the holder, until AssignmentDone   in the cell
//   reserved  none    nobody; kept for a static member   final until the next grant
//
//   idle, reserved -> owned      grant()      its target is a live member; generation + 1
//   owned -> revoking            revoke()     the plan gives it to another, or it is not subscribed
//   owned, revoking -> idle      take_back()  AssignmentDone, LeaveGroup, death, expulsion
//   owned -> reserved            keep()       a static member died, left, or was replaced
//   reserved -> idle             tick()       static_grace_ns passed without its return
//   any -> forgotten             topic_deleted(), delete_group()
//
// A member: live <-> away -> forgotten. Away is a static member whose process is gone (its
// partitions are reserved), or any member of a session that a restarted broker found alive and
// that has not joined again yet (its partitions stay owned, it reads on). join() brings both back.
//
// What holds at every moment (asserted, and tested by random runs against a model):
//   - A partition has at most one open cell per group, and is granted only after the cell before
//     it was closed and read.
//   - The generation of a partition rises with each grant and each seek, also across restarts. Only
//     the halves of a cell that carry the generation of its grant count.
//   - A position never moves back within a generation. Persisted positions are never above the
//     durable position.
//   - When no AssignmentDone is outstanding and nobody is away, every partition of a subscribed
//     topic is owned, loads cannot be evened out by any move between subscribers (with equal
//     subscriptions: they differ by at most one), and no owned partition moved without need.
//
// Death is known from the kernel, so a dead member's partitions move at once, in the same call.
// A position that stood in no cell when the broker died (nobody held the partition, or its holder
// had stored nothing yet) is known only up to the durable position: read=committed groups may see
// records again.
//
// Static members (with an instance name) keep theirs for static_grace_ns, default 10 s, so that a
// restarted process goes on without moving others; LeaveGroup counts as such a restart. A second
// process with the same instance name replaces the first, which is expelled with Fenced.
//
// An expelled member is told twice: by a Notice, and by its own session page, where its cells are
// marked as taken before they are read for the last time. The page outlives the broker, so that a
// member that slept through both expulsion and broker learns of it before it commits or rejoins.
//
// A crash of the broker between two actions loses nothing: a row is persisted before the
// assignment that it records is pushed, with holder and cell, so a restarted broker that kept the
// memory goes on from the cell (restore()). A row need not be flushed before the push: what only a
// power cut can lose does not matter to sessions that did not survive it either.
//
// Errors: BadGroupName, BadArgument, UnknownTopic, UnknownGroup, GroupBusy, BadMessage, Fenced,
// Unsupported (a durable commit on a topic without disk).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "broker/groups/positions.h"
#include "shm/base/clock.h"
#include "shm/base/ids.h"
#include "shm/base/result.h"
#include "shm/layout/control.h"

namespace mallbots::broker {

/// Why a cell is closed.
enum class CellEnd : std::uint8_t {
  kReturned = 1,  ///< the client said that it stopped, or is dead: the cell may be used again
  kTaken,         ///< the client lives: it is told by its page, and what it stores now is void
  kForgotten,     ///< the client lives, but nobody wants the position any more: topic deleted
};

/// What the coordinator sees of shared memory and logs; the driver implements it. Sessions stay
/// readable until session_ended() has returned. Every topic announced by topic_known() has a log.
class GroupHost {
 public:
  virtual ~GroupHost() = default;
  /// A reader cell of the session's page, halves empty and unpinned. nullopt: no cell is free.
  [[nodiscard]] virtual std::optional<std::uint32_t> open_cell(SessionIndex session) = 0;
  [[nodiscard]] virtual CellHalves read_cell(SessionIndex session, std::uint32_t cell) = 0;
  /// Retires the cell (Dekker as for `revoked`, protocol section 8), then reads it. What is not
  /// kReturned is not used again in this session.
  [[nodiscard]] virtual CellHalves close_cell(SessionIndex session, std::uint32_t cell,
                                              CellEnd end) = 0;
  /// A predecessor closed it with kTaken.
  [[nodiscard]] virtual bool is_taken(SessionIndex session, std::uint32_t cell) = 0;
  /// SessionHeader::polls.
  [[nodiscard]] virtual std::uint64_t polls(SessionIndex session) = 0;
  [[nodiscard]] virtual LogState log(TopicId topic, PartitionIndex partition) = 0;
  /// First offset at or after the time, end of the log if there is none. Errors: as reading files.
  [[nodiscard]] virtual Result<Offset> offset_at(TopicId topic, PartitionIndex partition,
                                                 UnixMillis time_ms) = 0;
  /// All starts that took records of the partition back, ascending.
  [[nodiscard]] virtual std::span<const EpochStart> epoch_starts(TopicId topic,
                                                                 PartitionIndex partition) = 0;
};

struct CoordinatorOptions {
  /// How long partitions of a static member wait for its return; 0: they move at once.
  BootNanos static_grace_ns = 10 * kSecond;
  /// How long a restarted broker waits for the members of living sessions to join again.
  BootNanos rejoin_grace_ns = 10 * kSecond;
  /// max.poll.interval of a member that names none.
  BootNanos max_poll_interval_ns = 300 * kSecond;
  /// Of the broker: assignment numbers rise across restarts.
  std::uint32_t incarnation = 0;
};

struct GroupTopic {
  TopicId id{};
  std::string name;
  std::uint32_t partitions = 0;
  ResetTo reset = ResetTo::kStart;
  bool memory_only = false;  ///< storage=memory: no durable commit
};

/// What is kept of one partition in a group. The driver writes it to disk, keyed by group, topic
/// and partition, beside whatever proves that a session is the same one after a restart (its
/// token).
struct PositionRow {
  std::string group;
  TopicId topic{};
  PartitionIndex partition = 0;
  std::uint32_t generation = 0;
  std::optional<Position> position;     ///< nullopt: none yet (reset=fail)
  std::optional<SessionIndex> session;  ///< the holder
  std::uint32_t cell = 0;               ///< of the holder's page
  std::string instance;  ///< of the static member that holds it or that it is reserved for
  friend bool operator==(const PositionRow&, const PositionRow&) = default;
};

// Actions, to be executed in their order
// -----------------------------------------------------------------------------------------

/// Write the row. Sequences rise by one; positions_synced() says how far they are on disk.
struct PersistRow {
  std::uint64_t sequence = 0;
  PositionRow row;
};
/// Remove all rows of the group, or those of one topic.
struct ForgetRows {
  std::uint64_t sequence = 0;
  std::string group;
  std::optional<TopicId> topic;
};
/// Send to the session, raise `news`, ring its doorbell.
struct PushAssignment {
  SessionIndex session = 0;
  shm::Assignment assignment;
};
/// The member is out of its group: tell the session (shm::Notice of that code) and log it. Its
/// session goes on and may join again.
struct ExpelMember {
  SessionIndex session = 0;
  std::string group;
  std::uint64_t member_id = 0;
  Error error;
};
/// Tell the session.
struct NotifySession {
  SessionIndex session = 0;
  shm::Notice notice;
};
/// Answer a CommitDurable.
struct AnswerCommit {
  SessionIndex session = 0;
  std::uint32_t request_id = 0;
  std::optional<Error> error;
};
/// Log it: a position was set back after records were lost.
struct ReportSetBack {
  std::string group;
  TopicId topic{};
  PartitionIndex partition = 0;
  Position from;
  Position to;
};
using GroupAction = std::variant<PersistRow, ForgetRows, PushAssignment, ExpelMember, NotifySession,
                                 AnswerCommit, ReportSetBack>;
using GroupActions = std::vector<GroupAction>;

// Inputs and answers
// -----------------------------------------------------------------------------------------

/// The driver has checked that the session may consume the topics.
struct GroupJoin {
  SessionIndex session = 0;
  std::string group;
  std::string instance;  ///< static member name, or empty
  std::vector<std::string> topics;
  std::uint32_t max_poll_interval_ms = 0;  ///< 0: the option's
  bool read_durable = true;
};
struct Joined {
  shm::JoinGroupReply reply;
  GroupActions actions;
};
struct Sought {
  std::vector<shm::SeekRow> rows;
  GroupActions actions;  ///< empty unless executed
};

/// One row of `group describe`, to be completed by the driver (ends, lag, pid).
struct GroupPartitionView {
  TopicId topic{};
  std::string topic_name;
  PartitionIndex partition = 0;
  std::optional<Position> position;
  std::optional<SessionIndex> session;  ///< of the holder
  std::string instance;                 ///< of the holder, or whom it is reserved for
  bool read_durable = true;             ///< which end the lag counts to
};
struct GroupView {
  std::string group;
  std::uint32_t members = 0;  ///< live ones
  std::vector<GroupPartitionView> partitions;
};

class GroupCoordinator {
 public:
  GroupCoordinator(GroupHost& host, CoordinatorOptions options);
  ~GroupCoordinator();
  GroupCoordinator(const GroupCoordinator&) = delete;
  GroupCoordinator& operator=(const GroupCoordinator&) = delete;

  // At start, in this order: tick(), topic_known() for each topic, restore() once.

  /// A topic exists: created, found at start, or with changed settings or more partitions.
  [[nodiscard]] GroupActions topic_known(const GroupTopic& topic);
  [[nodiscard]] GroupActions topic_deleted(TopicId topic);
  /// Rows from disk or kept memory; each is told again, since memory may be ahead of the disk. The
  /// driver clears `session` if the memory was lost or the session is no longer the one that the
  /// row was written for. Positions beyond the log are set back and reported.
  [[nodiscard]] GroupActions restore(std::span<const PositionRow> rows);

  /// A second join of the same session changes its topics and settings.
  [[nodiscard]] Result<Joined> join(const GroupJoin& request);
  [[nodiscard]] Result<GroupActions> leave(SessionIndex session, std::uint64_t group_id);
  [[nodiscard]] Result<GroupActions> assignment_done(SessionIndex session, std::uint64_t group_id,
                                                     std::uint64_t number);
  /// The session's process is dead, or its session was revoked and will never store again.
  [[nodiscard]] GroupActions session_ended(SessionIndex session);

  /// Expels members that did not poll, or did not acknowledge an assignment, for their
  /// max.poll.interval; ends graces that are over. Cheap when nothing is due. A client that waits
  /// inside a poll counts one poll at least every half interval.
  [[nodiscard]] GroupActions tick(BootNanos now);
  /// When tick() is next worth calling; INT64_MAX: only after another input.
  [[nodiscard]] BootNanos next_tick() const noexcept;

  /// Reads all cells and persists what moved. Called with each flush of the logs.
  [[nodiscard]] GroupActions flush();
  /// All rows up to this sequence are on disk.
  [[nodiscard]] GroupActions positions_synced(std::uint64_t sequence);
  /// Answered (AnswerCommit) when all positions that the member stored before are on disk.
  [[nodiscard]] Result<GroupActions> commit_durable(SessionIndex session, std::uint64_t group_id,
                                                    std::uint32_t request_id);

  /// Refused with GroupBusy while a member lives; without `execute` it only says what would be. If
  /// the log of one partition cannot be read, none is moved.
  [[nodiscard]] Result<Sought> seek(const shm::SeekGroup& request);
  [[nodiscard]] Result<GroupActions> delete_group(const std::string& group);

  [[nodiscard]] std::vector<std::string> groups() const;
  [[nodiscard]] Result<GroupView> describe(const std::string& group);

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace mallbots::broker
