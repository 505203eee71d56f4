#include "broker/schedule/schedule.h"

#include <algorithm>
#include <utility>

#include "shm/base/crash_point.h"

namespace mallbots::broker {
namespace {

constexpr std::size_t kIntakeBytes = 256 * 1024;
constexpr std::size_t kLookupBytes = 4096;
constexpr int kLookupReads = 64;
// Per turn: the loop has others to serve.
constexpr std::size_t kDueAtOnce = 4096;
constexpr std::size_t kDeliveriesAtOnce = 64;
/// Targets are looked through from so near their ends after a crash.
constexpr Offset kLookThrough = 65'536;
constexpr BootNanos kMoveNotesEvery = kSecond;
/// The wall clock may be set while the loop sleeps.
constexpr BootNanos kLookAtClock = 60 * kSecond;
constexpr BootNanos kRetrySoon = 2 * kMillisecond;

// A record of record.max of usual topics, with what the delay adds, must fit into half a slot.
const std::vector<shm::Setting> kDelaySettings = {{"slot.bytes", "4MiB", false},
                                                  {"flush.interval", "1ms", false}};
const std::vector<shm::Setting> kJournalSettings = {{"slot.bytes", "128KiB", false},
                                                    {"segment.bytes", "4MiB", false}};

}  // namespace

Result<Topic*> Schedule::open() {
  if (delayed_ != nullptr) return delayed_;
  const auto own = [&](const char* name, std::span<const shm::Setting> text) -> Result<Topic*> {
    const auto settings = new_settings(1, text);
    if (!settings) return std::unexpected(settings.error());
    return parts_.topics.internal(name, *settings);
  };
  // The journal first: with a delay log there is always one.
  auto journal = own(kDelayJournal, kJournalSettings);
  if (!journal) return journal;
  CRASH_POINT("schedule.make_delay_log");
  auto delayed = own(shm::kDelayLog, kDelaySettings);
  if (!delayed) return delayed;
  journal_ = *journal;
  delayed_ = *delayed;
  attach_topics();
  return delayed_;
}

BootNanos Schedule::duty(BootNanos now) {
  BootNanos next_look = INT64_MAX;
  if (delayed_ == nullptr) return next_look;
  take_in(now, next_look);
  if (!moments_.empty() || !busy_.empty()) {
    // The clock of the stamps: nothing is stamped before it was due.
    const UnixMillis wall_ms = wall_coarse_ms();
    make_due(wall_ms);
    deliver(now, next_look);
    if (!moments_.empty()) {
      const std::int64_t wait_ms =
          std::clamp<std::int64_t>(moments_.top().first - wall_ms, 0, kLookAtClock / kMillisecond);
      next_look = std::min(next_look, now + wait_ms * kMillisecond);
    }
  }
  settle_durable();
  write_settled(now, next_look);
  move_notes(now);
  checkpoint(now, next_look);
  return next_look;
}

std::optional<Offset> Schedule::write(std::span<const std::byte> payload, bool flush) {
  CRASH_POINT("schedule.journal");
  const WriteOutcome outcome = journal().writer().append(
      {.payload = payload, .type = shm::RecordType::kControl}, {.flush = flush});
  if (outcome.status != WriteStatus::kAppended) return std::nullopt;
  return outcome.offset;
}

// --- Coming

void Schedule::take_in(BootNanos now, BootNanos& next_look) {
  hold_back();
  if (timers_.size() >= options_.pending_max) return;
  if (intake_->next_offset() >= delayed().durable_offset()) return;
  const auto batch = intake_->read(kIntakeBytes);
  if (!batch) {
    parts_.say("the delay log cannot be read: " + batch.error().sentence());
    next_look = std::min(next_look, now + kSecond);
    return;
  }
  for (const LostRange& lost : (*batch)->lost)
    if (lost.damaged)
      parts_.say("delayed records " + std::to_string(lost.first) + " to " +
                 std::to_string(lost.end - 1) + " are damaged and will not be delivered");
  for (const shm::RecordView& view : (*batch)->records) take(view);
  if (!(*batch)->at_end) next_look = now;
}

/// A turn takes in so much; who asks must not hear that what was acknowledged is not there. A
/// checkpoint bounds what there is after a start.
void Schedule::catch_up() {
  if (delayed_ == nullptr) return;
  BootNanos next_look = INT64_MAX;
  for (Offset before = kNoOffset; intake_->next_offset() != before;) {
    before = intake_->next_offset();
    take_in(boot_now_ns(), next_look);
  }
}

void Schedule::take(const shm::RecordView& view) {
  const DelayId id = view.header->offset;
  ++changes_;
  if (settled_before_.erase(id) != 0) return;
  const auto target = shm::parse_delay(view.attributes);
  const char* const why = target ? unfit(view, *target) : "it says neither when nor where to";
  if (why != nullptr) {
    parts_.say("delayed record " + std::to_string(id) + " is undeliverable: " + why);
    settle(id, JournalKind::kUndeliverable);
    return;
  }
  add_timer(id, {.due_ms = target->due_ms,
                 .target = {TopicId{target->topic_id}, target->partition},
                 .bytes = view.header->length});
}

/// Clients are asked to look at all of this before; who does not cannot be answered any more.
const char* Schedule::unfit(const shm::RecordView& view, const shm::DelayTarget& target) const {
  const Topic* const topic = parts_.topics.find(TopicId{target.topic_id});
  if (topic == nullptr) return "there is no such topic";
  if (topic->is_internal()) return "its topic is one of the broker's own";
  if (target.partition >= topic->partitions()) return "its topic has no such partition";
  if (topic->settings().exclusive) return "its topic has producers=exclusive";
  if (topic->settings().events) return "its topic has type=events";
  if (view.header->length > topic->settings().record_max_bytes)
    return "it is larger than its topic takes";
  // The stamp is not older than the clock that the due time was reckoned from, give or take.
  constexpr std::int64_t kSlackMs = 60'000;
  if (target.due_ms - view.header->timestamp_ms > options_.delay_max_ms + kSlackMs)
    return "it is to be delayed longer than delay.max";
  return nullptr;
}

void Schedule::add_timer(DelayId id, const Timer& timer) {
  const auto [at, is_new] = timers_.emplace(id, timer);
  if (!is_new) return;
  Target& target = targets_[timer.target];
  ++target.pending;
  if (const auto before = delivered_before_.find(id); before != delivered_before_.end()) {
    at->second.state = State::kFlying;
    const Flying flying{before->second.second, id};
    target.flying.insert(std::ranges::upper_bound(target.flying, flying.at, {}, &Flying::at),
                         flying);
    busy_.insert(timer.target);
    delivered_before_.erase(before);
    return;
  }
  moments_.emplace(timer.due_ms, id);
  // Ahead of time, so that the first delivery need not wait for the disk.
  static_cast<void>(is_noted(timer.target, target));
}

/// More than memory may hold waits on the disk, and whoever comes is told.
void Schedule::hold_back() {
  const std::uint64_t most = options_.pending_max;
  const bool full = timers_.size() >= (held_back_ ? most / 10 * 9 : most);
  if (full && !held_back_)
    parts_.say("delay.pending.max is reached: no more delayed records are taken");
  if (full && delayed().readonly() == ErrorCode::kNone)
    delayed().set_readonly(ErrorCode::kLimitReached);
  if (!full && delayed().readonly() == ErrorCode::kLimitReached)
    delayed().set_readonly(ErrorCode::kNone);
  held_back_ = full;
}

// --- Going

void Schedule::make_due(UnixMillis wall_ms) {
  for (std::size_t i = 0; i < kDueAtOnce && !moments_.empty(); ++i) {
    const auto [due_ms, id] = moments_.top();
    if (due_ms > wall_ms) return;
    moments_.pop();
    const auto timer = timers_.find(id);
    if (timer == timers_.end() || timer->second.state != State::kPending) continue;
    timer->second.state = State::kDue;
    targets_[timer->second.target].due.push_back(id);
    busy_.insert(timer->second.target);
  }
}

void Schedule::deliver(BootNanos now, BootNanos& next_look) {
  for (auto key = busy_.begin(); key != busy_.end();) {
    Target& target = targets_.at(*key);
    for (std::size_t i = 0; i < kDeliveriesAtOnce && !target.due.empty(); ++i) {
      if (now < target.retry_at || deliver_one(*key, target, now) == Step::kLater) break;
      if (i + 1 == kDeliveriesAtOnce) next_look = now;
    }
    if (target.retry_at > now && !target.due.empty())
      next_look = std::min(next_look, target.retry_at);
    key = target.due.empty() && target.flying.empty() ? busy_.erase(key) : std::next(key);
  }
}

Schedule::Step Schedule::deliver_one(const TargetKey& key, Target& target, BootNanos now) {
  const DelayId id = target.due.front();
  const auto timer = timers_.find(id);
  const auto give_up = [&](const std::string& why) {
    parts_.say("delayed record " + std::to_string(id) + " is undeliverable: " + why);
    target.due.pop_front();
    settle(id, JournalKind::kUndeliverable);
    return Step::kDone;
  };
  const auto later = [&](BootNanos pause) {
    target.retry_at = now + pause;
    return Step::kLater;
  };
  if (timer == timers_.end() || timer->second.state != State::kDue) {  // cancelled
    target.due.pop_front();
    return Step::kDone;
  }
  Topic* const topic = parts_.topics.find(key.first);
  if (topic == nullptr) return give_up("its topic was deleted");
  if (topic->partition(key.second).quarantine()) return later(kSecond);
  if (!is_noted(key, target))
    return target.noted_at == kNoOffset ? later(kRetrySoon) : Step::kLater;
  const auto found = find_record(id);
  if (!found) {
    parts_.say("the delay log cannot be read: " + found.error().sentence());
    return later(kSecond);
  }
  const auto delay = *found != nullptr ? shm::parse_delay((*found)->attributes) : std::nullopt;
  if (!delay) return give_up("it is damaged");
  const shm::RecordView& view = **found;
  attributes_.clear();
  shm::put_delivered(attributes_, view.attributes, *delay, id);
  CRASH_POINT("schedule.deliver");
  const WriteOutcome outcome = topic->partition(key.second)
                                   .writer()
                                   .append({.payload = view.payload,
                                            .key = view.key,
                                            .attributes = attributes_,
                                            .type = view.header->type,
                                            .flags = view.header->flags});
  CRASH_POINT("schedule.delivered");
  switch (outcome.status) {
    case WriteStatus::kAppended:
      timer->second.state = State::kFlying;
      target.flying.push_back({outcome.offset, id});
      target.due.pop_front();
      return Step::kDone;
    case WriteStatus::kTooLarge:
      return give_up("it is larger than its topic takes");
    case WriteStatus::kReadOnly:
    case WriteStatus::kClosed:
      return later(kSecond / 4);
    case WriteStatus::kBusy:
    case WriteStatus::kNoRoom:
    case WriteStatus::kConflict:
      break;
  }
  return later(kRetrySoon);
}

/// The record in the delay log; null: it is lost.
Result<const shm::RecordView*> Schedule::find_record(DelayId id) {
  lookup_->seek(id);
  for (int i = 0; i < kLookupReads; ++i) {
    const auto batch = lookup_->read(kLookupBytes);
    if (!batch) return std::unexpected(batch.error());
    // What is lost may also be a neighbour behind the record.
    if (!(*batch)->records.empty()) {
      const shm::RecordView& first = (*batch)->records.front();
      return first.header->offset == id ? &first : nullptr;
    }
    if (!(*batch)->lost.empty() || (*batch)->at_end) return nullptr;
  }
  return nullptr;
}

// --- Where to look after a crash

/// True once a durable note says from where on the target is to be looked through.
bool Schedule::is_noted(const TargetKey& key, Target& target) {
  if (target.noted_at == kNoOffset)
    if (const auto at = note(key, target, true)) target.noted_at = *at;
  return target.noted_at != kNoOffset && is_durable(target.noted_at);
}

std::optional<Offset> Schedule::note(const TargetKey& key, Target& target, bool flush) {
  Topic* const topic = parts_.topics.find(key.first);
  if (topic == nullptr) return std::nullopt;
  // They lie below, and nobody has been told yet.
  if (!settled_[JournalKind::kDelivered].empty()) return std::nullopt;
  const Partition& partition = topic->partition(key.second);
  // Nobody has looked through it.
  const Offset from = partition.quarantine() ? target.look_from : partition.end_offset();
  if (from == kNoOffset) return std::nullopt;
  LookFrom item{static_cast<std::uint64_t>(key.first), from, key.second};
  if (!target.flying.empty()) item.offset = std::min(item.offset, target.flying.front().at);
  // Delivered by a predecessor, and not taken in yet.
  for (const auto& [id, where] : delivered_before_)
    if (where.first == key) item.offset = std::min(item.offset, where.second);
  const auto at = write(encode_look_from({&item, 1}), flush);
  if (at) target.look_from = item.offset;
  return at;
}

/// Follows the targets, so that little is to be looked through; forgets who gets nothing any more.
void Schedule::move_notes(BootNanos now) {
  if (now < notes_moved_ + kMoveNotesEvery) return;
  notes_moved_ = now;
  for (auto at = targets_.begin(); at != targets_.end();) {
    auto& [key, target] = *at;
    Topic* const topic = parts_.topics.find(key.first);
    const bool far = topic != nullptr && target.noted_at != kNoOffset &&
                     !topic->partition(key.second).quarantine() &&
                     topic->partition(key.second).end_offset() - target.look_from > kLookThrough;
    bool gone = target.pending == 0 && topic == nullptr;
    if (far && target.pending != 0) static_cast<void>(note(key, target, false));
    if (far && target.pending == 0 && delivered_before_.empty()) {
      const LookFrom nothing{static_cast<std::uint64_t>(key.first), kNoOffset, key.second};
      gone = write(encode_look_from({&nothing, 1})).has_value();
    }
    if (gone) busy_.erase(key);
    at = gone ? targets_.erase(at) : std::next(at);
  }
}

// --- Telling the journal

bool Schedule::is_durable(Offset journal_offset) const {
  return journal_ != nullptr && journal().durable_offset() > journal_offset;
}

void Schedule::settle_durable() {
  for (const TargetKey& key : busy_) {
    Target& target = targets_.at(key);
    Topic* const topic = parts_.topics.find(key.first);
    const Offset durable =
        topic == nullptr ? kNoOffset : topic->partition(key.second).durable_offset();
    for (; !target.flying.empty() && target.flying.front().at < durable; target.flying.pop_front())
      settle(target.flying.front().id, JournalKind::kDelivered);
  }
}

void Schedule::settle(DelayId id, JournalKind kind) {
  if (const auto timer = timers_.find(id); timer != timers_.end())
    timer->second.state = State::kSettled;
  settled_[kind].push_back(id);
}

void Schedule::write_settled(BootNanos now, BootNanos& next_look) {
  for (auto& [kind, ids] : settled_) {
    while (!ids.empty()) {
      const std::span batch = std::span{ids}.first(std::min(ids.size(), kMaxJournalItems));
      if (!write(encode_ids(kind, batch))) {
        const bool refused = journal().readonly() != ErrorCode::kNone;
        next_look = std::min(next_look, now + (refused ? kSecond : kRetrySoon));
        return;
      }
      for (const DelayId id : batch) forget(id);
      changes_ += batch.size();
      (kind == JournalKind::kDelivered ? counters_.delivered : counters_.undeliverable) +=
          batch.size();
      ids.erase(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(batch.size()));
    }
  }
}

void Schedule::forget(DelayId id) {
  const auto timer = timers_.find(id);
  if (timer == timers_.end()) return;
  --targets_.at(timer->second.target).pending;
  timers_.erase(timer);
}

// --- Checkpoints

void Schedule::checkpoint(BootNanos now, BootNanos& next_look) {
  if (!checkpoint_) {
    if (changes_ < options_.checkpoint_changes + 2 * timers_.size()) return;
    // What was settled, or delivered and perhaps not told, before this broker and is not taken in
    // yet is known by entries before it.
    const Offset taken_in = intake_->next_offset();
    std::erase_if(delivered_before_, [=](const auto& one) { return one.first < taken_in; });
    if (!settled_before_.empty() || !delivered_before_.empty()) return;
    const std::uint64_t position = intake_->next_offset();
    const auto begin = write(encode_ids(JournalKind::kBegin, {&position, 1}));
    if (!begin) return;
    checkpoint_ = Checkpoint{.begin = *begin, .position = position};
    changes_ = 0;
  }
  Checkpoint& mine = *checkpoint_;
  if (mine.end != kNoOffset) {
    if (!is_durable(mine.end)) return;
    const Offset oldest = timers_.empty() ? mine.position : timers_.begin()->first;
    static_cast<void>(journal().drop_before(mine.begin));
    static_cast<void>(delayed().drop_before(std::min(oldest, mine.position)));
    checkpoint_.reset();
    return;
  }
  next_look = std::min(next_look, now + kRetrySoon);
  std::vector<PendingEntry> items;
  for (auto at = timers_.lower_bound(mine.next);
       at != timers_.end() && at->first < mine.position && items.size() < kMaxJournalItems; ++at)
    items.push_back({at->first, at->second.due_ms,
                     static_cast<std::uint64_t>(at->second.target.first), at->second.target.second,
                     at->second.bytes});
  if (!items.empty()) {
    if (write(encode_pending(items))) mine.next = items.back().id + 1;
    return;
  }
  // The notes before it go with the journal's beginning, a predecessor's too.
  for (auto& [key, target] : targets_) {
    const bool has_note = target.noted_at != kNoOffset || target.look_from != kNoOffset;
    if ((has_note || !target.flying.empty()) && !note(key, target, false) &&
        parts_.topics.find(key.first) != nullptr)
      return;
  }
  if (const auto end = write(encode_ids(JournalKind::kEnd, {&mine.begin, 1}), true))
    mine.end = *end;
}

// --- What people ask

Result<Offset> Schedule::cancel(DelayId id) {
  catch_up();
  const auto known = timers_.find(id);
  if (known == timers_.end()) {
    if (delayed_ != nullptr && id >= intake_->next_offset() && id < delayed().end_offset())
      return fail(ErrorCode::kTimeout,
                  "delayed record " + std::to_string(id) + " is not on the disk yet");
    return fail(ErrorCode::kUnknownDelayed, std::to_string(id));
  }
  if (known->second.state != State::kPending && known->second.state != State::kDue)
    return fail(ErrorCode::kUnknownDelayed, std::to_string(id) + " is delivered already");
  const auto at = write(encode_ids(JournalKind::kCancelled, {&id, 1}), true);
  if (!at) return fail(ErrorCode::kTimeout, "the journal of delayed records takes nothing now");
  forget(id);
  ++changes_;
  ++counters_.cancelled;
  return *at;
}

std::vector<ScheduleRow> Schedule::list(DelayId after, std::size_t count) {
  catch_up();
  std::vector<ScheduleRow> rows;
  for (auto at = after == kNoOffset ? timers_.begin() : timers_.upper_bound(after);
       at != timers_.end() && rows.size() < count; ++at)
    if (at->second.state == State::kPending || at->second.state == State::kDue)
      rows.push_back({at->first, at->second.due_ms, at->second.target.first,
                      at->second.target.second, at->second.bytes});
  return rows;
}

std::optional<ScheduleRow> Schedule::find(DelayId id) {
  const auto rows = id == 0 ? list(kNoOffset, 1) : list(id - 1, 1);
  if (rows.empty() || rows.front().id != id) return std::nullopt;
  return rows.front();
}

std::int64_t Schedule::overdue_ms(UnixMillis wall_ms) const {
  std::int64_t longest = 0;
  for (const TargetKey& key : busy_)
    for (const DelayId id : targets_.at(key).due)
      if (const auto timer = timers_.find(id); timer != timers_.end()) {
        longest = std::max(longest, wall_ms - timer->second.due_ms);
        break;
      }
  return longest;
}

}  // namespace mallbots::broker
