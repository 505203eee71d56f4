// A world for the coordinator: logs, session pages and rows on disk as plain values, clients that
// behave as the client library does, and a referee that watches every step. Single-threaded; tests
// drive it. What the referee finds wrong is collected in violations().
//
// The referee asserts by itself, from what it sees at the host interface and in the actions:
//   - a partition of a group has one open cell, and no two clients that are still members read it;
//   - a cell taken from a living client is never handed out again to its session;
//   - rows go out before the assignment that needs them, with sequences that rise by one;
//   - generations never fall, positions never fall within one, nothing is persisted above durable;
//   - a new holder starts exactly where the one before it stored its last position.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "broker/groups/coordinator.h"

namespace mallbots::test {

using broker::CellEnd;
using broker::CellHalves;
using broker::GroupActions;
using broker::LogState;
using broker::PositionRow;

struct FakeClient {
  struct Cell {
    CellHalves halves{};
    bool open = true;
    bool taken = false;   ///< never to be handed out again
    bool marked = false;  ///< the client can see that it was taken
  };
  struct Reading {
    shm::AssignedPartition assigned;
    Offset next = 0;
  };
  using ReadingKey = std::pair<TopicId, PartitionIndex>;
  struct Membership {
    broker::GroupJoin request;
    std::uint64_t group_id = 0;
    bool fenced = false;  ///< expelled, and has yet to hear of it
    std::deque<shm::Assignment> inbox;
    std::map<ReadingKey, Reading> reading;
  };

  bool alive = false;
  bool stuck = false;  ///< does not poll
  std::uint64_t polls = 0;
  std::map<std::uint32_t, Cell> cells;
  std::map<std::string, Membership> groups;
};

class FakeGroups final : public broker::GroupHost {
 public:
  explicit FakeGroups(broker::CoordinatorOptions options = {});

  [[nodiscard]] broker::GroupCoordinator& coordinator() { return *coordinator_; }
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  [[nodiscard]] std::string all_violations() const;

  // The world
  TopicId add_topic(const std::string& name, std::uint32_t partitions,
                    broker::ResetTo reset = broker::ResetTo::kStart, bool memory_only = false);
  void delete_topic(TopicId topic);
  [[nodiscard]] LogState& log_of(TopicId topic, PartitionIndex partition);
  void pass_time(BootNanos nanoseconds);  ///< clients that are not stuck poll meanwhile
  void flush();
  void sync();  ///< everything written is on disk
  /// A new broker on kept memory; clients have to join again.
  void restart_broker();
  /// A new broker after a power cut: no sessions, logs cut to `durable`, log epoch + 1.
  void power_cut();
  void execute(const GroupActions& actions);

  // Clients, one session each
  Result<shm::JoinGroupReply> join(SessionIndex session, const std::string& group,
                                   std::vector<std::string> topics, std::string instance = {},
                                   bool read_durable = true);
  void rejoin_all();
  void leave(SessionIndex session, const std::string& group);
  void kill(SessionIndex session);
  /// Takes the oldest assignment from the socket: stops, starts, acknowledges.
  bool poll(SessionIndex session, const std::string& group);
  void poll_all();
  /// Reads up to `records` of each partition and stores the positions.
  void consume(SessionIndex session, const std::string& group, Offset records);
  [[nodiscard]] FakeClient& client(SessionIndex session) { return clients_[session]; }
  [[nodiscard]] const std::map<SessionIndex, FakeClient>& clients() const { return clients_; }
  /// Partitions that the client reads, as "topic/partition".
  [[nodiscard]] std::set<std::string> reading(SessionIndex session, const std::string& group);
  [[nodiscard]] std::optional<Offset> row_offset(const std::string& group, TopicId topic,
                                                 PartitionIndex partition) const;

  // What the coordinator said, since the last clear_said().
  struct Said {
    std::vector<broker::ExpelMember> expelled;
    std::vector<broker::NotifySession> notices;
    std::vector<broker::AnswerCommit> commits;
    std::vector<broker::ReportSetBack> set_back;
    std::vector<broker::PushAssignment> pushed;
    std::vector<broker::PersistRow> rows;
  };
  [[nodiscard]] const Said& said() const { return said_; }
  void clear_said() { said_ = {}; }

  using RowKey = std::tuple<std::string, TopicId, PartitionIndex>;
  [[nodiscard]] std::map<RowKey, PositionRow>& rows() { return rows_; }
  [[nodiscard]] std::map<TopicId, broker::GroupTopic>& topics() { return topics_; }
  [[nodiscard]] std::vector<broker::EpochStart>& epochs() { return epochs_; }
  /// A seek moved it: the referee expects the next holder there.
  void expect_position(const RowKey& key, Offset offset) { ended_at_[key] = offset; }

  // broker::GroupHost
  std::optional<std::uint32_t> open_cell(SessionIndex session) override;
  CellHalves read_cell(SessionIndex session, std::uint32_t cell) override;
  CellHalves close_cell(SessionIndex session, std::uint32_t cell, CellEnd end) override;
  bool is_taken(SessionIndex session, std::uint32_t cell) override;
  std::uint64_t polls(SessionIndex session) override;
  LogState log(TopicId topic, PartitionIndex partition) override;
  Result<Offset> offset_at(TopicId topic, PartitionIndex partition, UnixMillis time_ms) override;
  std::span<const broker::EpochStart> epoch_starts(TopicId topic,
                                                   PartitionIndex partition) override;

  std::uint32_t cells_max = 64;         ///< of one session
  std::set<PartitionIndex> unreadable;  ///< of every topic, for a look by time

 private:
  struct OpenCell {
    SessionIndex session = 0;
    std::uint32_t cell = 0;
    std::uint32_t generation = 0;
  };

  void start_broker();
  void violation(std::string what) { violations_.push_back(std::move(what)); }
  void on(const broker::PersistRow& action);
  void on(const broker::ForgetRows& action);
  void on(const broker::PushAssignment& action);
  void on(const broker::ExpelMember& action);
  void on(const broker::NotifySession& action) { said_.notices.push_back(action); }
  void on(const broker::AnswerCommit& action) { said_.commits.push_back(action); }
  void on(const broker::ReportSetBack& action) { said_.set_back.push_back(action); }
  void check_granted(const RowKey& key, SessionIndex session, const shm::AssignedPartition& given);
  void begin_reading(SessionIndex session, const std::string& group,
                     const shm::AssignedPartition& assigned);
  void store(SessionIndex session, FakeClient::Reading& reading);
  [[nodiscard]] std::string group_name(SessionIndex session, std::uint64_t group_id);

  broker::CoordinatorOptions options_;
  std::unique_ptr<broker::GroupCoordinator> coordinator_;
  std::map<TopicId, broker::GroupTopic> topics_;
  std::map<std::pair<TopicId, PartitionIndex>, LogState> logs_;
  std::vector<broker::EpochStart> epochs_;
  std::map<SessionIndex, FakeClient> clients_;
  std::map<RowKey, PositionRow> rows_;
  std::map<RowKey, OpenCell> open_;    ///< granted and not closed
  std::map<RowKey, Offset> ended_at_;  ///< last position of the holder before
  std::map<std::string, std::uint64_t> group_ids_;
  std::vector<std::string> violations_;
  Said said_;
  BootNanos now_ = 1'000 * kSecond;
  std::uint64_t next_topic_ = 1;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t last_assignment_ = 0;
};

}  // namespace mallbots::test
