#include "broker/groups/coordinator.h"

#include <algorithm>
#include <list>
#include <utility>

#include "broker/groups/group.h"
#include "broker/groups/group_name.h"
#include "shm/base/check.h"
#include "shm/base/hash.h"

namespace mallbots::broker {
namespace {

/// A CommitDurable that waits for its positions.
struct PendingCommit {
  struct Target {
    Group::PartitionKey partition;
    Offset offset = 0;
    std::optional<std::uint64_t> covered_by;  ///< sequence of the first row that reaches it
  };
  SessionIndex session = 0;
  std::uint64_t group_id = 0;
  std::uint32_t request_id = 0;
  std::vector<Target> targets;
};

/// Stable across restarts: clients name their groups by it.
std::uint64_t group_id_of(const std::string& name) { return xxh3(name.data(), name.size()); }

Result<void> check_join(const GroupJoin& request, const GroupShared& shared) {
  MALLBOTS_TRY(check_group_name(request.group));
  if (!request.instance.empty() && !check_group_name(request.instance)) {
    return fail(ErrorCode::kBadArgument,
                "the instance name of a member follows the rules of group names");
  }
  if (request.topics.empty()) return fail(ErrorCode::kBadArgument, "the member names no topic");
  for (const std::string& topic : request.topics) {
    if (!shared.topic_ids.contains(topic)) return fail(ErrorCode::kUnknownTopic, topic);
  }
  return {};
}

}  // namespace

class GroupCoordinator::State {
 public:
  State(GroupHost& host, const CoordinatorOptions& options)
      : shared{.host = host,
               .options = options,
               .assignment = static_cast<std::uint64_t>(options.incarnation) << 32,
               .last_member = static_cast<std::uint64_t>(options.incarnation) << 32} {}

  Group* group_named(const std::string& name) {
    Group* group = group_of(group_id_of(name));
    return group != nullptr && group->name() == name ? group : nullptr;
  }
  Group* group_of(std::uint64_t id) {
    const auto found = groups.find(id);
    return found == groups.end() ? nullptr : &found->second;
  }
  Group& add_group(const std::string& name) {
    const std::uint64_t id = group_id_of(name);
    return groups.try_emplace(id, shared, name, id).first->second;
  }

  /// The end of every input that changed a group.
  void settle(Group& group, GroupActions& out) {
    group.settle(out);
    next_tick = std::min(next_tick, group.next_tick());
    answer_commits(out);
    if (group.empty()) groups.erase(group.id());
  }
  void settle_all(GroupActions& out) {
    for (auto next = groups.begin(); next != groups.end();) settle((next++)->second, out);
  }

  void answer_commits(GroupActions& out) {
    std::erase_if(commits, [&](PendingCommit& commit) {
      Group* group = group_of(commit.group_id);
      if (group == nullptr || group->member_of(commit.session) == nullptr) {
        out.push_back(AnswerCommit{commit.session, commit.request_id,
                                   Error{ErrorCode::kFenced, "it is no longer a member"}});
        return true;
      }
      if (!std::ranges::all_of(commit.targets,
                               [&](auto& target) { return is_synced(*group, target); })) {
        return false;
      }
      out.push_back(AnswerCommit{commit.session, commit.request_id, std::nullopt});
      return true;
    });
  }
  bool is_synced(Group& group, PendingCommit::Target& target) {
    const GroupPartition* partition = group.find(target.partition);
    if (partition == nullptr) return true;  // its topic is gone
    const auto& written = partition->written;
    if (!target.covered_by && written && written->position &&
        written->position->offset >= target.offset) {
      target.covered_by = partition->written_sequence;
    }
    return target.covered_by && *target.covered_by <= synced;
  }

