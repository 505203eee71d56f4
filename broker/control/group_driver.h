// GroupDriver: executes what the group coordinator decides, and shows it sessions and logs. The
// coordinator thinks (broker/groups), this one acts: cells of session pages, rows in kept memory
// and on disk, pushed assignments, answers. Control thread.
//
// A completed start() promises: members whose sessions outlived a broker read on from their cells,
// and every position is at least the one last flushed.
// Errors: as of GroupCoordinator, plus Corrupt and Io from the store.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/control/group_table.h"
#include "broker/control/reply.h"
#include "broker/control/sessions.h"
#include "broker/log/topics.h"
#include "broker/storage/group_store.h"

namespace mallbots::broker {

class GroupDriver final : private GroupHost, private GroupStoreListener {
 public:
  struct Parts {
    Disk& disk;
    const DataDirectory& data;
    KeeperLink& keeper;
    Sessions& sessions;
    Topics& topics;
  };
  GroupDriver(const Parts& parts, CoordinatorOptions options);

  /// After the topics have started. `memory_kept`: sessions and their cells are those of before.
  [[nodiscard]] Result<void> start(bool memory_kept, BootNanos now);

  /// The caller sends the reply, then executes the actions: a client learns its group's id before
  /// its first assignment.
  [[nodiscard]] Result<Joined> join(const GroupJoin& request);
  void execute(const GroupActions& actions);
  [[nodiscard]] Result<void> leave(SessionIndex session, std::uint64_t group_id);
  [[nodiscard]] Result<void> assignment_done(SessionIndex session,
                                             const shm::AssignmentDone& message);
  /// Answered later, through the session.
  [[nodiscard]] Result<void> commit_durable(SessionIndex session, std::uint64_t group_id,
                                            std::uint32_t request_id);
  void session_ended(SessionIndex session);
  void topic_known(const Topic& topic);
  void topic_deleted(TopicId topic);

  [[nodiscard]] std::vector<std::string> names() const { return coordinator_->groups(); }
  /// With the positions as the members have committed them by now.
  [[nodiscard]] Result<GroupView> describe(const std::string& group);
  [[nodiscard]] Result<std::vector<shm::SeekRow>> seek(const shm::SeekGroup& request);
  [[nodiscard]] Result<void> remove(const std::string& group);
  /// What was done so far is durable once is_durable() of this is true.
  [[nodiscard]] std::uint64_t changes() const noexcept { return set_sequence_; }
  [[nodiscard]] bool is_durable(std::uint64_t changes) const noexcept {
    return synced_sequence_ >= changes;
  }

  /// Lag of one row of a view, and the end that it counts to.
  struct Behind {
    Lag lag;
    Offset end = 0;
  };
  [[nodiscard]] Behind behind(const GroupPartitionView& row);

  /// Below it every group is done with the partition, durably; nothing if no group reads it.
  [[nodiscard]] std::optional<Offset> consumed(TopicId topic, PartitionIndex partition) const;

  /// Graces, expulsions, and positions to the disk; when to be called again. `log_flushed`: durable
  /// positions moved, so that waiting commits can go on.
  [[nodiscard]] BootNanos duty(BootNanos now, bool log_flushed);
  /// Drain: writes what is left. True when all is on disk; else `next`: when to try again.
  [[nodiscard]] bool drain(BootNanos& next);

 private:
  // GroupHost
  std::optional<std::uint32_t> open_cell(SessionIndex session) override;
  CellHalves read_cell(SessionIndex session, std::uint32_t cell) override;
  CellHalves close_cell(SessionIndex session, std::uint32_t cell, CellEnd end) override;
  bool is_taken(SessionIndex session, std::uint32_t cell) override;
  std::uint64_t polls(SessionIndex session) override;
  LogState log(TopicId topic, PartitionIndex partition) override;
  Result<Offset> offset_at(TopicId topic, PartitionIndex partition, UnixMillis time_ms) override;
  std::span<const EpochStart> epoch_starts(TopicId topic, PartitionIndex partition) override;
  // GroupStoreListener
  void flush_done(std::uint64_t ticket, const Error* error) override;

  [[nodiscard]] std::vector<PositionRow> rows_to_restore(bool memory_kept);
  void run(const PersistRow& action);
  void run(const ForgetRows& action);
  void run(const PushAssignment& action);
  void run(const ExpelMember& action);
  void run(const NotifySession& action);
  void run(const AnswerCommit& action);
  void run(const ReportSetBack& action);
  void start_flush();
  void flush_soon();
  void synced(std::uint64_t sequence);

  Parts parts_;
  std::unique_ptr<GroupCoordinator> coordinator_;
  std::optional<GroupTable> table_;
  std::unique_ptr<GroupStore> store_;
  std::map<PartitionId, std::vector<EpochStart>> epoch_starts_;
  std::map<std::string, std::uint32_t> generations_;  ///< highest of each group, for the disk
  std::uint64_t set_sequence_ = 0;                    ///< of the last row handed to the store
  std::uint64_t synced_sequence_ = 0;                 ///< up to this all is on the disk
  std::map<std::uint64_t, std::uint64_t> tickets_;    ///< flush ticket -> sequence it covers
  BootNanos next_flush_ = 0;
  BootNanos flush_pause_ = 0;
  bool failing_ = false;  ///< the last flush did
};

}  // namespace mallbots::broker
