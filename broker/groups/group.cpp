#include "broker/groups/group.h"

#include <algorithm>

#include "broker/groups/assignment.h"
#include "shm/base/check.h"

namespace mallbots::broker {

using MemberState = GroupMember::State;
using PartitionState = GroupPartition::State;

namespace {

/// As many as fit into one packet.
constexpr std::size_t kMaxAssigned = (shm::kMaxMessageBytes - 64) / 32;

std::uint64_t number_of(TopicId topic) { return static_cast<std::uint64_t>(topic); }

}  // namespace

Group::Group(GroupShared& shared, std::string name, std::uint64_t id)
    : shared_(shared), name_(std::move(name)), id_(id) {}

GroupMember* Group::member_of(SessionIndex session) {
  for (auto& [id, member] : members_) {
    if (member.session == session) return &member;
  }
  return nullptr;
}

GroupMember* Group::member_named(const std::string& instance) {
  for (auto& [id, member] : members_) {
    if (!instance.empty() && member.instance == instance) return &member;
  }
  return nullptr;
}

bool Group::has_living_members() const {
  return std::ranges::any_of(members_,
                             [](const auto& entry) { return entry.second.session.has_value(); });
}

bool Group::empty() const {
  return members_.empty() && std::ranges::all_of(partitions_, [](const auto& entry) {
           return entry.second.generation == 0;
         });
}

GroupPartition* Group::find(const PartitionKey& key) {
  const auto found = partitions_.find(key);
  return found == partitions_.end() ? nullptr : &found->second;
}

bool Group::exists(const GroupPartition& partition) const {
  const auto topic = shared_.topics.find(partition.topic);
  return topic != shared_.topics.end() && partition.index < topic->second.partitions;
}

GroupMember& Group::member(MemberId id) {
  const auto found = members_.find(id);
  CHECK(found != members_.end());  // partitions never name a member that is out
  return found->second;
}

// Members
// -----------------------------------------------------------------------------------------

GroupMember& Group::add_member(std::string instance) {
  const MemberId id = ++shared_.last_member;
  GroupMember& added = members_[id];
  added.id = id;
  added.instance = std::move(instance);
  return added;
}

void Group::become_live(GroupMember& member, const GroupJoin& request) {
  member.state = MemberState::kLive;
  member.session = request.session;
  member.topics = {request.topics.begin(), request.topics.end()};
  member.max_poll_interval_ns = request.max_poll_interval_ms == 0
                                    ? shared_.options.max_poll_interval_ns
                                    : request.max_poll_interval_ms * kMillisecond;
  member.read_durable = request.read_durable;
  member.polls = shared_.host.polls(request.session);
  member.polled_at = shared_.now;
  member.told_limit = false;
  member.assignment_changed = true;  // it hears what it has, even if that is nothing
  for (auto& [key, partition] : partitions_) {
    if (partition.member == member.id && partition.open()) read_position(partition);
  }
}

void Group::become_away(GroupMember& member, CellEnd end) {
  for (auto& [key, partition] : partitions_) {
    if (partition.member != member.id) continue;
    if (partition.state == PartitionState::kOwned) keep(partition, end);
    if (partition.state == PartitionState::kRevoking) take_back(partition, end);
  }
  member.state = MemberState::kAway;
  member.session.reset();
  member.acknowledge_by = INT64_MAX;
  member.away_until = shared_.now + shared_.options.static_grace_ns;
}

void Group::remove(GroupMember& member, CellEnd end) {
  for (auto& [key, partition] : partitions_) {
    if (partition.member != member.id) continue;
    if (partition.open()) {
      take_back(partition, end);
    } else {
      release(partition);
    }
  }
  members_.erase(member.id);
}

void Group::expel(GroupMember& member, Error error, GroupActions& out) {
  if (member.session)
    out.push_back(ExpelMember{*member.session, name_, member.id, std::move(error)});
  // It lives, so it may store into its cells once more.
  remove(member, CellEnd::kTaken);
}

void Group::acknowledged(GroupMember& member, std::uint64_t number) {
  member.acknowledge_by = INT64_MAX;
  for (auto& [key, partition] : partitions_) {
    if (partition.member != member.id || partition.state != PartitionState::kRevoking) continue;
    if (partition.revoked_in <= number) {
      take_back(partition, CellEnd::kReturned);
    } else {
      member.acknowledge_by = shared_.now + member.max_poll_interval_ns;
    }
  }
}

bool Group::tick(GroupActions& out) {
  bool changed = false;
  for (auto next = members_.begin(); next != members_.end();) {
    GroupMember& member = (next++)->second;  // it may be removed
    if (!member.live()) {
      if (shared_.now < member.away_until) continue;
      expel(member, {ErrorCode::kFenced, "it did not join again in time"}, out);
      changed = true;
      continue;
    }
    const std::uint64_t polls = shared_.host.polls(*member.session);
    if (polls != member.polls) {
      member.polls = polls;
      member.polled_at = shared_.now;
    }
    const bool silent = shared_.now - member.polled_at >= member.max_poll_interval_ns;
    const bool stubborn = shared_.now >= member.acknowledge_by;
    if (!silent && !stubborn) continue;
    expel(member,
          {ErrorCode::kFenced, silent ? "it did not poll within max.poll.interval"
                                      : "it kept partitions beyond max.poll.interval"},
          out);
    changed = true;
  }
  return changed;
}

BootNanos Group::next_tick() const {
  BootNanos next = INT64_MAX;
  for (const auto& [id, member] : members_) {
    if (!member.live()) {
      next = std::min(next, member.away_until);
      continue;
    }
    const BootNanos look_again = std::max(member.max_poll_interval_ns / 8, kMillisecond);
    next = std::min({next, shared_.now + look_again, member.acknowledge_by});
  }
  return next;
}

// Partitions: the transitions
// -----------------------------------------------------------------------------------------

bool Group::grant(GroupPartition& partition, GroupMember& member) {
  CHECK(!partition.open() && member.live());
  CHECK(partition.generation != UINT32_MAX);
  std::optional<std::uint32_t> cell;
  if (member.cells < kMaxAssigned) cell = shared_.host.open_cell(*member.session);
  if (!cell) {
    if (!member.told_limit) {
      notify(member, partition, ErrorCode::kLimitReached, "the session has no reader cell left");
    }
    member.told_limit = true;
    return false;
  }
  ++member.cells;
  const LogState log = shared_.host.log(partition.topic, partition.index);
  const ResetTo reset = shared_.topics.at(partition.topic).reset;
  partition.position = first_position(partition.position, log, reset, member.read_durable);
  partition.state = PartitionState::kOwned;
  partition.member = member.id;
  partition.cell = *cell;
  ++partition.generation;
  partition.row_changed = true;
  member.assignment_changed = true;
  if (partition.set_back) {
    notify(member, partition, ErrorCode::kTruncated, "the group's position was set back");
    partition.set_back = false;
  }
  return true;
}

void Group::revoke(GroupPartition& partition) {
  CHECK(partition.state == PartitionState::kOwned);
  partition.state = PartitionState::kRevoking;
  partition.revoked_in = 0;
  member(partition.member).assignment_changed = true;
}

void Group::take_back(GroupPartition& partition, CellEnd end) {
  CHECK(partition.open());
  GroupMember& holder = member(partition.member);
  take_over(partition, shared_.host.close_cell(*holder.session, partition.cell, end));
  --holder.cells;
  partition.state = PartitionState::kIdle;
  partition.member = kNoMember;
  partition.row_changed = true;
}

void Group::keep(GroupPartition& partition, CellEnd end) {
  CHECK(partition.state == PartitionState::kOwned);
  const MemberId owner = partition.member;
  take_back(partition, end);
  partition.state = PartitionState::kReserved;
  partition.member = owner;
}

void Group::release(GroupPartition& partition) {
  CHECK(partition.state == PartitionState::kReserved);
  partition.state = PartitionState::kIdle;
  partition.member = kNoMember;
  partition.row_changed = true;
}

void Group::read_position(GroupPartition& partition) {
  CHECK(partition.open());
  const SessionIndex session = *member(partition.member).session;
  take_over(partition, shared_.host.read_cell(session, partition.cell));
}

void Group::read_positions() {
  for (auto& [key, partition] : partitions_) {
    if (partition.open()) read_position(partition);
  }
}

void Group::take_over(GroupPartition& partition, const CellHalves& halves) {
  const LogState log = shared_.host.log(partition.topic, partition.index);
  const auto stored = committed_position(halves, partition.generation, log);
  if (stored && moves_forward(partition.position, *stored)) partition.position = stored;
}

void Group::seek(GroupPartition& partition, Offset offset) {
  CHECK(!partition.open() && partition.generation != UINT32_MAX);
  const LogState log = shared_.host.log(partition.topic, partition.index);
  partition.position = Position{log.epoch, offset};
  partition.set_back = false;
  ++partition.generation;
  partition.row_changed = true;
}

void Group::forget_topic(TopicId topic, GroupActions& out) {
  bool written = false;
  for (auto next = partitions_.begin(); next != partitions_.end();) {
    const auto entry = next++;
    GroupPartition& partition = entry->second;
    if (partition.topic != topic) continue;
    if (partition.open()) {
      GroupMember& holder = member(partition.member);
      take_back(partition, CellEnd::kForgotten);
      holder.assignment_changed = true;
    }
    written = written || partition.written;
    partitions_.erase(entry);
  }
  if (written) out.push_back(ForgetRows{++shared_.sequence, name_, topic});
}

void Group::restore(const PositionRow& row, GroupActions& out) {
  GroupPartition& partition = partitions_[{row.topic, row.partition}];
  partition.topic = row.topic;
  partition.index = row.partition;
  partition.generation = row.generation;
  partition.position = row.position;
  // Not `written`: a row from kept memory may be ahead of the disk, so it is told once more, and a
  // durable commit of it waits for the flush that covers it.
  partition.row_changed = true;
  // Its topic is missing, perhaps with its disk: that is no reason to forget how far it was read.
  if (!exists(partition)) return;

  if (row.position) {
    const LogState log = shared_.host.log(row.topic, row.partition);
    const auto starts = shared_.host.epoch_starts(row.topic, row.partition);
    const SettledPosition settled = settle_position(*row.position, log, starts);
    partition.position = settled.position;
    partition.set_back = settled.truncated;
    if (settled.truncated) {
      if (!row.session) ++partition.generation;  // within one it never moves back
      out.push_back(
          ReportSetBack{name_, row.topic, row.partition, *row.position, settled.position});
    }
  }
  std::optional<SessionIndex> session = row.session;
  if (session && shared_.host.is_taken(*session, row.cell)) {
    // The broker died while it expelled the holder, who knows it from its page.
    take_over(partition, shared_.host.close_cell(*session, row.cell, CellEnd::kTaken));
    session.reset();
  }
  if (!session && (row.instance.empty() || shared_.options.static_grace_ns <= 0)) return;
  GroupMember* holder = member_named(row.instance);
  if (holder == nullptr && session) holder = member_of(*session);
  if (holder == nullptr) {
    holder = &add_member(row.instance);
    holder->state = MemberState::kAway;
    holder->away_until = shared_.now + shared_.options.static_grace_ns;
  }
  partition.member = holder->id;
  partition.state = PartitionState::kReserved;
  if (!session) return;
  if (holder->session && holder->session != session) {
    // The instance moved to another process and the broker died before it had told the rows.
    take_over(partition, shared_.host.close_cell(*session, row.cell, CellEnd::kTaken));
    return;
  }
  holder->session = session;
  holder->away_until = shared_.now + shared_.options.rejoin_grace_ns;
  ++holder->cells;
  partition.state = PartitionState::kOwned;
  partition.cell = row.cell;
  read_position(partition);
}

// Plan and its execution
// -----------------------------------------------------------------------------------------

void Group::add_partitions() {
  for (const auto& [id, member] : members_) {
    for (const std::string& name : member.topics) {
      const auto known = shared_.topic_ids.find(name);
      if (known == shared_.topic_ids.end()) continue;
      const GroupTopic& topic = shared_.topics.at(known->second);
      for (PartitionIndex index = 0; index < topic.partitions; ++index) {
        GroupPartition& partition = partitions_[{topic.id, index}];
        partition.topic = topic.id;
        partition.index = index;
      }
    }
  }
}

void Group::plan() {
  std::map<TopicId, std::size_t> topic_index;
  std::map<MemberId, std::size_t> member_index;
  std::vector<MemberId> member_ids;
  std::vector<PlanMember> members;
  for (const auto& [id, member] : members_) {
    if (!member.live()) continue;
    member_index[id] = members.size();
    member_ids.push_back(id);
    PlanMember& subscriber = members.emplace_back();
    for (const std::string& name : member.topics) {
      const auto known = shared_.topic_ids.find(name);
      if (known == shared_.topic_ids.end()) continue;
      subscriber.topics.push_back(
          topic_index.try_emplace(known->second, topic_index.size()).first->second);
    }
  }
  const auto index_of = [&](MemberId id) {
    const auto found = member_index.find(id);
    return found == member_index.end() ? kNobody : found->second;
  };
  std::vector<GroupPartition*> planned;
  std::vector<PlanPartition> partitions;
  for (auto& [key, partition] : partitions_) {
    if (!exists(partition)) continue;
    const bool held = partition.state != PartitionState::kIdle;
    // Those of absent members wait for them and are nobody else's business.
    if (held && !member(partition.member).live()) continue;
    const bool costs =
        partition.state == PartitionState::kOwned || partition.state == PartitionState::kReserved;
    // A topic that no live member knows gets a number that no one subscribes to.
    const std::size_t topic =
        topic_index.try_emplace(partition.topic, topic_index.size()).first->second;
    partitions.push_back({topic, costs ? index_of(partition.member) : kNobody,
                          costs ? kNobody : index_of(partition.target)});
    planned.push_back(&partition);
  }
  const std::vector<std::size_t> targets = plan_assignment(members, partitions);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    apply(*planned[i], targets[i] == kNobody ? kNoMember : member_ids[targets[i]]);
  }
}