  GroupShared shared;
  std::map<std::uint64_t, Group> groups;
  std::list<PendingCommit> commits;
  std::uint64_t synced = 0;
  BootNanos next_tick = INT64_MAX;
};

GroupCoordinator::GroupCoordinator(GroupHost& host, CoordinatorOptions options)
    : state_(std::make_unique<State>(host, options)) {}
GroupCoordinator::~GroupCoordinator() = default;

// Topics
// -----------------------------------------------------------------------------------------

GroupActions GroupCoordinator::topic_known(const GroupTopic& topic) {
  GroupShared& shared = state_->shared;
  const auto [named, added] = shared.topic_ids.try_emplace(topic.name, topic.id);
  CHECK(added || named->second == topic.id);  // a name is free again after topic_deleted()
  shared.topics[topic.id] = topic;
  GroupActions out;
  state_->settle_all(out);
  return out;
}

GroupActions GroupCoordinator::topic_deleted(TopicId id) {
  GroupActions out;
  GroupShared& shared = state_->shared;
  const auto topic = shared.topics.find(id);
  if (topic == shared.topics.end()) return out;
  for (auto& [group_id, group] : state_->groups) group.forget_topic(id, out);
  shared.topic_ids.erase(topic->second.name);
  shared.topics.erase(topic);
  state_->settle_all(out);
  return out;
}

GroupActions GroupCoordinator::restore(std::span<const PositionRow> rows) {
  GroupActions out;
  for (const PositionRow& row : rows) state_->add_group(row.group).restore(row, out);
  state_->settle_all(out);
  return out;
}

// Members
// -----------------------------------------------------------------------------------------

Result<Joined> GroupCoordinator::join(const GroupJoin& request) {
  MALLBOTS_TRY(check_join(request, state_->shared));
  Group& group = state_->add_group(request.group);
  if (group.name() != request.group) {
    return fail(ErrorCode::kBadGroupName, "its hash is that of the group \"" + group.name() + "\"");
  }
  GroupActions out;
  GroupMember* member = group.member_of(request.session);
  if (member != nullptr && member->instance != request.instance) {
    return fail(ErrorCode::kBadArgument, "the session is in the group as \"" + member->instance +
                                             "\"; leave before joining as another instance");
  }
  if (member == nullptr) member = group.member_named(request.instance);
  if (member == nullptr) member = &group.add_member(request.instance);
  if (member->session && member->session != request.session) {
    out.push_back(ExpelMember{
        *member->session,
        group.name(),
        member->id,
        {ErrorCode::kFenced, "another process joined as instance \"" + member->instance + "\""}});
    group.become_away(*member, CellEnd::kTaken);
  }
  group.become_live(*member, request);
  const shm::JoinGroupReply reply{.group_id = group.id(), .member_id = member->id};
  state_->settle(group, out);
  return Joined{reply, std::move(out)};
}

Result<GroupActions> GroupCoordinator::leave(SessionIndex session, std::uint64_t group_id) {
  Group* group = state_->group_of(group_id);
  if (group == nullptr) return fail(ErrorCode::kUnknownGroup);
  GroupMember* member = group->member_of(session);
  if (member == nullptr) return fail(ErrorCode::kFenced, "it is not a member of the group");
  GroupActions out;
  if (!member->instance.empty() && state_->shared.options.static_grace_ns > 0) {
    group->become_away(*member, CellEnd::kReturned);
  } else {
    group->remove(*member, CellEnd::kReturned);
  }
  state_->settle(*group, out);
  return out;
}

GroupActions GroupCoordinator::session_ended(SessionIndex session) {
  GroupActions out;
  std::erase_if(state_->commits, [&](const auto& commit) { return commit.session == session; });
  for (auto next = state_->groups.begin(); next != state_->groups.end();) {
    Group& group = (next++)->second;
    if (group.member_of(session) == nullptr) continue;
    auto left = leave(session, group.id());
    CHECK(left);
    std::ranges::move(*left, std::back_inserter(out));
  }
  return out;
}

Result<GroupActions> GroupCoordinator::assignment_done(SessionIndex session, std::uint64_t group_id,
                                                       std::uint64_t number) {
  Group* group = state_->group_of(group_id);
  if (group == nullptr) return fail(ErrorCode::kUnknownGroup);
  GroupMember* member = group->member_of(session);
  if (member == nullptr) return fail(ErrorCode::kFenced, "it is not a member of the group");
  GroupActions out;
  // It answers the broker before this one; it hears from us when it has joined again.
  if (!member->live()) return out;
  if (number > member->assignment) {
    return fail(ErrorCode::kBadMessage, "it acknowledges an assignment that was never sent");
  }
  group->acknowledged(*member, number);
  state_->settle(*group, out);
  return out;
}

GroupActions GroupCoordinator::tick(BootNanos now) {
  GroupActions out;
  state_->shared.now = std::max(state_->shared.now, now);
  if (now < state_->next_tick) return out;
  state_->next_tick = INT64_MAX;
  for (auto next = state_->groups.begin(); next != state_->groups.end();) {
    Group& group = (next++)->second;
    if (group.tick(out)) {
      state_->settle(group, out);
    } else {
      state_->next_tick = std::min(state_->next_tick, group.next_tick());
    }
  }
  return out;
}

BootNanos GroupCoordinator::next_tick() const noexcept { return state_->next_tick; }

// Positions
// -----------------------------------------------------------------------------------------

GroupActions GroupCoordinator::flush() {
  GroupActions out;
  for (auto& [id, group] : state_->groups) {
    group.read_positions();
    group.emit_rows(out);
  }
  state_->answer_commits(out);
  return out;
}

GroupActions GroupCoordinator::positions_synced(std::uint64_t sequence) {
  GroupActions out;
  state_->synced = std::max(state_->synced, sequence);
  state_->answer_commits(out);
  return out;
}

Result<GroupActions> GroupCoordinator::commit_durable(SessionIndex session, std::uint64_t group_id,
                                                      std::uint32_t request_id) {
  Group* group = state_->group_of(group_id);
  if (group == nullptr) return fail(ErrorCode::kUnknownGroup);
  GroupMember* member = group->member_of(session);
  if (member == nullptr) return fail(ErrorCode::kFenced, "it is not a member of the group");
  PendingCommit commit{session, group_id, request_id, {}};
  for (const auto& [key, partition] : group->partitions()) {
    if (partition.member != member->id || !partition.open()) continue;
    const GroupTopic& topic = state_->shared.topics.at(partition.topic);
    if (topic.memory_only) {
      return fail(ErrorCode::kUnsupported,
                  "topic " + topic.name + " is storage=memory: its positions live in memory only");
    }
    commit.targets.push_back({key, 0, std::nullopt});
  }
  for (auto next = commit.targets.begin(); next != commit.targets.end();) {
    GroupPartition& partition = *group->find(next->partition);
    group->read_position(partition);
    // Nothing stored yet and reset=fail: there is nothing to wait for.
    if (!partition.position) {
      next = commit.targets.erase(next);
      continue;
    }
    (next++)->offset = partition.position->offset;
  }
  state_->commits.push_back(std::move(commit));
  GroupActions out;
  group->emit_rows(out);
  state_->answer_commits(out);
  return out;
}

// Administration
// -----------------------------------------------------------------------------------------

Result<Sought> GroupCoordinator::seek(const shm::SeekGroup& request) {
  Group* group = state_->group_named(request.group);
  if (group == nullptr) return fail(ErrorCode::kUnknownGroup, request.group);
  MALLBOTS_TRY(check_seek(request));
  if (request.execute && group->has_living_members()) {
    return fail(ErrorCode::kGroupBusy, request.group);
  }
  Sought sought;
  std::vector<std::pair<GroupPartition*, Offset>> moves;
  for (const auto& [key, partition] : group->partitions()) {
    if (!group->exists(partition)) continue;
    GroupHost& host = state_->shared.host;
    if (partition.open()) group->read_position(*group->find(key));
    const Offset from = partition.position ? partition.position->offset : kNoOffset;
    const bool by_time = request.to == shm::SeekTo::kTime;
    const Result<Offset> value =
        by_time ? host.offset_at(partition.topic, partition.index, request.value)
                : static_cast<Offset>(request.value);
    if (!value) return std::unexpected(value.error());
    const LogState log = host.log(partition.topic, partition.index);
    const Offset to = seek_target(request.to, *value, from, log);
    const std::string& topic = state_->shared.topics.at(partition.topic).name;
    sought.rows.push_back({topic, partition.index, from, to});
    moves.emplace_back(group->find(key), to);
  }
  if (!request.execute) return sought;
  for (const auto& [partition, to] : moves) group->seek(*partition, to);
  group->emit_rows(sought.actions);
  return sought;
}

Result<GroupActions> GroupCoordinator::delete_group(const std::string& name) {
  Group* group = state_->group_named(name);
  if (group == nullptr) return fail(ErrorCode::kUnknownGroup, name);
  if (group->has_living_members()) return fail(ErrorCode::kGroupBusy, name);
  GroupActions out{ForgetRows{++state_->shared.sequence, name, std::nullopt}};
  state_->groups.erase(group->id());
  return out;
}

std::vector<std::string> GroupCoordinator::groups() const {
  std::vector<std::string> names;
  for (const auto& [id, group] : state_->groups) names.push_back(group.name());
  std::ranges::sort(names);
  return names;
}

Result<GroupView> GroupCoordinator::describe(const std::string& name) {
  Group* const group = state_->group_named(name);
  if (group == nullptr) return fail(ErrorCode::kUnknownGroup, name);
  group->read_positions();
  GroupView view{.group = name, .members = 0, .partitions = {}};
  for (const auto& [id, member] : group->members()) view.members += member.session ? 1 : 0;
  for (const auto& [key, partition] : group->partitions()) {
    if (!group->exists(partition)) continue;
    GroupPartitionView& row = view.partitions.emplace_back();
    row.topic = partition.topic;
    row.topic_name = state_->shared.topics.at(partition.topic).name;
    row.partition = partition.index;
    row.position = partition.position;
    const auto holder = group->members().find(partition.member);
    if (holder == group->members().end()) continue;
    if (partition.open()) row.session = holder->second.session;
    row.instance = holder->second.instance;
    row.read_durable = holder->second.read_durable;
  }
  return view;
}

}  // namespace mallbots::broker
