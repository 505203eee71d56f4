#include "clients/internal/queue_member.h"

#include <algorithm>

#include "shm/concurrent/cells.h"
#include "shm/concurrent/wait.h"

namespace mallbots::client {
namespace {

constexpr std::size_t kSendAt = 64;
constexpr std::size_t kItemsPerPacket = 1'000;
constexpr std::size_t kTextBytes = 1024;
/// Texts of failures are what makes a packet large.
constexpr std::size_t kNotesPerPacket = 16;
// Offset, attempt and outcome of an item; item, delay and three texts of a note. A broker hangs up
// on a packet that is too large, and would get the same one again.
static_assert(kItemsPerPacket * (8 + 4 + 1) + kNotesPerPacket * (4 + 4 + 3 * (4 + kTextBytes)) +
                  256 <=
              shm::kMaxMessageBytes);
constexpr Offset kReadThrough = 512;
constexpr std::size_t kReadRoom = 256;
constexpr BootNanos kLongestSleep = 500 * kMillisecond;
constexpr BootNanos kDetachedSleep = 20 * kMillisecond;
constexpr BootNanos kBlockedSleep = 2 * kMillisecond;

}  // namespace

QueueMember::QueueMember(Link& link, const QueueConsumerOptions& options)
    : link_(&link),
      options_(options),
      // The broker hands out durable records only, so they may be read as soon as they are seen.
      reading_options_{.read = ReadLevel::kCommitted},
      readings_(link, reading_options_),
      attachment_(link.current()) {}

// Joining and leaving
// -----------------------------------------------------------------------------------------

Result<void> QueueMember::join(std::span<const std::string> topics, const std::string& group) {
  const Deadline deadline = usual();
  if (group.empty() || group.size() > shm::kMaxNameBytes)
    return fail(ErrorCode::kBadGroupName, "a name of " + std::to_string(group.size()) + " bytes");
  if (topics.empty()) return fail(ErrorCode::kBadArgument, "subscribing to no topic");
  if (!group_.empty() && group_ != group)
    return fail(ErrorCode::kBadArgument, "this consumer is in group '" + group_ + "'");
  MALLBOTS_TRY(link_->ensure(deadline));
  if (link_->attachment() != attachment_.number) attach_again(deadline);
  for (const std::string& name : topics)
    if (const auto topic = readings_.topic(name, deadline); !topic)
      return std::unexpected(topic.error());
  if (!link_->claim_group(group, this))
    return fail(ErrorCode::kBadArgument, "another consumer of this connection is in group '" +
                                             group + "'; open a connection for each member");
  const auto before = std::pair{topics_, group_};
  topics_.assign(topics.begin(), topics.end());
  group_ = group;
  const auto joined = link_->ride_out(deadline, [&] {
    if (link_->attachment() != attachment_.number) attach_again(deadline);
    return send_join(deadline);
  });
  if (joined) return {};
  std::tie(topics_, group_) = before;
  if (group_.empty()) {
    link_->release_group(group, this);
    join_due_ = false;
  }
  return joined;
}

Result<void> QueueMember::send_join(Deadline deadline) {
  const auto joined = link_->ask_once<shm::JoinQueueReply>(
      shm::JoinQueue{.group = group_,
                     .topics = topics_,
                     .max_in_flight = options_.max_in_flight,
                     .lock_ms = options_.lock_ms,
                     .max_deliveries = options_.max_deliveries},
      deadline);
  if (!joined) return std::unexpected(joined.error());
  group_id_ = joined->group_id;
  join_due_ = false;
  for (auto& [key, held] : held_) held.confirmed = false;
  again_left_ = joined->held;
  if (again_left_ == 0) fence_unconfirmed();
  for (auto& [number, batch] : sent_) batch.again = true;
  for (const auto& [number, batch] : sent_)
    if (!send(number, batch)) break;
  return {};
}

Result<void> QueueMember::leave(Deadline deadline) {
  if (group_.empty()) return {};
  if (link_->is_attached() && link_->attachment() == attachment_.number) {
    leaving_ = true;
    static_cast<void>(flush(deadline));
    give_back_all(deadline);
    leaving_ = false;
    static_cast<void>(
        link_->ask_once<shm::Empty>(shm::LeaveQueue{.group_id = group_id_}, deadline));
    // What was said to this member is not for the next one of the group on this connection.
    while (link_->take_queue_push(group_id_)) {
    }
  }
  link_->release_group(group_, this);
  group_.clear();
  held_.clear();
  wanted_.clear();
  noted_.clear();
  sent_.clear();
  unconfirmed_.clear();
  noted_count_ = 0;
  out_ = 0;
  readings_.remove_all();
  return {};
}

/// What nobody looked at is no attempt. More of it may be on its way until the broker has answered
/// the first message that gives something back: from then on it grants nothing.
void QueueMember::give_back_all(Deadline deadline) {
  const auto topic = readings_.topic(topics_.front(), deadline);
  if (!topic) return;
  // Stands for nothing, but has an answer, behind all that was granted before.
  noted_[{(*topic)->topic_id(), 0}].push_back(
      {kNoOffset, 0, {.outcome = shm::Outcome::kReturn, .delay_ms = 0, .failure = {}}});
  for (int round = 0; round < 3; ++round) {
    for (const auto& [place, offsets] : std::exchange(wanted_, {}))
      for (const Offset offset : offsets) {
        // Not held any more: if it is given again meanwhile, it is given back again.
        const auto held = held_.find({place, offset});
        noted_[place].push_back({offset, held->second.attempt, {.outcome = shm::Outcome::kReturn}});
        held_.erase(held);
      }
    if (noted_.empty() && sent_.empty()) return;
    static_cast<void>(flush(deadline));
  }
}

/// The connection was made anew: everything that hangs on it again.
void QueueMember::attach_again(Deadline deadline) {
  const std::uint64_t number = link_->attachment();
  std::vector<Error> gone;
  const auto attached = readings_.reattach(deadline, gone);
  if (!gone.empty()) pending_ = gone.front();
  if (attached == Readings::Attached::kAway) return;
  Attachment now = link_->current();
  if (now.number != number || !now.session) return;  // once more, with the next look
  take_pushes();
  if (attached == Readings::Attached::kAnew || now.session != attachment_.session) {
    // Its locks ended with the session.
    news_seen_.store(0);
    for (auto& [key, held] : held_) held.confirmed = false;
    fence_unconfirmed();
    for (const auto& [unused, batch] : sent_)
      for (const Item& item : batch.items)
        failed(batch.place, item.offset, item.attempt, ErrorCode::kFenced);
    for (const auto& [place, items] : noted_)
      for (const Item& item : items) failed(place, item.offset, item.attempt, ErrorCode::kFenced);
    sent_.clear();
    noted_.clear();
    noted_count_ = 0;
    unconfirmed_.clear();
  }
  join_due_ = !group_.empty();
  const std::scoped_lock lock{attachment_lock_};
  attachment_ = std::move(now);
}

/// What the broker that serves now has not said again is not this member's any more.
void QueueMember::fence_unconfirmed() {
  for (auto held = held_.begin(); held != held_.end();) {
    const auto next = std::next(held);
    if (!held->second.confirmed) {
      if (held->second.is_out)
        failed(held->first.place, held->first.offset, held->second.attempt, ErrorCode::kFenced);
      forget(held);
    }
    held = next;
  }
}

void QueueMember::forget(std::map<Key, Held>::iterator held) {
  if (held->second.is_out)
    --out_;
  else
    wanted_[held->first.place].erase(held->first.offset);
  held_.erase(held);
}

// What the broker pushes
// -----------------------------------------------------------------------------------------

Result<void> QueueMember::pump(Deadline deadline) {
  if (deadline.remaining_ns() < 100 * kMillisecond) deadline = Deadline::after_ms(100);
  const std::uint32_t news = attachment_.session->header().news.load();
  link_->tend_now_and_then();
  if (news != news_seen_.load() || !link_->is_attached() ||
      link_->attachment() != attachment_.number || join_due_ ||
      attachment_.session->header().revoked.load() != 0)
    link_->tend();
  if (link_->is_attached() && link_->attachment() != attachment_.number) attach_again(deadline);
  if (join_due_ && link_->is_attached()) {
    const auto joined = send_join(deadline);
    const bool passes = !joined && (joined.error().code == ErrorCode::kConnectionLost ||
                                    joined.error().code == ErrorCode::kTimeout ||
                                    joined.error().code == ErrorCode::kDraining);
    if (!joined && !passes) return joined;
  }
  if (!join_due_ && link_->attachment() == attachment_.number) news_seen_.store(news);
  take_pushes();
  drop_expired();
  send_noted();
  return {};
}

void QueueMember::take_pushes() {
  while (const auto push = link_->take_queue_push(group_id_))
    std::visit([this](const auto& message) { take(message); }, *push);
}

void QueueMember::take(const shm::Grants& grants) {
  const Place place{grants.topic_id, grants.partition};
  for (const shm::Grant& grant : grants.grants) {
    if (grants.again && again_left_ > 0) --again_left_;
    const Key key{place, grant.offset};
    // Settled, and the answer is on its way. Another attempt is another delivery.
    if (unconfirmed_.contains({key, grant.attempt})) continue;
    const auto [held, is_new] = held_.try_emplace(key);
    if (is_new || held->second.attempt != grant.attempt) {
      if (!is_new && held->second.is_out) {
        // Lost and handed here again, before this member heard of the loss.
        failed(place, grant.offset, held->second.attempt, ErrorCode::kNotHeld);
        --out_;
      }
      held->second = {.attempt = grant.attempt};
      wanted_[place].insert(grant.offset);
    }
    held->second.until = grants.lock_until_ns;
    held->second.confirmed = true;
    next_expiry_ = std::min(next_expiry_, grants.lock_until_ns);
  }
  if (grants.again && again_left_ == 0) fence_unconfirmed();
}

void QueueMember::take(const shm::Settled& settled) {
  const auto sent = sent_.find(settled.number);
  if (sent == sent_.end()) return;
  const Batch batch = std::move(sent->second);
  sent_.erase(sent);
  std::vector<ErrorCode> codes(batch.items.size(), ErrorCode::kNone);
  for (const shm::SettleFault& fault : settled.faults)
    if (fault.item < codes.size()) codes[fault.item] = fault.code;
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    const Item& item = batch.items[i];
    const Key key{batch.place, item.offset};
    if (item.settlement.outcome == shm::Outcome::kExtend) {
      const auto held = held_.find(key);
      if (held != held_.end() && codes[i] == ErrorCode::kNone)
        held->second.until = settled.lock_until_ns;
    } else {
      unconfirmed_.erase({key, item.attempt});
    }
    // Asked twice of two brokers: the first one had done it.
    const bool was_done = batch.again && codes[i] == ErrorCode::kAlreadySettled;
    if (codes[i] == ErrorCode::kNone || was_done || item.offset == kNoOffset) continue;
    failed(batch.place, item.offset, item.attempt,
           batch.again && codes[i] == ErrorCode::kNotHeld ? ErrorCode::kFenced : codes[i]);
  }
}

