#include "clients/admin.h"

#include <utility>

#include "clients/internal/link.h"
#include "shm/layout/control.h"

namespace mallbots::client {
namespace {

std::vector<shm::Setting> to_wire(const std::vector<TopicSetting>& settings) {
  std::vector<shm::Setting> wire;
  wire.reserve(settings.size());
  for (const TopicSetting& setting : settings)
    wire.push_back({setting.key, setting.value, setting.is_default});
  return wire;
}

/// Names the input where the broker's answer does not.
template <class T>
Result<T> about(const std::string& input, Result<T> result) {
  if (!result && result.error().detail.empty()) result.error().detail = input;
  return result;
}

Result<void> without_body(const std::string& input, Result<shm::Empty> result) {
  auto named = about(input, std::move(result));
  if (!named) return std::unexpected(std::move(named).error());
  return {};
}

}  // namespace

Result<CreatedTopic> Admin::create_topic(const std::string& name, std::uint32_t partitions,
                                         const std::vector<TopicSetting>& settings,
                                         Deadline deadline) {
  const auto reply =
      about(name, connection_->link().ask_once<shm::CreateTopicReply>(
                      shm::CreateTopic{name, partitions, to_wire(settings)}, deadline));
  if (!reply) return std::unexpected(reply.error());
  CreatedTopic created{reply->topic_id, reply->memory_bytes, std::nullopt};
  if (reply->disk_bytes != 0) created.disk_bytes = reply->disk_bytes;
  return created;
}

Result<void> Admin::delete_topic(const std::string& name, Deadline deadline) {
  return without_body(name,
                      connection_->link().ask_once<shm::Empty>(shm::DeleteTopic{name}, deadline));
}

Result<void> Admin::alter_topic(const std::string& name, const std::vector<TopicSetting>& settings,
                                Deadline deadline) {
  return without_body(name, connection_->link().ask_once<shm::Empty>(
                                shm::AlterTopic{name, to_wire(settings)}, deadline));
}

Result<std::vector<TopicSummary>> Admin::list_topics(Deadline deadline, bool internal) {
  std::vector<TopicSummary> all;
  for (shm::ListTopics page{.internal = internal};;) {
    const auto reply = connection_->link().ask<shm::ListTopicsReply>(page, deadline);
    if (!reply) return std::unexpected(reply.error());
    for (const shm::TopicRow& row : reply->topics)
      all.push_back(
          {row.name, row.topic_id, row.partitions, row.records, row.disk_bytes, row.memory_bytes});
    if (!reply->more || reply->topics.empty()) return all;
    page.after = reply->topics.back().name;
  }
}

Result<TopicDescription> Admin::describe_topic(const std::string& name, Deadline deadline) {
  TopicDescription description;
  for (shm::DescribeTopic page{.name = name};;) {
    const auto reply =
        about(name, connection_->link().ask<shm::DescribeTopicReply>(page, deadline));
    if (!reply) return std::unexpected(reply.error());
    description.topic_id = reply->topic_id;
    if (description.settings.empty())
      for (const shm::Setting& setting : reply->settings)
        description.settings.push_back({setting.key, setting.value, setting.is_default});
    for (const shm::PartitionRow& row : reply->partitions)
      description.partitions.push_back({row.partition, row.start_offset, row.end_offset,
                                        row.durable_offset, row.segments, row.disk_bytes,
                                        row.slots_in_memory, row.state});
    if (!reply->more || reply->partitions.empty()) return description;
    page.from_partition = reply->partitions.back().partition + 1;
  }
}

Result<std::vector<GroupListing>> Admin::list_groups(Deadline deadline) {
  std::vector<GroupListing> all;
  for (shm::ListGroups page;;) {
    const auto reply = connection_->link().ask<shm::ListGroupsReply>(page, deadline);
    if (!reply) return std::unexpected(reply.error());
    for (const shm::GroupSummary& row : reply->groups)
      all.push_back({row.group, row.members, row.partitions, row.lag, row.is_queue});
    if (!reply->more || reply->groups.empty()) return all;
    page.after = reply->groups.back().group;
  }
}

Result<std::vector<GroupPartition>> Admin::describe_group(const std::string& group,
                                                          Deadline deadline) {
  auto whole = describe_whole_group(group, deadline);
  if (!whole) return std::unexpected(std::move(whole).error());
  return std::move(whole->partitions);
}

Result<GroupDescription> Admin::describe_whole_group(const std::string& group, Deadline deadline) {
  GroupDescription all;
  for (shm::DescribeGroup page{.group = group};;) {
    const auto reply =
        about(group, connection_->link().ask<shm::DescribeGroupReply>(page, deadline));
    if (!reply) return std::unexpected(reply.error());
    all.is_queue = reply->is_queue;
    for (const shm::GroupRow& row : reply->rows) {
      GroupPartition partition{.topic = row.topic,
                               .partition = row.partition,
                               .current_offset = std::nullopt,
                               .end_offset = row.end_offset,
                               .lag = row.lag,
                               .lag_time_ms = row.lag_time_ms,
                               .member = row.member,
                               .pid = row.pid,
                               .in_flight = row.in_flight,
                               .waiting = row.waiting,
                               .redeliveries = row.redeliveries,
                               .dead_letters = row.dead_letters};
      if (row.current_offset != kNoOffset) partition.current_offset = row.current_offset;
      all.partitions.push_back(std::move(partition));
    }
    for (const shm::QueueMemberRow& row : reply->members)
      all.members.push_back({row.name, row.pid, row.in_flight, row.is_stuck});
    if (!reply->more || reply->rows.empty()) return all;
    page.from_row += static_cast<std::uint32_t>(reply->rows.size());
  }
}

Result<std::vector<GroupMove>> Admin::seek_group(const std::string& group, const GroupSeek& to,
                                                 bool execute, Deadline deadline) {
  static constexpr shm::SeekTo kTo[] = {shm::SeekTo::kStart, shm::SeekTo::kEnd, shm::SeekTo::kTime,
                                        shm::SeekTo::kForward, shm::SeekTo::kBackward};
  const shm::SeekGroup message{.group = group,
                               .to = kTo[static_cast<std::size_t>(to.to)],
                               .value = to.value,
                               .execute = execute};
  const auto reply =
      about(group, connection_->link().ask_once<shm::SeekGroupReply>(message, deadline));
  if (!reply) return std::unexpected(reply.error());
  std::vector<GroupMove> moves;
  for (const shm::SeekRow& row : reply->rows)
    moves.push_back({row.topic, row.partition, row.from_offset, row.to_offset});
  return moves;
}

Result<void> Admin::delete_group(const std::string& group, Deadline deadline) {
  return without_body(group,
                      connection_->link().ask_once<shm::Empty>(shm::DeleteGroup{group}, deadline));
}

Result<void> Admin::list_delayed(const std::string& topic,
                                 const std::function<bool(const DelayedRecord&)>& visit,
                                 Deadline deadline) {
  for (shm::ListDelayed page{.topic = topic};;) {
    const auto reply = about(topic, connection_->link().ask<shm::ListDelayedReply>(page, deadline));
    if (!reply) return std::unexpected(reply.error());
    for (const shm::DelayedRow& row : reply->rows)
      if (!visit({row.id, row.due_ms, row.topic, row.partition, row.bytes})) return {};
    if (!reply->more) return {};
    page.after = reply->next;
  }
}

Result<void> Admin::cancel_delayed(Offset id, Deadline deadline) {
  return without_body(std::to_string(id),
                      connection_->link().ask_once<shm::Empty>(shm::CancelDelayed{id}, deadline));
}

Result<InstanceStatus> Admin::status(Deadline deadline) {
  const auto reply = connection_->link().ask<shm::StatusReply>(shm::Status{}, deadline);
  if (!reply) return std::unexpected(reply.error());
  return InstanceStatus{.version = reply->version,
                        .keeper_pid = reply->keeper_pid,
                        .broker_pid = reply->broker_pid,
                        .incarnation = reply->incarnation,
                        .log_epoch = reply->log_epoch,
                        .uptime_ms = reply->uptime_ms,
                        .topics = reply->topics,
                        .partitions = reply->partitions,
                        .sessions = reply->sessions,
                        .groups = reply->groups,
                        .memory_bytes = reply->memory_bytes,
                        .memory_max_bytes = reply->memory_max_bytes,
                        .disk_bytes = reply->disk_bytes,
                        .disk_free_bytes = reply->disk_free_bytes,
                        .orphan_bytes = reply->orphan_bytes,
                        .io_engine = reply->io_engine,
                        .data_dir = reply->data_dir,
                        .damaged_ranges = reply->damaged_ranges,
                        .readonly_partitions = reply->readonly_partitions};
}

Result<std::vector<ClientDescription>> Admin::list_clients(Deadline deadline) {
  std::vector<ClientDescription> all;
  for (shm::ListClients page;;) {
    const auto reply = connection_->link().ask<shm::ListClientsReply>(page, deadline);
    if (!reply) return std::unexpected(reply.error());
    for (const shm::ClientRow& row : reply->clients)
      all.push_back({row.session, row.pid, row.uid, row.name, row.topics, row.pins, row.idle_ms});
    if (!reply->more || reply->clients.empty()) return all;
    page.after_session = reply->clients.back().session;
  }
}

}  // namespace mallbots::client