void Group::apply(GroupPartition& partition, MemberId target) {
  partition.target = target;
  switch (partition.state) {
    case PartitionState::kOwned:
      if (partition.member != target) revoke(partition);
      return;
    case PartitionState::kRevoking:
      return;  // its holder has been told; it is granted anew even if it stays
    case PartitionState::kReserved:
      if (partition.member != target) release(partition);
      break;
    case PartitionState::kIdle:
      break;
  }
  if (target == kNoMember || grant(partition, member(target))) return;
  if (partition.state == PartitionState::kReserved) release(partition);
}

PositionRow Group::row_of(const GroupPartition& partition, const LogState& log) const {
  PositionRow row;
  row.group = name_;
  row.topic = partition.topic;
  row.partition = partition.index;
  row.generation = partition.generation;
  if (partition.position) row.position = persistable(*partition.position, log);
  const auto holder = members_.find(partition.member);
  if (holder == members_.end()) return row;
  row.instance = holder->second.instance;
  if (partition.open()) {
    row.session = holder->second.session;
    row.cell = partition.cell;
  }
  return row;
}

void Group::emit_rows(GroupActions& out) {
  for (auto& [key, partition] : partitions_) {
    const bool on_disk = partition.written && partition.written->position == partition.position;
    if (partition.generation == 0 || (on_disk && !partition.row_changed)) continue;
    if (!exists(partition)) continue;
    partition.row_changed = false;
    PositionRow row = row_of(partition, shared_.host.log(partition.topic, partition.index));
    if (partition.written == row) continue;
    partition.written = row;
    partition.written_sequence = ++shared_.sequence;
    out.push_back(PersistRow{shared_.sequence, std::move(row)});
  }
}

