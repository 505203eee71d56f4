#include "broker/queues/queues.h"

#include <algorithm>

#include "broker/groups/group_name.h"
#include "shm/base/dead_letter.h"

namespace mallbots::broker {
namespace {

constexpr std::uint32_t kDefaultInFlight = 64;
constexpr std::uint32_t kDefaultLockMs = 30'000;
DeliveryFailure failure_of(const char* type, const char* text, UnixMillis time_ms) {
  return {.type = type, .text = text, .handler = {}, .time_ms = time_ms};
}

}  // namespace

Queues::Queues(QueueHost& host, QueuesOptions options) : host_(host), options_(options) {}
Queues::~Queues() = default;

// Groups, queues, members
// -----------------------------------------------------------------------------------------

bool Queues::has(const std::string& group) const { return groups_.contains(group); }

bool Queues::is_owed_too_much(SessionIndex session) const {
  const auto owed = owed_.find(session);
  return owed != owed_.end() && owed->second >= kMaxOwed;
}

Queues::Group* Queues::find(std::uint64_t group_id) {
  for (const auto& [name, group] : groups_)
    if (group->id == group_id) return group.get();
  return nullptr;
}

Queues::Group& Queues::add_group(const std::string& name) {
  auto& group = groups_[name];
  if (!group) {
    group = std::make_unique<Group>();
    group->name = name;
    // The top bit tells them from the ids of groups that share partitions.
    group->id =
        (std::uint64_t{1} << 63) | (std::uint64_t{options_.incarnation} << 32) | next_group_++;
  }
  return *group;
}

Queues::Queue& Queues::open_queue(Group& group, TopicId topic, PartitionIndex partition,
                                  Position low) {
  auto& queue = group.queues[{topic, partition}];
  queue = std::make_unique<Queue>();
  queue->number = next_number_++;
  queue->identity = {group.name, topic, partition};
  queue->epoch = low.log_epoch;
  queue->state = QueueState{low.offset};
  queue->state.set_max_deliveries(group.max_deliveries);
  by_number_[queue->number] = queue.get();
  return *queue;
}

void Queues::topic_known(const QueueTopic& topic) {
  topics_[topic.id] = topic;
  for (const auto& [name, group] : groups_) {
    const auto wants = [&](const Member& member) { return member.names.contains(topic.name); };
    if (std::ranges::none_of(group->members, wants, &decltype(Group::members)::value_type::second))
      continue;
    const auto fresh = fresh_queues({.holder = {}, .group = name, .topics = {}}, {&topic});
    if (!fresh) continue;  // who joins again hears why
    open_queues(*group, *fresh);
    for (auto& [session, member] : group->members)
      if (wants(member)) member.topics.insert(topic.id);
  }
}

Result<Queues::Fresh> Queues::fresh_queues(const QueueJoin& request,
                                           const std::vector<const QueueTopic*>& topics) {
  Fresh fresh;
  const auto known = groups_.find(request.group);
  for (const QueueTopic* topic : topics) {
    if (dead_letter_topic(topic->name, request.group).size() > shm::kMaxNameBytes)
      return fail(ErrorCode::kBadGroupName, "dead letters would go to '" +
                                                dead_letter_topic(topic->name, request.group) +
                                                "', which is longer than 200 bytes");
    for (PartitionIndex i = 0; i < topic->partitions; ++i) {
      if (known != groups_.end() && known->second->queues.contains({topic->id, i})) continue;
      const auto first = first_position(std::nullopt, host_.log(topic->id, i), topic->reset, true);
      if (!first)
        return fail(ErrorCode::kBadPosition,
                    "topic '" + topic->name + "' has reset=fail, and the group no position in it");
      fresh.push_back({{request.group, topic->id, i}, *first});
    }
  }
  if (by_number_.size() + fresh.size() > kMaxQueues)
    return fail(ErrorCode::kLimitReached,
                "the instance has " + std::to_string(by_number_.size()) +
                    " queues (groups in queue mode times their partitions); at most " +
                    std::to_string(kMaxQueues) + " are allowed");
  return fresh;
}

void Queues::open_queues(Group& group, const Fresh& fresh) {
  for (const auto& [identity, low] : fresh) {
    const Queue& queue = open_queue(group, identity.topic, identity.partition, low);
    write_snapshot(writer_, queue.number, identity, queue.epoch, queue.state);
  }
}

Result<shm::JoinQueueReply> Queues::join(const QueueJoin& request, BootNanos now) {
  MALLBOTS_TRY(check_group_name(request.group));
  if (is_owed_too_much(request.holder.session))
    return fail(ErrorCode::kLimitReached, "the queue journal cannot be written; try again later");
  const std::uint32_t in_flight =
      request.max_in_flight == 0 ? kDefaultInFlight : request.max_in_flight;
  const std::uint32_t lock_ms = request.lock_ms == 0 ? kDefaultLockMs : request.lock_ms;
  if (in_flight > kMaxInFlight)
    return fail(ErrorCode::kBadArgument,
                std::to_string(in_flight) + " messages in flight; 1 to 4096 are allowed");
  if (lock_ms < kMinLockMs || lock_ms > kMaxLockMs)
    return fail(ErrorCode::kBadArgument,
                "a lock time of " + std::to_string(lock_ms) + " ms; 10 ms to 24 h are allowed");
  if (request.topics.empty()) return fail(ErrorCode::kBadArgument, "subscribing to no topic");
  std::vector<const QueueTopic*> topics;
  for (const std::string& name : request.topics) {
    const auto found =
        std::ranges::find_if(topics_, [&](const auto& topic) { return topic.second.name == name; });
    if (found == topics_.end()) return fail(ErrorCode::kUnknownTopic, "'" + name + "'");
    if (std::ranges::find(topics, &found->second) == topics.end()) topics.push_back(&found->second);
  }
  const auto fresh = fresh_queues(request, topics);
  if (!fresh) return std::unexpected(fresh.error());
  const bool is_new = !groups_.contains(request.group);
  Group& group = add_group(request.group);
  if (is_new || group.max_deliveries != request.max_deliveries) {
    group.max_deliveries = request.max_deliveries;
    writer_.limits(group.name, group.max_deliveries);
    for (const auto& [key, queue] : group.queues)
      queue->state.set_max_deliveries(group.max_deliveries);
  }
  open_queues(group, *fresh);
  Member& member = group.members[request.holder.session];
  member.holder = request.holder;
  member.names = {request.topics.begin(), request.topics.end()};
  member.topics.clear();
  for (const QueueTopic* topic : topics) member.topics.insert(topic->id);
  member.max_in_flight = in_flight;
  member.lock_ns = lock_ms * kMillisecond;
  member.joined = true;
  member.stuck = false;
  for (const auto& [key, queue] : group.queues) {
    if (member.held == 0) break;
    shm::Grants held{.group_id = group.id,
                     .topic_id = static_cast<std::uint64_t>(key.first),
                     .partition = key.second,
                     .lock_until_ns = now + member.lock_ns,
                     .again = true};
    for (const ItemView& item : queue->state.all_in(ItemState::kHeld)) {
      if (item.holder != member.holder) continue;
      queue->state.extend(item.offset, now + member.lock_ns);
      held.grants.push_back({item.offset, item.attempts});
    }
    if (held.grants.empty()) continue;
    outbox_.push_back({request.holder.session, std::move(held)});
    ++owed_[request.holder.session];
  }
  return shm::JoinQueueReply{.group_id = group.id, .held = member.held};
}

Result<void> Queues::leave(SessionIndex session, std::uint64_t group_id, BootNanos /*now*/) {
  Group* const group = find(group_id);
  if (group == nullptr || !group->members.contains(session))
    return fail(ErrorCode::kFenced, "the session is no member of that queue");
  release(*group, group->members.at(session), false);
  group->members.erase(session);
  std::erase_if(outbox_, [&](const Push& push) {
    const auto is_of_group = [&](const auto& message) { return message.group_id == group_id; };
    return push.session == session && std::visit(is_of_group, push.message);
  });
  return {};
}

void Queues::session_ended(SessionIndex session, BootNanos /*now*/) {
  for (const auto& [name, group] : groups_) {
    const auto member = group->members.find(session);
    if (member == group->members.end()) continue;
    release(*group, member->second, true);
    group->members.erase(member);
  }
  // Its index may soon be somebody else's.
  std::erase_if(outbox_, [&](const Push& push) { return push.session == session; });
  owed_.erase(session);
}

/// What the member holds is free.
void Queues::release(Group& group, Member& member, bool died) {
  for (const auto& [key, queue] : group.queues) {
    if (member.held == 0) return;
    for (const ItemView& item : queue->state.all_in(ItemState::kHeld)) {
      if (item.holder != member.holder) continue;
      let_go(member);
      if (died) {
        fail_item(
            group, *queue, item,
            failure_of("ConsumerDied", "the session that held the message ended", host_.wall_ms()),
            {});
      } else {
        queue->state.put_back(item.offset, {}, true, nullptr);
        writer_.put_back(queue->number, item.offset, {}, true, nullptr);
      }
    }
  }
}

void Queues::let_go(Member& member) {
  if (member.held > 0) --member.held;
  if (member.held == 0) member.alone = false;
}

/// A delivery came to nothing: again later, or never.
void Queues::fail_item(Group& group, Queue& queue, const ItemView& item, DeliveryFailure failure,
                       const DueTime& due) {
  const Offset offset = item.offset;
  if (group.max_deliveries != 0 && item.attempts >= group.max_deliveries) {
    writer_.died(queue.number, offset, DeathReason::kAttempts, &failure);
    queue.state.die(offset, DeathReason::kAttempts, &failure);
  } else {
    writer_.put_back(queue.number, offset, due, true, &failure);
    queue.state.put_back(offset, due, true, &failure);
  }
}

void Queues::topic_deleted(TopicId topic) {
  const auto known = topics_.extract(topic);
  const std::string deleted = known.empty() ? std::string{} : known.mapped().name;
  bool any = false;
  for (const auto& [name, group] : groups_) {
    for (const auto& [key, queue] : group->queues) {
      const auto source = topics_.find(key.first);
      if (source == topics_.end() || dead_letter_topic(source->second.name, name) != deleted)
        continue;
      for (const ItemView& item : queue->state.all_in(ItemState::kBuried))
        lose_letter(*queue, item);
    }
    std::erase_if(group->queues, [&](const auto& one) {
      if (one.first.first != topic) return false;
      for (const ItemView& item : one.second->state.all_in(ItemState::kHeld))
        if (const auto member = group->members.find(item.holder.session);
            member != group->members.end())
          let_go(member->second);
      by_number_.erase(one.second->number);
      any = true;
      return true;
    });
    for (auto& [session, member] : group->members) member.topics.erase(topic);
  }
  if (any) writer_.topic_forgotten(topic);
}

// Settling
// -----------------------------------------------------------------------------------------

DueTime Queues::due_in(std::uint32_t delay_ms, BootNanos now) const {
  if (delay_ms == 0) return {};
  return {.boot_ns = now + delay_ms * kMillisecond,
          .wall_ms = host_.wall_ms() + delay_ms,
          .delay_ms = delay_ms};
}

void Queues::settle(SessionIndex session, const shm::Settle& message, BootNanos now) {
  shm::Settled answer{.group_id = message.group_id, .number = message.number};
  const auto refuse_all = [&](ErrorCode code) {
    for (std::uint32_t i = 0; i < message.items.size(); ++i) answer.faults.push_back({i, code});
  };
  if (is_owed_too_much(session)) {
    // Nothing is changed, so nothing has to be journalled before it is said.
    refuse_all(ErrorCode::kLimitReached);
    return host_.send(session, answer);
  }
  Group* const group = find(message.group_id);
  const auto member =
      group == nullptr ? std::map<SessionIndex, Member>::iterator{} : group->members.find(session);
  if (group == nullptr || member == group->members.end()) {
    refuse_all(ErrorCode::kFenced);
  } else {
    // It may speak because a lock of it has ended just now.
    for (const auto& [key, queue] : group->queues) expire(*group, *queue, now);
    member->second.stuck = false;
    answer.lock_until_ns = now + member->second.lock_ns;
    const auto queue =
        group->queues.find({static_cast<TopicId>(message.topic_id), message.partition});
    if (queue == group->queues.end()) {
      refuse_all(ErrorCode::kNotHeld);
    } else {
      // It takes nothing more until it says otherwise, also if what it gives back was not its own.
      const bool stays_stuck = std::ranges::find(message.items, shm::Outcome::kReturn,
                                                 &shm::SettleItem::outcome) != message.items.end();
      std::map<std::uint32_t, const shm::SettleNote*> notes;
      for (const shm::SettleNote& note : message.notes) notes[note.item] = &note;
      for (std::uint32_t i = 0; i < message.items.size(); ++i) {
        const auto note = notes.find(i);
        settle_item(*group, *queue->second, member->second, message.items[i],
                    note == notes.end() ? nullptr : note->second, now, answer, i);
      }
      member->second.stuck = stays_stuck;
    }
  }
  outbox_.push_back({session, std::move(answer)});
  ++owed_[session];
}

void Queues::settle_item(Group& group, Queue& queue, Member& member, const shm::SettleItem& item,
                         const shm::SettleNote* note, BootNanos now, shm::Settled& answer,
                         std::uint32_t index) {
  const Offset offset = item.offset;
  QueueState& state = queue.state;
  const ErrorCode held = state.held_by(offset, item.attempt, member.holder.session);
  if (held != ErrorCode::kNone) {
    answer.faults.push_back({index, held});
    return;
  }
  DeliveryFailure failure{.time_ms = host_.wall_ms()};
  if (note != nullptr) {
    failure.type = note->type.substr(0, kFailureTextBytes);
    failure.text = note->text.substr(0, kFailureTextBytes);
    failure.handler = note->handler.substr(0, kFailureTextBytes);
  }
  switch (item.outcome) {
    case shm::Outcome::kAck:
      state.done(offset);
      writer_.done(queue.number, offset);
      ++queue.counts.acked;
      break;
    case shm::Outcome::kNack: {
      const std::uint32_t delay_ms = note == nullptr ? 0 : note->delay_ms;
      if (delay_ms > kMaxDelayMs) {
        answer.faults.push_back({index, ErrorCode::kBadArgument});
        return;
      }
      fail_item(group, queue, *state.find(offset), std::move(failure), due_in(delay_ms, now));
      break;
    }
    case shm::Outcome::kReject:
      writer_.died(queue.number, offset, DeathReason::kRejected, &failure);
      state.die(offset, DeathReason::kRejected, &failure);
      break;
    case shm::Outcome::kReturn:
      state.put_back(offset, {}, false, nullptr);
      writer_.put_back(queue.number, offset, {}, false, nullptr);
      break;
    case shm::Outcome::kExtend:
      state.extend(offset, now + member.lock_ns);
      return;
    default:
      answer.faults.push_back({index, ErrorCode::kBadArgument});
      return;
  }
  let_go(member);
}

// Looking after
// -----------------------------------------------------------------------------------------

std::vector<std::string> Queues::names() const {
  std::vector<std::string> names;
  for (const auto& [name, group] : groups_) names.push_back(name);
  return names;
}

Result<QueueGroupView> Queues::describe(const std::string& name) const {
  const auto found = groups_.find(name);
  if (found == groups_.end()) return fail(ErrorCode::kUnknownGroup, "'" + name + "'");
  QueueGroupView view;
  for (const auto& [key, queue] : found->second->queues) {
    const LogState log = host_.log(key.first, key.second);
    const QueueState& state = queue->state;
    const auto topic = topics_.find(key.first);
    QueueView row{.identity = queue->identity,
                  .topic_name = topic == topics_.end() ? std::string{} : topic->second.name,
                  .low = state.low(),
                  .end = log.durable,
                  .in_flight = state.count(ItemState::kHeld),
                  .waiting = state.delayed(),
                  .counts = queue->counts};
    const Offset from = std::max(state.low(), log.start);
    if (log.durable > from) row.left = log.durable - from;
    row.left -= std::min<std::uint64_t>(row.left, state.count(ItemState::kDone));
    view.queues.push_back(std::move(row));
  }
  for (const auto& [session, member] : found->second->members)
    view.members.push_back({session, member.held, member.stuck});
  return view;
}

Result<void> Queues::remove(const std::string& name) {
  const auto found = groups_.find(name);
  if (found == groups_.end()) return fail(ErrorCode::kUnknownGroup, "'" + name + "'");
  if (!found->second->members.empty())
    return fail(ErrorCode::kGroupBusy,
                "'" + name + "' has " + std::to_string(found->second->members.size()) + " members");
  for (const auto& [key, queue] : found->second->queues) by_number_.erase(queue->number);
  groups_.erase(found);
  writer_.forgotten(name);
  return {};
}

Result<std::vector<shm::SeekRow>> Queues::seek(const shm::SeekGroup& request) {
  const auto found = groups_.find(request.group);
  if (found == groups_.end()) return fail(ErrorCode::kUnknownGroup, "'" + request.group + "'");
  MALLBOTS_TRY(check_seek(request));
  if (request.execute && !found->second->members.empty())
    return fail(ErrorCode::kGroupBusy, "'" + request.group + "'");
  std::vector<shm::SeekRow> rows;
  std::vector<std::pair<Queue*, Position>> moves;
  for (const auto& [key, queue] : found->second->queues) {
    const LogState log = host_.log(key.first, key.second);
    const Offset from = queue->state.low();
    const Result<Offset> value = request.to == shm::SeekTo::kTime
                                     ? host_.offset_at(key.first, key.second, request.value)
                                     : static_cast<Offset>(request.value);
    if (!value) return std::unexpected(value.error());
    const Offset to = seek_target(request.to, *value, from, log);
    const auto topic = topics_.find(key.first);
    rows.push_back({.topic = topic == topics_.end() ? std::string{} : topic->second.name,
                    .partition = key.second,
                    .from_offset = from,
                    .to_offset = to});
    moves.push_back({queue.get(), {log.epoch, to}});
  }
  if (!request.execute) return rows;
  const bool passes_over = request.to == shm::SeekTo::kForward || request.to == shm::SeekTo::kEnd;
  for (const auto& [queue, to] : moves) {
    queue->epoch = to.log_epoch;
    if (passes_over) {
      queue->state.move_low(to.offset);
      writer_.low_moved(queue->number, to);
    } else {
      // Everything from there on is as new, also if the low mark stays where it is.
      queue->state = QueueState{to.offset};
      queue->state.set_max_deliveries(found->second->max_deliveries);
      write_snapshot(writer_, queue->number, queue->identity, queue->epoch, queue->state);
    }
  }
  return rows;
}

std::optional<Offset> Queues::consumed(TopicId topic, PartitionIndex partition) const {
  std::optional<Offset> least;
  for (const auto& [name, group] : groups_)
    if (const auto queue = group->queues.find({topic, partition}); queue != group->queues.end())
      least = std::min(least.value_or(kNoOffset), queue->second->state.low());
  return least;
}

}  // namespace mallbots::broker