void QueueMember::failed(const Place& place, Offset offset, std::uint32_t attempt, ErrorCode code) {
  failures_.push_back({{topic_of(place.first), place.second, offset, attempt, place.first}, code});
}

/// Locks end on boot time, here as at the broker.
void QueueMember::drop_expired() {
  const BootNanos now = boot_now_ns();
  if (now < next_expiry_) return;
  next_expiry_ = INT64_MAX;
  for (auto held = held_.begin(); held != held_.end();) {
    const auto next = std::next(held);
    if (held->second.until <= now) {
      forget(held);  // one that is out is told when its owner settles it: NotHeld
      say_alive_ = true;
    } else {
      next_expiry_ = std::min(next_expiry_, held->second.until);
    }
    held = next;
  }
}

// Settling
// -----------------------------------------------------------------------------------------

std::string QueueMember::topic_of(std::uint64_t id) const {
  const TopicMemory* const topic = readings_.known_topic(id);
  return topic == nullptr ? std::string{} : topic->name();
}

std::optional<QueueMember::Key> QueueMember::key_of(const QueueToken& token) const {
  for (const auto& reading : readings_.all())
    if (reading->where.partition == token.partition && reading->where.topic == token.topic &&
        (token.topic_id == 0 || reading->topic->topic_id() == token.topic_id))
      return Key{{reading->topic->topic_id(), token.partition}, token.offset};
  return std::nullopt;
}

