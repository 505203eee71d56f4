// Queues: what is done on every turn: locks, letters, grants, journal.
#include <algorithm>

#include "broker/queues/queues.h"

namespace mallbots::broker {
namespace {

/// Of one queue before the next one has its turn.
constexpr std::size_t kGrantsPerVisit = 64;
constexpr std::size_t kGrantsPerTurn = 4096;
constexpr std::size_t kGrantsPerPacket = 4000;
constexpr BootNanos kLetterPause = 100 * kMillisecond;
constexpr std::size_t kLettersPerTurn = 64;
/// Of what is said again, in one turn.
constexpr std::size_t kRoundPieceBytes = 256 * 1024;

}  // namespace

// Duties
// -----------------------------------------------------------------------------------------

BootNanos Queues::duty(BootNanos now) {
  BootNanos next = INT64_MAX;
  std::size_t budget = kGrantsPerTurn;
  for (const auto& [name, group] : groups_) {
    for (const auto& [key, queue] : group->queues) {
      queue->state.wake(now);
      expire(*group, *queue, now);
      write_letters(*group, *queue, now);
    }
    if (backlog_.empty()) distribute(*group, now, budget);
    for (const auto& [key, queue] : group->queues) {
      next = std::min(next, queue->state.next_time());
      if (queue->state.count(ItemState::kDead) > 0)
        next = std::min(next, std::max(now, queue->next_letter));
    }
  }
  push_grants();
  write_round();
  commit();
  if (budget == 0 || (round_at_ && backlog_.empty())) next = now;
  // The journal has no room: the next flush makes some, and wakes.
  if (!backlog_.empty()) next = std::min(next, now + kMillisecond);
  return next;
}

void Queues::expire(Group& group, Queue& queue, BootNanos now) {
  while (const auto offset = queue.state.expired(now)) {
    const ItemView item = *queue.state.find(*offset);
    ++queue.counts.expired;
    if (const auto member = group.members.find(item.holder.session);
        member != group.members.end()) {
      let_go(member->second);
      member->second.stuck = true;
    }
    fail_item(group, queue, item,
              {.type = "LockExpired",
               .text = "the message was not settled within its lock time",
               .handler = {},
               .time_ms = host_.wall_ms()},
              {});
  }
}

void Queues::write_letters(Group& /*group*/, Queue& queue, BootNanos now) {
  if (queue.state.count(ItemState::kDead) > 0 && now >= queue.next_letter) {
    std::size_t left = kLettersPerTurn;
    for (const ItemView& item : queue.state.all_in(ItemState::kDead)) {
      if (left-- == 0) break;
      const auto letter =
          host_.write_letter({.queue = queue.identity,
                              .offset = item.offset,
                              .reason = item.reason,
                              .attempts = item.attempts,
                              .note = item.note == nullptr ? FailureNote{} : *item.note});
      if (!letter) {
        queue.next_letter = now + kLetterPause;
        break;
      }
      if (*letter == kNoOffset) {
        host_.report(queue.identity, "the record at offset " + std::to_string(item.offset) +
                                         " is dead and cannot be read any more: no dead letter");
        writer_.done(queue.number, item.offset);
        queue.state.done(item.offset);
        continue;
      }
      ++queue.counts.dead_letters;
      writer_.buried(queue.number, item.offset, *letter);
      queue.state.bury(item.offset, *letter);
    }
  }
  if (queue.state.count(ItemState::kBuried) == 0) return;
  for (const ItemView& item : queue.state.all_in(ItemState::kBuried)) {
    if (!host_.is_letter_durable(queue.identity, item.letter)) continue;
    writer_.done(queue.number, item.offset);
    queue.state.done(item.offset);
  }
}

/// It is not in its topic any more and was not known to be durable: it is written again.
void Queues::lose_letter(Queue& queue, const ItemView& item) {
  writer_.died(queue.number, item.offset, item.reason, nullptr);
  queue.state.die(item.offset, item.reason, nullptr);
}

// Granting
// -----------------------------------------------------------------------------------------

/// Records that retention took are done, whoever holds them.
void Queues::forget_lost(Group& group, Queue& queue) {
  const LogState log = host_.log(queue.identity.topic, queue.identity.partition);
  if (queue.state.low() >= log.start) return;
  for (const ItemView& item : queue.state.all_in(ItemState::kHeld)) {
    if (item.offset >= log.start) break;
    if (const auto member = group.members.find(item.holder.session); member != group.members.end())
      let_go(member->second);
  }
  writer_.low_moved(queue.number, {log.epoch, log.start});
  queue.state.move_low(log.start);
  queue.epoch = log.epoch;
}

/// Makes the queue know more records; false: there are none for now.
bool Queues::fill(Queue& queue, std::size_t& budget) {
  const LogState log = host_.log(queue.identity.topic, queue.identity.partition);
  const Offset from = queue.state.loaded_end();
  if (from >= log.durable || !queue.state.has_room() || budget == 0) return false;
  const QueueHost::Keys keys =
      host_.read_keys(queue.identity.topic, queue.identity.partition, from);
  for (const auto& [offset, key] : keys.records) {
    if (!queue.state.has_room()) break;
    queue.state.load(offset, key);
  }
  if (queue.state.has_room()) queue.state.skip_to(keys.next);
  budget -= std::min(budget, keys.records.size() / 8 + 1);
  return queue.state.loaded_end() > from;
}

Queues::Member* Queues::pick(Group& group, TopicId topic, bool alone) {
  const auto may = [&](const Member& member) {
    return member.joined && !member.stuck && !member.alone && member.topics.contains(topic) &&
           member.held < (alone ? 1 : member.max_in_flight) &&
           (alone || group.draining != member.holder.session);
  };
  auto at = group.members.upper_bound(group.turn);
  for (std::size_t i = 0; i < group.members.size(); ++i, ++at) {
    if (at == group.members.end()) at = group.members.begin();
    if (!may(at->second)) continue;
    group.turn = at->first;
    return &at->second;
  }
  return nullptr;
}

void Queues::give(Queue& queue, Member& member, const QueueState::Next& next, BootNanos now) {
  const BootNanos until = now + member.lock_ns;
  writer_.granted(queue.number, next.offset, next.attempt, member.holder);
  queue.state.grant(next.offset, next.attempt, member.holder, until);
  ++member.held;
  ++queue.counts.granted;
  if (next.attempt > 1) ++queue.counts.redelivered;
  shm::Grants& grants = granting_[{member.holder.session, &queue}];
  grants.topic_id = static_cast<std::uint64_t>(queue.identity.topic);
  grants.partition = queue.identity.partition;
  grants.lock_until_ns = until;
  grants.grants.push_back({next.offset, next.attempt});
}

/// One visit; true: there may be more to give.
bool Queues::grant_some(Group& group, Queue& queue, BootNanos now, std::size_t& budget,
                        std::optional<TopicId>& wants_alone) {
  std::size_t given = 0;
  // Whoever got one could not read it, and the attempt would count.
  if (host_.log(queue.identity.topic, queue.identity.partition).quarantined) return false;
  forget_lost(group, queue);
  while (const auto last = queue.state.next_ready(true)) {
    Member* const member = pick(group, queue.identity.topic, true);
    if (member == nullptr) {
      wants_alone = queue.identity.topic;
      break;
    }
    member->alone = true;
    give(queue, *member, *last, now);
    ++given;
  }
  while (given < kGrantsPerVisit && budget > 0) {
    auto next = queue.state.next_ready(false);
    // Only for somebody who may have it is more read.
    Member* const member = pick(group, queue.identity.topic, false);
    if (member == nullptr) return false;
    while (!next && fill(queue, budget)) next = queue.state.next_ready(false);
    if (!next) return false;
    give(queue, *member, *next, now);
    ++given;
    --budget;
  }
  return true;
}

void Queues::distribute(Group& group, BootNanos now, std::size_t& budget) {
  const bool anybody = std::ranges::any_of(group.members, [](const auto& one) {
    return one.second.joined && !one.second.stuck && one.second.held < one.second.max_in_flight;
  });
  if (!anybody || group.queues.empty()) return;
  std::optional<TopicId> wants_alone;  ///< whose message has to be tried alone
  bool more = true;
  while (more && budget > 0) {
    more = false;
    std::size_t turn = group.queue_turn++ % group.queues.size();
    auto at = std::next(group.queues.begin(), static_cast<std::ptrdiff_t>(turn));
    for (std::size_t i = 0; i < group.queues.size(); ++i, ++at) {
      if (at == group.queues.end()) at = group.queues.begin();
      more = grant_some(group, *at->second, now, budget, wants_alone) || more;
    }
  }
  // Somebody must come to hold nothing, or a busy group would never try the message again.
  if (!wants_alone) {
    group.draining.reset();
  } else {
    constexpr std::uint32_t kCannot = ~std::uint32_t{0};
    const auto rank = [&](const auto& one) {
      const Member& member = one.second;
      const bool can = member.joined && !member.stuck && member.topics.contains(*wants_alone);
      return can ? member.held : kCannot;
    };
    const auto elected = group.draining ? group.members.find(*group.draining) : group.members.end();
    if (elected == group.members.end() || rank(*elected) == kCannot)
      group.draining = std::ranges::min_element(group.members, {}, rank)->first;
  }
}

void Queues::push_grants() {
  for (auto& [key, grants] : granting_) {
    const auto& [session, queue] = key;
    grants.group_id = groups_.at(queue->identity.group)->id;
    while (grants.grants.size() > kGrantsPerPacket) {
      shm::Grants first = grants;
      first.grants.resize(kGrantsPerPacket);
      grants.grants.erase(grants.grants.begin(),
                          grants.grants.begin() + static_cast<std::ptrdiff_t>(kGrantsPerPacket));
      outbox_.push_back({session, std::move(first)});
    }
    outbox_.push_back({session, std::move(grants)});
  }
  granting_.clear();
}

bool Queues::waits_for(TopicId topic) const {
  for (const auto& [name, group] : groups_)
    for (const auto& [session, member] : group->members)
      if (member.joined && !member.stuck && member.held < member.max_in_flight &&
          member.topics.contains(topic))
        return true;
  return false;
}

// The journal
// -----------------------------------------------------------------------------------------

/// Says everything again, a piece a turn, so that the journal's beginning can go.
void Queues::write_round() {
  if (!round_at_) {
    if (bytes_since_round_ < std::max(options_.round_after_bytes, 4 * round_bytes_)) return;
    if (!backlog_.empty() || !writer_.empty()) return;
    round_at_ = 0;
    round_bytes_ = 0;
    round_floor_ = host_.journal_end();
    bytes_since_round_ = 0;
    for (const auto& [name, group] : groups_) writer_.limits(name, group->max_deliveries);
  }
  if (!backlog_.empty()) return;
  const std::size_t before = writer_.bytes();
  auto at = by_number_.lower_bound(*round_at_);
  for (; at != by_number_.end() && writer_.bytes() - before < kRoundPieceBytes; ++at)
    write_snapshot(writer_, at->first, at->second->identity, at->second->epoch, at->second->state);
  round_bytes_ += writer_.bytes() - before;
  if (at != by_number_.end()) {
    round_at_ = at->first;
    return;
  }
  commit();
  if (!backlog_.empty()) {
    round_at_ = ~QueueNumber{0};  // the end of the round waits for room
    return;
  }
  round_at_.reset();
  host_.journal_covered(round_floor_, host_.journal_end());
}

void Queues::commit() {
  bytes_since_round_ += writer_.bytes();
  for (auto& payload : writer_.take()) backlog_.push_back(std::move(payload));
  if (!backlog_.empty()) {
    const std::size_t written = host_.journal(backlog_);
    backlog_.erase(backlog_.begin(), backlog_.begin() + static_cast<std::ptrdiff_t>(written));
  }
  if (!backlog_.empty()) return;
  owed_.clear();
  for (const Push& push : std::exchange(outbox_, {}))
    std::visit([&](const auto& message) { host_.send(push.session, message); }, push.message);
}

Offset Queues::journal_now() {
  commit();
  return host_.journal_end() + backlog_.size();  // a record each
}

bool Queues::idle() const { return backlog_.empty() && writer_.empty() && outbox_.empty(); }

}  // namespace mallbots::broker
