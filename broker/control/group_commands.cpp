// What members of consumer groups, and whoever looks after groups, ask for.
#include <fmt/format.h>

#include <algorithm>

#include "broker/control/commands.h"

namespace mallbots::broker {
namespace {

constexpr std::size_t kGroupRows = 200;
constexpr std::size_t kPartitionRows = 120;

}  // namespace

Result<Reply> Commands::join_group(const Request& request, const shm::JoinGroup& message) {
  MALLBOTS_TRY(not_draining());
  for (const std::string& name : message.topics)
    if (auto topic = allowed(request.who, name, shm::Intent::kConsume); !topic)
      return std::unexpected(topic.error());
  if (parts_.queues.has(message.group))
    return fail(ErrorCode::kWrongMode, "'" + message.group + "' is a queue");
  auto joined = parts_.groups.join({.session = request.who.index,
                                    .group = message.group,
                                    .instance = message.instance,
                                    .topics = message.topics,
                                    .max_poll_interval_ms = message.max_poll_interval_ms,
                                    .read_durable = message.read_durable});
  if (!joined) return std::unexpected(std::move(joined).error());
  parts_.sessions.send(request.who, reply_with(request.id, joined->reply).packet, {});
  parts_.groups.execute(joined->actions);
  return Reply{.later = true};
}

Result<Reply> Commands::leave_group(const Request& request, const shm::LeaveGroup& message) {
  MALLBOTS_TRY(parts_.groups.leave(request.who.index, message.group_id));
  return reply_with(request.id, shm::Empty{});
}

Result<Reply> Commands::assignment_done(const Request& request,
                                        const shm::AssignmentDone& message) {
  MALLBOTS_TRY(parts_.groups.assignment_done(request.who.index, message));
  return reply_with(request.id, shm::Empty{});
}

Result<Reply> Commands::commit_durable(const Request& request, const shm::CommitDurable& message) {
  MALLBOTS_TRY(parts_.groups.commit_durable(request.who.index, message.group_id, request.id));
  return Reply{.later = true};
}

Result<Reply> Commands::list_groups(const Request& request, const shm::ListGroups& message) {
  MALLBOTS_TRY(administrator(request.who, "the list of groups"));
  shm::ListGroupsReply reply;
  for (const std::string& name : parts_.groups.names()) {
    if (name <= message.after) continue;
    if (reply.groups.size() == kGroupRows) {
      reply.more = true;
      break;
    }
    const auto view = parts_.groups.describe(name);
    if (!view) continue;
    shm::GroupSummary row{.group = name,
                          .members = view->members,
                          .partitions = static_cast<std::uint32_t>(view->partitions.size())};
    for (const GroupPartitionView& partition : view->partitions)
      row.lag += parts_.groups.behind(partition).lag.records;
    reply.groups.push_back(std::move(row));
  }
  list_queues(message, reply.groups);
  std::ranges::sort(reply.groups, {}, &shm::GroupSummary::group);
  if (reply.groups.size() > kGroupRows) {
    reply.groups.resize(kGroupRows);
    reply.more = true;
  }
  return reply_with(request.id, reply);
}

Result<Reply> Commands::describe_group(const Request& request, const shm::DescribeGroup& message) {
  MALLBOTS_TRY(administrator(request.who, "describing a group"));
  if (parts_.queues.has(message.group)) return describe_queue(request, message);
  const auto view = parts_.groups.describe(message.group);
  if (!view) return std::unexpected(view.error());
  shm::DescribeGroupReply reply;
  for (std::size_t i = message.from_row; i < view->partitions.size(); ++i) {
    if (reply.rows.size() == kPartitionRows) {
      reply.more = true;
      break;
    }
    const GroupPartitionView& from = view->partitions[i];
    const GroupDriver::Behind behind = parts_.groups.behind(from);
    shm::GroupRow row{.topic = from.topic_name,
                      .partition = from.partition,
                      .current_offset = from.position ? from.position->offset : kNoOffset,
                      .end_offset = behind.end,
                      .lag = behind.lag.records,
                      .lag_time_ms = behind.lag.time_ms,
                      .member = from.instance};
    if (const Session* holder = from.session ? parts_.sessions.find(*from.session) : nullptr) {
      if (row.member.empty()) row.member = holder->name;
      row.pid = static_cast<std::uint32_t>(holder->pid);
    }
    reply.rows.push_back(std::move(row));
  }
  return reply_with(request.id, reply);
}

Result<Reply> Commands::seek_group(const Request& request, const shm::SeekGroup& message) {
  MALLBOTS_TRY(administrator(request.who, "moving a group"));
  if (message.execute) MALLBOTS_TRY(not_draining());
  const bool is_queue = parts_.queues.has(message.group);
  auto rows = is_queue ? parts_.queues.seek(message) : parts_.groups.seek(message);
  if (!rows) return std::unexpected(std::move(rows).error());
  Reply reply = reply_with(request.id, shm::SeekGroupReply{.rows = std::move(*rows)});
  return message.execute ? when_groups_are_durable(request, std::move(reply), is_queue)
                         : std::move(reply);
}

Result<Reply> Commands::delete_group(const Request& request, const shm::DeleteGroup& message) {
  MALLBOTS_TRY(administrator(request.who, "deleting a group"));
  MALLBOTS_TRY(not_draining());
  const bool is_queue = parts_.queues.has(message.group);
  MALLBOTS_TRY(is_queue ? parts_.queues.remove(message.group)
                        : parts_.groups.remove(message.group));
  return when_groups_are_durable(request, reply_with(request.id, shm::Empty{}), is_queue);
}

/// Who moved or deleted a group begins to rely on it with the answer.
Reply Commands::when_groups_are_durable(const Request& request, Reply reply, bool is_queue) {
  if (is_queue)
    return answer_when(request, std::move(reply), [this, changes = parts_.queues.changes()] {
      return parts_.queues.is_durable(changes);
    });
  return answer_when(request, std::move(reply), [this, changes = parts_.groups.changes()] {
    return parts_.groups.is_durable(changes);
  });
}

}  // namespace mallbots::broker