Result<void> QueueMember::settle(const QueueToken& token, const Settlement& settlement) {
  const std::string name = token.topic + "/" + std::to_string(token.partition) + "/" +
                           std::to_string(token.offset) + "/" + std::to_string(token.attempt);
  const auto key = key_of(token);
  if (!key) return fail(ErrorCode::kNotHeld, name);
  if (unconfirmed_.contains({*key, token.attempt})) return fail(ErrorCode::kAlreadySettled, name);
  drop_expired();
  const auto held = held_.find(*key);
  if (held == held_.end() || !held->second.is_out || held->second.attempt != token.attempt)
    return fail(ErrorCode::kNotHeld, name);
  noted_[key->place].push_back({key->offset, token.attempt, settlement});
  if (settlement.outcome != shm::Outcome::kExtend) {
    unconfirmed_.insert({*key, token.attempt});
    forget(held);
  }
  if (++noted_count_ >= kSendAt) send_noted();
  return {};
}

void QueueMember::send_noted() {
  if (join_due_ || !link_->is_attached() || link_->attachment() != attachment_.number) return;
  if (noted_.empty() && say_alive_ && !leaving_) {
    if (send(next_number_++, {})) say_alive_ = false;
    return;
  }
  while (!noted_.empty()) {
    auto first = noted_.begin();
    std::vector<Item>& items = first->second;
    std::size_t count = 0;
    std::size_t notes = 0;
    while (count < items.size() && count < kItemsPerPacket && notes < kNotesPerPacket)
      if (items[count++].settlement.outcome != shm::Outcome::kAck) ++notes;
    const auto end = items.begin() + static_cast<std::ptrdiff_t>(count);
    Batch batch{.place = first->first,
                .items = {std::move_iterator{items.begin()}, std::move_iterator{end}}};
    items.erase(items.begin(), end);
    if (items.empty()) noted_.erase(first);
    noted_count_ -= std::min(noted_count_, count);
    const std::uint64_t number = next_number_++;
    const Batch& sent = sent_.emplace(number, std::move(batch)).first->second;
    say_alive_ = !leaving_ && std::ranges::any_of(sent.items, [](const Item& item) {
      return item.settlement.outcome == shm::Outcome::kReturn;
    });
    // Lost on the way: asked again after the next join.
    if (!send(number, sent)) return;
  }
}

