#include "broker/control/commands.h"

#include <fmt/format.h>

namespace mallbots::broker {

template <class Message>
std::optional<Result<Reply>> Commands::decoded(const Request& request,
                                               std::span<const std::byte> body,
                                               Handler<Message> handler) {
  const auto message = shm::decode<Message>(body);
  if (!message) return std::nullopt;
  return (this->*handler)(request, *message);
}

std::optional<Result<Reply>> Commands::call(Session& who, shm::MessageType type,
                                            std::uint32_t request_id,
                                            std::span<const std::byte> body) {
  const Request request{who, request_id};
  switch (type) {
    case shm::MessageType::kGoodbye:
      return decoded(request, body, &Commands::goodbye);
    case shm::MessageType::kOpenTopic:
      return decoded(request, body, &Commands::open_topic);
    case shm::MessageType::kGetSlot:
      return decoded(request, body, &Commands::get_slot);
    case shm::MessageType::kOpenProducer:
      return decoded(request, body, &Commands::open_producer);
    case shm::MessageType::kOpenRing:
      return decoded(request, body, &Commands::open_ring);
    case shm::MessageType::kCloseRing:
      return decoded(request, body, &Commands::close_ring);
    case shm::MessageType::kNameProducer:
      return decoded(request, body, &Commands::name_producer);
    case shm::MessageType::kTakeLease:
      return decoded(request, body, &Commands::take_lease);
    case shm::MessageType::kOpenReader:
      return decoded(request, body, &Commands::open_reader);
    case shm::MessageType::kCloseCell:
      return decoded(request, body, &Commands::close_cell);
    case shm::MessageType::kFindSegment:
      return decoded(request, body, &Commands::find_segment);
    case shm::MessageType::kEndOfEpoch:
      return decoded(request, body, &Commands::end_of_epoch);
    case shm::MessageType::kFindTime:
      return decoded(request, body, &Commands::find_time);
    case shm::MessageType::kListStreams:
      return decoded(request, body, &Commands::list_streams);
    case shm::MessageType::kJoinGroup:
      return decoded(request, body, &Commands::join_group);
    case shm::MessageType::kLeaveGroup:
      return decoded(request, body, &Commands::leave_group);
    case shm::MessageType::kAssignmentDone:
      return decoded(request, body, &Commands::assignment_done);
    case shm::MessageType::kCommitDurable:
      return decoded(request, body, &Commands::commit_durable);
    case shm::MessageType::kOpenDelayed:
      return decoded(request, body, &Commands::open_delayed);
    case shm::MessageType::kListDelayed:
      return decoded(request, body, &Commands::list_delayed);
    case shm::MessageType::kCancelDelayed:
      return decoded(request, body, &Commands::cancel_delayed);
    case shm::MessageType::kJoinQueue:
      return decoded(request, body, &Commands::join_queue);
    case shm::MessageType::kLeaveQueue:
      return decoded(request, body, &Commands::leave_queue);
    case shm::MessageType::kSettle:
      return decoded(request, body, &Commands::settle);
    default:
      return call_admin(request, type, body);
  }
}

std::optional<Result<Reply>> Commands::call_admin(const Request& request, shm::MessageType type,
                                                  std::span<const std::byte> body) {
  switch (type) {
    case shm::MessageType::kCreateTopic:
      return decoded(request, body, &Commands::create_topic);
    case shm::MessageType::kDeleteTopic:
      return decoded(request, body, &Commands::delete_topic);
    case shm::MessageType::kAlterTopic:
      return decoded(request, body, &Commands::alter_topic);
    case shm::MessageType::kListTopics:
      return decoded(request, body, &Commands::list_topics);
    case shm::MessageType::kDescribeTopic:
      return decoded(request, body, &Commands::describe_topic);
    case shm::MessageType::kListGroups:
      return decoded(request, body, &Commands::list_groups);
    case shm::MessageType::kDescribeGroup:
      return decoded(request, body, &Commands::describe_group);
    case shm::MessageType::kSeekGroup:
      return decoded(request, body, &Commands::seek_group);
    case shm::MessageType::kDeleteGroup:
      return decoded(request, body, &Commands::delete_group);
    case shm::MessageType::kStatus:
      return decoded(request, body, &Commands::status);
    case shm::MessageType::kListClients:
      return decoded(request, body, &Commands::list_clients);
    default:
      return std::nullopt;
  }
}

Result<Reply> Commands::goodbye(const Request& request, const shm::Goodbye& /*message*/) {
  const SessionIndex index = request.who.index;
  log_event(Level::kInfo, "session closed",
            {{"session", index}, {"pid", request.who.pid}, {"name", request.who.name}});
  parts_.sessions.send(request.who, reply_with(request.id, shm::Empty{}).packet, {});
  parts_.rings.session_ended(index, true);
  parts_.topics.session_died(index);
  parts_.groups.session_ended(index);
  parts_.queues.session_ended(index);
  parts_.sessions.end(index);
  return Reply{.later = true};
}

Reply Commands::answer_when(const Request& request, Reply reply, std::function<bool()> is_durable) {
  if (reply.packet.size() > shm::kMaxMessageBytes)
    reply.packet = error_packet(
        request.id, {ErrorCode::kLimitReached, "it is done, and the answer is too long"});
  waiting_.push_back({request.who.index, request.who.entry->token, std::move(reply.packet),
                      std::move(is_durable)});
  return Reply{.later = true};
}

void Commands::duty() {
  std::erase_if(waiting_, [this](Waiting& one) {
    Session* const session = parts_.sessions.find(one.session);
    if (session == nullptr || session->entry->token != one.token) return true;
    if (!one.is_durable()) return false;
    parts_.sessions.send(*session, std::move(one.packet), {});
    return true;
  });
}

bool Commands::may(const Session& who, const Topic& topic, shm::Intent intent) {
  const std::string& text = intent == shm::Intent::kProduce ? topic.settings().produce_allow
                                                            : topic.settings().consume_allow;
  auto found = allow_lists_.find(text);
  if (found == allow_lists_.end())
    found = allow_lists_.emplace(text, AllowList::parse(text, false).value_or(AllowList{})).first;
  // Whoever writes to the delay log could have records delivered wherever the broker may append.
  if (topic.is_internal() && intent == shm::Intent::kProduce)
    return topic.name() == shm::kDelayLog && is_administrator(who.uid);
  return found->second.allows(who.uid);
}

Result<Topic*> Commands::allowed(const Session& who, const std::string& name, shm::Intent intent) {
  Topic* topic = parts_.topics.find(name);
  if (topic == nullptr) return fail(ErrorCode::kUnknownTopic, "'" + name + "'");
  if (!may(who, *topic, intent))
    return fail(ErrorCode::kNotPermitted,
                fmt::format("user {} may not {} topic '{}'", who.uid,
                            intent == shm::Intent::kProduce ? "produce to" : "consume", name));
  return topic;
}

Result<Topic*> Commands::allowed(const Session& who, std::uint64_t topic_id,
                                 PartitionIndex partition, shm::Intent intent) {
  Topic* topic = parts_.topics.find(TopicId{topic_id});
  if (topic == nullptr) return fail(ErrorCode::kTopicGone, fmt::format("topic id {:x}", topic_id));
  if (partition >= topic->partitions())
    return fail(ErrorCode::kBadPartition,
                fmt::format("partition {} of topic '{}', which has {}", partition, topic->name(),
                            topic->partitions()));
  return allowed(who, topic->name(), intent);
}

Result<Topic*> Commands::served(const Session& who, std::uint64_t topic_id,
                                PartitionIndex partition, shm::Intent intent) {
  auto topic = allowed(who, topic_id, partition, intent);
  if (!topic) return topic;
  if (const auto& why = (*topic)->partition(partition).quarantine()) return std::unexpected(*why);
  return topic;
}

Result<void> Commands::administrator(const Session& who, const char* what) const {
  if (is_administrator(who.uid)) return {};
  return fail(ErrorCode::kNotPermitted,
              fmt::format("{} is for root and the broker's user, not for user {}", what, who.uid));
}

Result<void> Commands::not_draining() const {
  if (draining_) return fail(ErrorCode::kDraining);
  return {};
}

}  // namespace mallbots::broker
