#include "clients/internal/group_member.h"

#include <algorithm>

#include "shm/concurrent/cells.h"

namespace mallbots::client {
namespace {

/// The partition of an assignment that a reading goes on with: same cell, same generation.
bool goes_on(const shm::AssignedPartition& assigned, const Reading& reading) {
  return reading.in_group && reading.topic->topic_id() == assigned.topic_id &&
         reading.where.partition == assigned.partition && reading.group_cell == assigned.cell &&
         reading.group_generation == assigned.group_generation;
}

}  // namespace

Result<void> GroupMember::join(std::span<const std::string> topics, const std::string& group,
                               const std::string& instance, Deadline deadline) {
  if (group.empty() || group.size() > shm::kMaxNameBytes)
    return fail(ErrorCode::kBadGroupName, "a name of " + std::to_string(group.size()) + " bytes");
  if (topics.empty()) return fail(ErrorCode::kBadArgument, "subscribing to no topic");
  for (const std::string& name : topics) {
    const auto topic = readings_->topic(name, deadline);
    if (!topic) return std::unexpected(topic.error());
  }
  Link& link = readings_->link();
  if (!link.claim_group(group, this))
    return fail(ErrorCode::kBadArgument, "another consumer of this connection is in group '" +
                                             group + "'; open a connection for each member");
  const auto before = std::pair{topics_, group_};
  topics_.assign(topics.begin(), topics.end());
  group_ = group;
  instance_ = instance;
  const auto joined = link.ride_out(deadline, [&] { return send_join(deadline); });
  if (!joined) {
    std::tie(topics_, group_) = before;
    if (group_ != group) link.release_group(group, this);
  }
  return joined;
}

Result<void> GroupMember::send_join(Deadline deadline) {
  const auto joined = readings_->link().ask_once<shm::JoinGroupReply>(
      shm::JoinGroup{.group = group_,
                     .instance = instance_,
                     .topics = topics_,
                     .max_poll_interval_ms = options_->max_poll_interval_ms,
                     .read_durable = options_->read != ReadLevel::kCommitted},
      deadline);
  if (!joined) return std::unexpected(joined.error());
  group_id_ = joined->group_id;
  member_id_ = joined->member_id;
  join_due_ = false;
  return {};
}

Result<void> GroupMember::leave(Deadline deadline) {
  if (!is_member()) return {};
  refused_ = false;
  readings_->remove_group();
  readings_->link().release_group(group_, this);
  group_.clear();
  // Nobody to tell if the broker is away: the session ends, or does not come back.
  if (!readings_->link().is_attached()) return {};
  const auto left =
      readings_->link().ask_once<shm::Empty>(shm::LeaveGroup{.group_id = group_id_}, deadline);
  if (!left && left.error().code != ErrorCode::kFenced) return std::unexpected(left.error());
  return {};
}

void GroupMember::attached_again(bool anew) {
  if (!is_member()) return;
  if (anew) readings_->remove_group();
  join_due_ = true;
}

bool GroupMember::is_fenced() noexcept {
  const auto is_taken = [](const auto& reading) {
    return reading->in_group && reading->cursor && reading->cursor->is_cell_taken();
  };
  return is_member() && (refused_ || std::ranges::any_of(readings_->all(), is_taken));
}

Error GroupMember::fenced() const {
  return {ErrorCode::kFenced,
          "group '" + group_ + "': it was expelled while it did not poll, or lost its session"};
}

void GroupMember::expelled() {
  refused_ = false;
  readings_->remove_group();
  readings_->link().release_group(group_, this);
  group_.clear();
}

Result<void> GroupMember::tend(Deadline deadline) {
  if (!is_member()) return {};
  if (join_due_) {
    MALLBOTS_TRY(send_join(deadline));
    // Expelled just before it joined: it is told first, and joins when its owner says so.
    if (is_fenced()) {
      static_cast<void>(
          readings_->link().ask_once<shm::Empty>(shm::LeaveGroup{.group_id = group_id_}, deadline));
      return {};
    }
  }
  while (auto assignment = readings_->link().take_assignment(group_id_))
    MALLBOTS_TRY(apply(*assignment, deadline));
  return {};
}

/// A topic of its subscription may have been deleted and made anew: the name is another topic now.
Result<void> GroupMember::know_topics(const shm::Assignment& assignment, Deadline deadline) {
  const bool are_known = std::ranges::all_of(assignment.partitions, [&](const auto& assigned) {
    return readings_->known_topic(assigned.topic_id) != nullptr;
  });
  if (are_known) return {};
  for (const std::string& name : topics_) {
    const auto topic = readings_->topic(name, deadline);
    if (topic || topic.error().code == ErrorCode::kUnknownTopic) continue;
    join_due_ = true;  // the broker says it once more
    return std::unexpected(topic.error());
  }
  return {};
}

Result<void> GroupMember::apply(const shm::Assignment& assignment, Deadline deadline) {
  MALLBOTS_TRY(know_topics(assignment, deadline));
  std::vector<TopicPartition> lost;
  std::vector<TopicPartition> gained;
  for (const auto& reading : readings_->all()) {
    const bool kept = std::any_of(assignment.partitions.begin(), assignment.partitions.end(),
                                  [&](const auto& assigned) {
                                    return reading->topic->topic_id() == assigned.topic_id &&
                                           reading->where.partition == assigned.partition;
                                  });
    if (reading->in_group && !kept) lost.push_back(reading->where);
  }
  for (const auto& assigned : assignment.partitions) {
    const TopicMemory* topic = readings_->known_topic(assigned.topic_id);
    if (topic == nullptr) continue;  // deleted meanwhile: the next assignment is on its way
    if (assigned.partition >= topic->partitions())
      return fail(ErrorCode::kBadMessage, "the broker assigned a partition that is not there");
    const Reading* reading = readings_->find(assigned.topic_id, assigned.partition);
    if (assigned.offset != kNoOffset && (reading == nullptr || !reading->in_group))
      gained.push_back({topic->name(), assigned.partition});
  }
  if (options_->on_assignment && (!gained.empty() || !lost.empty()))
    options_->on_assignment(gained, lost);
  drop_lost(assignment);
  Result<void> complete;
  for (const auto& assigned : assignment.partitions) {
    TopicMemory* const known = readings_->known_topic(assigned.topic_id);
    if (known == nullptr || readings_->find(assigned.topic_id, assigned.partition) != nullptr)
      continue;
    TopicMemory& topic = *known;
    if (assigned.offset == kNoOffset) {
      if (complete)
        complete =
            fail(ErrorCode::kBadPosition, "group " + group_ + " has no position in " +
                                              topic.place(assigned.partition) +
                                              ", which has reset=fail; seek the group first");
      continue;
    }
    Reading& reading = readings_->add(topic, assigned.partition, assigned.offset);
    reading.in_group = true;
    reading.group_cell = assigned.cell;
    reading.group_generation = assigned.group_generation;
  }
  const auto done = readings_->link().ask_once<shm::Empty>(
      shm::AssignmentDone{.group_id = group_id_, .number = assignment.number}, deadline);
  if (done || done.error().code == ErrorCode::kFenced) return complete;
  // Lost on the way: the next broker hears of it when this member joins again.
  join_due_ = true;
  return std::unexpected(done.error());
}

/// Ends the readings that the assignment no longer has, or has under another generation. Their
/// positions are in their cells already: commit() stores there.
void GroupMember::drop_lost(const shm::Assignment& assignment) {
  std::erase_if(readings_->all(), [&](const auto& reading) {
    return reading->in_group &&
           std::none_of(assignment.partitions.begin(), assignment.partitions.end(),
                        [&](const auto& assigned) { return goes_on(assigned, *reading); });
  });
}

Result<void> GroupMember::commit(Reading& reading, Offset next) {
  if (!reading.in_group || !reading.cursor || reading.stored == next) return {};
  if (!reading.cursor->commit(reading.group_generation, next)) {
    refused_ = true;
    return std::unexpected(fenced());
  }
  reading.stored = next;
  return {};
}

Result<void> GroupMember::commit_all() {
  for (const auto& reading : readings_->all())
    MALLBOTS_TRY(commit(*reading, reading->next_offset()));
  return {};
}

Result<void> GroupMember::commit_durable(Deadline deadline) {
  if (!is_member()) return fail(ErrorCode::kBadArgument, "a durable commit needs a group");
  const auto done =
      readings_->link().ask<shm::Empty>(shm::CommitDurable{.group_id = group_id_}, deadline);
  if (!done) return std::unexpected(done.error());
  return {};
}

}  // namespace mallbots::client
