// One consumer group: its members, its partitions and the transitions drawn in coordinator.h. The
// coordinator owns the groups and decides what happened; this class carries it out.
//
// Used by the coordinator only, on its thread. Every change is followed by settle(), which makes
// the plan, grants and revokes, and emits rows, then assignments, then notices. No errors: callers
// have checked their input.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/groups/coordinator.h"

namespace mallbots::broker {

using MemberId = std::uint64_t;
inline constexpr MemberId kNoMember = 0;

/// What the groups of one coordinator share.
struct GroupShared {
  GroupHost& host;
  CoordinatorOptions options;
  BootNanos now = 0;
  std::uint64_t sequence = 0;    ///< of the last PersistRow or ForgetRows
  std::uint64_t assignment = 0;  ///< number of the last one pushed
  MemberId last_member = kNoMember;
  std::map<TopicId, GroupTopic> topics;
  std::map<std::string, TopicId> topic_ids;
};

struct GroupMember {
  enum class State : std::uint8_t { kLive = 1, kAway };

  MemberId id = kNoMember;
  State state = State::kLive;
  std::optional<SessionIndex> session;  ///< none: away, its process is gone
  std::string instance;                 ///< empty: not static
  std::set<std::string> topics;
  BootNanos max_poll_interval_ns = 0;
  bool read_durable = true;

  std::uint64_t polls = 0;
  BootNanos polled_at = 0;
  BootNanos away_until = 0;
  BootNanos acknowledge_by = INT64_MAX;  ///< of the oldest revocation not yet acknowledged
  std::uint64_t assignment = 0;          ///< number of the last one pushed
  bool assignment_changed = false;
  std::size_t cells = 0;    ///< open ones
  bool told_limit = false;  ///< that partitions wait for a cell

  [[nodiscard]] bool live() const noexcept { return state == State::kLive; }
};

struct GroupPartition {
  enum class State : std::uint8_t { kIdle = 1, kOwned, kRevoking, kReserved };

  TopicId topic{};
  PartitionIndex index = 0;
  State state = State::kIdle;
  MemberId member = kNoMember;  ///< the holder; reserved: for whom
  MemberId target = kNoMember;  ///< who shall have it by the last plan
  std::uint32_t cell = 0;
  std::uint32_t generation = 0;
  std::uint64_t revoked_in = 0;  ///< number of the assignment that left it out; 0: not pushed yet
  std::optional<Position> position;
  bool set_back = false;  ///< the next holder is to be told

  std::optional<PositionRow> written;  ///< the last row emitted
  std::uint64_t written_sequence = 0;
  bool row_changed = false;  ///< in something else than the position

  [[nodiscard]] bool open() const noexcept {
    return state == State::kOwned || state == State::kRevoking;
  }
};

class Group {
 public:
  using PartitionKey = std::pair<TopicId, PartitionIndex>;

  Group(GroupShared& shared, std::string name, std::uint64_t id);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] const std::map<MemberId, GroupMember>& members() const noexcept { return members_; }
  [[nodiscard]] const std::map<PartitionKey, GroupPartition>& partitions() const noexcept {
    return partitions_;
  }
  [[nodiscard]] GroupMember* member_of(SessionIndex session);
  [[nodiscard]] GroupMember* member_named(const std::string& instance);
  /// Live, or of a living session that has yet to join again.
  [[nodiscard]] bool has_living_members() const;
  /// Nothing worth keeping: no member, and no partition was ever granted.
  [[nodiscard]] bool empty() const;

  GroupMember& add_member(std::string instance);
  /// The member has joined, or joined again; its partitions go on.
  void become_live(GroupMember& member, const GroupJoin& request);
  /// Its process is gone or gave way: partitions are kept for it until the grace is over.
  void become_away(GroupMember& member, CellEnd end);
  /// It is out; its partitions are free.
  void remove(GroupMember& member, CellEnd end);
  void expel(GroupMember& member, Error error, GroupActions& out);

  /// What was revoked up to this assignment is given up.
  void acknowledged(GroupMember& member, std::uint64_t number);
  /// Expels the silent, ends graces; true if anything changed.
  bool tick(GroupActions& out);
  /// When tick() is next worth calling.
  [[nodiscard]] BootNanos next_tick() const;

  void restore(const PositionRow& row, GroupActions& out);
  void forget_topic(TopicId topic, GroupActions& out);
  void seek(GroupPartition& partition, Offset offset);
  [[nodiscard]] GroupPartition* find(const PartitionKey& key);
  /// Its topic is known and has it.
  [[nodiscard]] bool exists(const GroupPartition& partition) const;

  /// Takes over what the holder stored in its cell since.
  void read_position(GroupPartition& partition);
  void read_positions();
  /// Rows of partitions whose position or holder changed.
  void emit_rows(GroupActions& out);
  void settle(GroupActions& out);

 private:
  // The transitions of a partition.
  bool grant(GroupPartition& partition, GroupMember& member);
  void revoke(GroupPartition& partition);
  void take_back(GroupPartition& partition, CellEnd end);
  void keep(GroupPartition& partition, CellEnd end);
  void release(GroupPartition& partition);

  GroupMember& member(MemberId id);
  void take_over(GroupPartition& partition, const CellHalves& halves);
  void add_partitions();
  void plan();
  void apply(GroupPartition& partition, MemberId target);
  [[nodiscard]] PositionRow row_of(const GroupPartition& partition, const LogState& log) const;
  void push(GroupMember& member, GroupActions& out);
  void notify(const GroupMember& member, const GroupPartition& partition, ErrorCode code,
              std::string detail);

  GroupShared& shared_;
  std::string name_;
  std::uint64_t id_;
  std::map<MemberId, GroupMember> members_;
  std::map<PartitionKey, GroupPartition> partitions_;
  std::vector<NotifySession> notices_;  ///< follow the assignments of the same step
};

}  // namespace mallbots::broker