bool QueueMember::send(std::uint64_t number, const Batch& batch) {
  shm::Settle message{.group_id = group_id_,
                      .number = number,
                      .topic_id = batch.place.first,
                      .partition = batch.place.second};
  for (const Item& item : batch.items) {
    const auto index = static_cast<std::uint32_t>(message.items.size());
    message.items.push_back({item.offset, item.attempt, item.settlement.outcome});
    const QueueFailure& failure = item.settlement.failure;
    if (item.settlement.outcome != shm::Outcome::kNack &&
        item.settlement.outcome != shm::Outcome::kReject)
      continue;
    message.notes.push_back({.item = index,
                             .delay_ms = item.settlement.delay_ms,
                             .type = failure.type.substr(0, kTextBytes),
                             .text = failure.text.substr(0, kTextBytes),
                             .handler = failure.handler.substr(0, kTextBytes)});
  }
  return link_->post(attachment_.number, message).has_value();
}

bool QueueMember::is_unconfirmed(const QueueToken& token) const {
  const auto key = key_of(token);
  return key && unconfirmed_.contains({*key, token.attempt});
}

std::vector<FailedSettlement> QueueMember::take_failures() { return std::exchange(failures_, {}); }

Result<void> QueueMember::flush(Deadline deadline) {
  const std::size_t before = failures_.size();
  for (;;) {
    MALLBOTS_TRY(pump(deadline));
    if (noted_.empty() && sent_.empty()) break;
    if (!link_->is_attached() && link_->is_lost())
      return fail(ErrorCode::kConnectionLost, "settlements are not confirmed");
    if (deadline.has_passed()) return fail(ErrorCode::kTimeout, "settlements are not confirmed");
    wait(deadline);
  }
  if (failures_.size() <= before) return {};
  const FailedSettlement& first = failures_[before];
  return fail(first.code, first.token.topic + "/" + std::to_string(first.token.partition) + "/" +
                              std::to_string(first.token.offset) + "/" +
                              std::to_string(first.token.attempt));
}

