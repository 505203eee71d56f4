// What producers of delayed records, and whoever looks after these, ask for.
#include <fmt/format.h>

#include "broker/control/commands.h"

namespace mallbots::broker {
namespace {

constexpr std::size_t kRows = 200;
/// Of one page, whether they are shown or not.
constexpr std::size_t kLookedAt = 10'000;

}  // namespace

Result<Reply> Commands::open_delayed(const Request& request, const shm::OpenDelayed& message) {
  MALLBOTS_TRY(not_draining());
  const auto topic = allowed(request.who, message.topic_id, 0, shm::Intent::kProduce);
  if (!topic) return std::unexpected(topic.error());
  if ((*topic)->settings().exclusive || (*topic)->settings().events || (*topic)->is_internal())
    return fail(ErrorCode::kBadArgument,
                fmt::format("topic '{}' takes no delayed records: it has producers=exclusive or "
                            "type=events, or is the broker's own",
                            (*topic)->name()));
  MALLBOTS_TRY(administrator(request.who, "delaying records"));
  if (auto opened = parts_.schedule.open(); !opened)
    return std::unexpected(std::move(opened).error());
  return reply_with(request.id,
                    shm::OpenDelayedReply{.delay_max_ms = parts_.schedule.options().delay_max_ms});
}

Result<Reply> Commands::list_delayed(const Request& request, const shm::ListDelayed& message) {
  const Topic* only = nullptr;
  if (!message.topic.empty()) {
    const auto topic = allowed(request.who, message.topic, shm::Intent::kProduce);
    if (!topic) return std::unexpected(topic.error());
    only = *topic;
  }
  shm::ListDelayedReply reply;
  const auto found = parts_.schedule.list(message.after, kLookedAt);
  for (const ScheduleRow& row : found) {
    if (reply.rows.size() == kRows) {
      reply.more = true;
      break;
    }
    reply.next = row.id;
    const Topic* const topic = parts_.topics.find(row.topic);
    if (only != nullptr && topic != only) continue;
    if (topic == nullptr ? !is_administrator(request.who.uid)
                         : !may(request.who, *topic, shm::Intent::kProduce))
      continue;
    reply.rows.push_back({.id = row.id,
                          .due_ms = row.due_ms,
                          .topic = topic == nullptr ? "" : topic->name(),
                          .partition = row.partition,
                          .bytes = row.bytes});
  }
  reply.more = reply.more || found.size() == kLookedAt;
  return reply_with(request.id, reply);
}

Result<Reply> Commands::cancel_delayed(const Request& request, const shm::CancelDelayed& message) {
  MALLBOTS_TRY(not_draining());
  const auto row = parts_.schedule.find(message.id);
  if (row && !is_administrator(request.who.uid)) {
    const Topic* const topic = parts_.topics.find(row->topic);
    if (topic == nullptr || !may(request.who, *topic, shm::Intent::kProduce))
      return fail(ErrorCode::kNotPermitted,
                  fmt::format("user {} may not produce to the topic of delayed record {}",
                              request.who.uid, message.id));
  }
  const auto at = parts_.schedule.cancel(message.id);
  if (!at) return std::unexpected(at.error());
  return answer_when(request, reply_with(request.id, shm::Empty{}),
                     [this, at = *at] { return parts_.schedule.is_durable(at); });
}

}  // namespace mallbots::broker
