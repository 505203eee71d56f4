// What members of queues ask for, and how a queue is described.
#include <algorithm>

#include "broker/control/commands.h"

namespace mallbots::broker {
namespace {

constexpr std::size_t kQueueRows = 100;
constexpr std::size_t kMemberRows = 100;
constexpr std::size_t kMostItems = 5'000;

}  // namespace

Result<Reply> Commands::join_queue(const Request& request, const shm::JoinQueue& message) {
  MALLBOTS_TRY(not_draining());
  for (const std::string& name : message.topics) {
    const auto topic = allowed(request.who, name, shm::Intent::kConsume);
    if (!topic) return std::unexpected(topic.error());
    if ((*topic)->is_internal())
      return fail(ErrorCode::kNotPermitted, "'" + name + "' is one of the broker's own topics");
  }
  if (parts_.groups.describe(message.group))
    return fail(ErrorCode::kWrongMode, "'" + message.group + "' shares partitions");
  const auto joined = parts_.queues.join(request.who, message);
  if (!joined) return std::unexpected(joined.error());
  return reply_with(request.id, *joined);
}

Result<Reply> Commands::leave_queue(const Request& request, const shm::LeaveQueue& message) {
  MALLBOTS_TRY(parts_.queues.leave(request.who.index, message.group_id));
  return reply_with(request.id, shm::Empty{});
}

Result<Reply> Commands::settle(const Request& request, const shm::Settle& message) {
  if (message.items.size() > kMostItems)
    return fail(ErrorCode::kBadArgument, "more than 5000 settlements in one message");
  parts_.queues.settle(request.who.index, message);
  return Reply{.later = true};
}

void Commands::list_queues(const shm::ListGroups& message, std::vector<shm::GroupSummary>& out) {
  for (const std::string& name : parts_.queues.names()) {
    if (name <= message.after) continue;
    const auto view = parts_.queues.describe(name);
    if (!view) continue;
    shm::GroupSummary row{.group = name,
                          .members = static_cast<std::uint32_t>(view->members.size()),
                          .partitions = static_cast<std::uint32_t>(view->queues.size()),
                          .is_queue = true};
    for (const QueueView& queue : view->queues) row.lag += queue.left;
    out.push_back(std::move(row));
  }
}

Result<Reply> Commands::describe_queue(const Request& request, const shm::DescribeGroup& message) {
  const auto view = parts_.queues.describe(message.group);
  if (!view) return std::unexpected(view.error());
  shm::DescribeGroupReply reply{.is_queue = true};
  for (std::size_t i = message.from_row; i < view->queues.size(); ++i) {
    if (reply.rows.size() == kQueueRows) {
      reply.more = true;
      break;
    }
    const QueueView& from = view->queues[i];
    reply.rows.push_back({.topic = from.topic_name,
                          .partition = from.identity.partition,
                          .current_offset = from.low,
                          .end_offset = from.end,
                          .lag = from.left,
                          .lag_time_ms = parts_.queues.age_ms(from),
                          .in_flight = from.in_flight,
                          .waiting = from.waiting,
                          .redeliveries = from.counts.redelivered,
                          .dead_letters = from.counts.dead_letters});
  }
  if (message.from_row != 0) return reply_with(request.id, reply);
  for (const QueueMemberView& member : view->members) {
    const Session* const session = parts_.sessions.find(member.session);
    if (session == nullptr || reply.members.size() == kMemberRows) continue;
    reply.members.push_back({.name = session->name,
                             .pid = static_cast<std::uint32_t>(session->pid),
                             .in_flight = member.in_flight,
                             .is_stuck = member.is_stuck});
  }
  return reply_with(request.id, reply);
}

}  // namespace mallbots::broker