// Reading
// -----------------------------------------------------------------------------------------

void QueueMember::wait(Deadline deadline) const {
  std::shared_ptr<Session> session;
  std::uint64_t number = 0;
  {
    const std::scoped_lock lock{attachment_lock_};
    session = attachment_.session;
    number = attachment_.number;
  }
  if (!session || deadline.is_try()) return;
  const shm::WaitOn word{&session->header().doorbell,
                         shm::prepare_wait(session->header().doorbell)};
  if (session->header().news.load() != news_seen_.load() || link_->attachment() != number) {
    // News that cannot be taken yet: the broker is between two lives.
    if (link_->is_attached() && link_->attachment() == number) return;
  }
  const BootNanos longest = !link_->is_attached()           ? kDetachedSleep
                            : link_->attachment() != number ? kBlockedSleep
                                                            : kLongestSleep;
  shm::wait_any({&word, 1},
                deadline.remaining_ns() < longest ? deadline : Deadline::after_ns(longest));
}

/// Granted, and not to be had any more: dead letters, if the broker can read them.
void QueueMember::unreadable(const Place& place, Offset below) {
  auto& wanted = wanted_[place];
  while (!wanted.empty() && *wanted.begin() < below) {
    const Key key{place, *wanted.begin()};
    const auto held = held_.find(key);
    noted_[place].push_back(
        {key.offset,
         held->second.attempt,
         {.outcome = shm::Outcome::kReject,
          .failure = {
              .type = "Unreadable", .text = "the record could not be read", .handler = {}}}});
    ++noted_count_;
    unconfirmed_.insert({key, held->second.attempt});
    forget(held);
  }
}

bool QueueMember::read_some(Reading& reading, const Place& place, std::vector<QueueMessage>& out,
                            std::size_t max_messages) {
  std::set<Offset>& wanted = wanted_[place];
  const Offset first = *wanted.begin();
  Cursor& cursor = *reading.cursor;
  if (cursor.next_offset() > first || first - cursor.next_offset() > kReadThrough)
    cursor.go_to(first);
  scratch_.clear();
  const Offset span = *wanted.rbegin() - cursor.next_offset() + 1;
  const auto state =
      cursor.read(scratch_, static_cast<std::size_t>(std::min<Offset>(span, kReadRoom)),
                  Deadline::after_ms(100));
  for (const Message& message : scratch_) {
    unreadable(place, message.offset);
    if (!wanted.contains(message.offset)) continue;
    if (out.size() >= max_messages) {
      cursor.go_to(message.offset);
      return false;
    }
    Held& held = held_.at({place, message.offset});
    held.is_out = true;
    ++out_;
    wanted.erase(message.offset);
    out.push_back({OwnedMessage{message}, held.attempt, held.until});
  }
  switch (state) {
    case Cursor::State::kMore:
      unreadable(place, cursor.next_offset());
      return true;
    case Cursor::State::kSetback:
      if (cursor.setback().code != ErrorCode::kViewExpired) unreadable(place, cursor.setback().end);
      return true;
    case Cursor::State::kFailed:
      pending_ = cursor.error();
      return false;
    case Cursor::State::kIdle:
      // Granted is committed, whatever was published of it: the word knows.
      return cursor.has_more();
    case Cursor::State::kBlocked:
      return false;
  }
  return false;
}