void Group::push(GroupMember& member, GroupActions& out) {
  member.assignment_changed = false;
  member.assignment = ++shared_.assignment;
  shm::Assignment message{.group_id = id_, .number = member.assignment, .partitions = {}};
  for (auto& [key, partition] : partitions_) {
    if (partition.member != member.id) continue;
    if (partition.state == PartitionState::kRevoking && partition.revoked_in == 0) {
      partition.revoked_in = member.assignment;
      member.acknowledge_by =
          std::min(member.acknowledge_by, shared_.now + member.max_poll_interval_ns);
    }
    if (partition.state != PartitionState::kOwned) continue;
    const LogState log = shared_.host.log(partition.topic, partition.index);
    const Position from = partition.position.value_or(Position{log.epoch, kNoOffset});
    message.partitions.push_back({.topic_id = number_of(partition.topic),
                                  .partition = partition.index,
                                  .cell = partition.cell,
                                  .group_generation = partition.generation,
                                  .log_epoch = from.log_epoch,
                                  .offset = from.offset});
  }
  out.push_back(PushAssignment{*member.session, std::move(message)});
}

void Group::notify(const GroupMember& member, const GroupPartition& partition, ErrorCode code,
                   std::string detail) {
  const Offset offset = partition.position ? partition.position->offset : kNoOffset;
  notices_.push_back({*member.session,
                      {.code = code,
                       .topic_id = number_of(partition.topic),
                       .partition = partition.index,
                       .offset = offset,
                       .detail = std::move(detail)}});
}

void Group::settle(GroupActions& out) {
  add_partitions();
  plan();
  emit_rows(out);
  for (auto& [id, member] : members_) {
    if (member.live() && member.assignment_changed) push(member, out);
  }
  for (NotifySession& notice : notices_) out.push_back(std::move(notice));
  notices_.clear();
}

}  // namespace mallbots::broker