/// Nothing of a deleted topic can be read or settled any more. What is out is told when its owner
/// settles it: NotHeld.
void QueueMember::drop_deleted() {
  for (std::size_t i = readings_.all().size(); i-- > 0;) {
    const Reading& reading = *readings_.all()[i];
    if (reading.topic->state() != shm::BoardState::kGone) continue;
    const Place place{reading.topic->topic_id(), reading.where.partition};
    for (auto held = held_.lower_bound({place, 0});
         held != held_.end() && held->first.place == place;)
      forget(held++);
    pending_ = Error{ErrorCode::kTopicGone, reading.where.topic};
    readings_.remove(reading);
  }
}

/// Where something was granted; null: deleted meanwhile. It may have been made anew under the name.
TopicMemory* QueueMember::topic_at(const Place& place) {
  TopicMemory* known = readings_.known_topic(place.first);
  for (std::size_t i = 0; known == nullptr && i < topics_.size(); ++i) {
    static_cast<void>(readings_.topic(topics_[i], Deadline::after_ms(100)));
    known = readings_.known_topic(place.first);
  }
  return known != nullptr && place.second < known->partitions() ? known : nullptr;
}

Result<void> QueueMember::collect(std::vector<QueueMessage>& out, std::size_t max_messages) {
  drop_deleted();
  for (auto& [place, wanted] : wanted_) {
    if (wanted.empty()) continue;
    Reading* reading = readings_.find(place.first, place.second);
    if (reading == nullptr) {
      TopicMemory* const topic = topic_at(place);
      if (topic == nullptr) continue;
      reading = &readings_.add(*topic, place.second, *wanted.begin());
    }
    if (!reading->cursor) {
      std::vector<Setback> setbacks;
      static_cast<void>(readings_.complete(usual(), setbacks));
      if (!reading->cursor) continue;
    }
    while (!wanted.empty() && out.size() < max_messages)
      if (!read_some(*reading, place, out, max_messages)) break;
  }
  if (pending_ && out.empty()) return std::unexpected(*std::exchange(pending_, std::nullopt));
  return {};
}

Result<std::vector<QueueMessage>> QueueMember::poll(Deadline deadline, std::size_t max_messages) {
  if (group_.empty()) return fail(ErrorCode::kBadArgument, "subscribe first");
  shm::count_call(attachment_.session->header().polls);
  std::vector<QueueMessage> out;
  for (;;) {
    MALLBOTS_TRY(pump(deadline));
    MALLBOTS_TRY(collect(out, max_messages));
    send_noted();
    if (!out.empty() || deadline.has_passed()) return out;
    if (!link_->is_attached() && link_->is_lost())
      return fail(ErrorCode::kConnectionLost, "the broker is away");
    const bool blocked =
        std::ranges::any_of(wanted_, [](const auto& one) { return !one.second.empty(); });
    Deadline until = deadline;
    if (blocked && until.remaining_ns() > kBlockedSleep) until = Deadline::after_ns(kBlockedSleep);
    if (const BootNanos now = boot_now_ns();
        next_expiry_ != INT64_MAX && until.remaining_ns() > next_expiry_ - now)
      until = Deadline::after_ns(std::max<BootNanos>(next_expiry_ - now, kMillisecond));
    wait(until);
  }
}

}  // namespace mallbots::client
