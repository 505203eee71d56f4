#include "broker/queues/queue_state.h"

#include <algorithm>

namespace mallbots::broker {
namespace {

std::size_t bytes_of(const DeliveryFailure& failure) noexcept {
  return failure.type.size() + failure.text.size() + failure.handler.size();
}
std::size_t bytes_of(const std::optional<FailureNote>& note) noexcept {
  return note ? bytes_of(note->first) + bytes_of(note->last) : 0;
}

}  // namespace

// The window
// -----------------------------------------------------------------------------------------

QueueState::Item* QueueState::at(Offset offset) noexcept {
  return offset >= low_ && offset - low_ < items_.size() ? &items_[offset - low_] : nullptr;
}

const QueueState::Item* QueueState::at(Offset offset) const noexcept {
  return offset >= low_ && offset - low_ < items_.size() ? &items_[offset - low_] : nullptr;
}

QueueState::Item* QueueState::reach(Offset offset) {
  if (offset < low_ || offset - low_ >= kQueueWindow) return nullptr;
  while (items_.size() <= offset - low_) {
    items_.emplace_back();
    ++counts_[static_cast<std::size_t>(ItemState::kWaiting)];
  }
  return &items_[offset - low_];
}

void QueueState::set_state(Item& item, ItemState state) noexcept {
  --counts_[static_cast<std::size_t>(item.state)];
  ++counts_[static_cast<std::size_t>(state)];
  if (item.delayed) --delayed_count_;
  item.delayed = false;
  item.state = state;
}

void QueueState::load(Offset offset, std::uint64_t key) {
  skip_to(offset);
  Item* const item = reach(offset);
  if (item == nullptr || offset < loaded_end_) return;
  loaded_end_ = offset + 1;
  item->loaded = true;
  item->key = key;
  if (item->state == ItemState::kDone) return advance();
  if (key != 0) {
    const auto [last, first_of_key] = last_of_key_.try_emplace(key, offset);
    if (!first_of_key) {
      at(last->second)->next = static_cast<std::uint32_t>(offset - last->second);
      last->second = offset;
      item->blocked = true;
    }
  }
  if (item->state == ItemState::kWaiting) make_ready(*item, offset);
}

void QueueState::skip_to(Offset offset) {
  while (loaded_end_ < offset) {
    const Offset next = loaded_end_;
    Item* const item = reach(next);
    if (item == nullptr) break;
    loaded_end_ = next + 1;
    item->loaded = true;
    // Low moves up behind it, and with it the window.
    if (item->state == ItemState::kDone)
      advance();
    else
      finish(*item, next);
  }
}

void QueueState::advance() {
  while (!items_.empty() && items_.front().state == ItemState::kDone) {
    --counts_[static_cast<std::size_t>(ItemState::kDone)];
    items_.pop_front();
    ++low_;
  }
  loaded_end_ = std::max(loaded_end_, low_);
}

// Order
// -----------------------------------------------------------------------------------------

void QueueState::list(Item& item, Offset offset) {
  if (item.listed) return;
  item.listed = true;
  (has_last_chance(item) ? last_ : ready_).push(offset);
}

/// Waiting; into the lists that it belongs to.
void QueueState::make_ready(Item& item, Offset offset) {
  if (item.time > 0) {
    if (!item.delayed) ++delayed_count_;
    item.delayed = true;
    due_.emplace(item.time, offset);
  } else if (item.loaded && !item.blocked) {
    list(item, offset);
  }
}

/// The one of its key behind `offset`, which is done, may go.
void QueueState::unblock_next(Offset offset) {
  const Item& from = *at(offset);
  if (!from.loaded || from.key == 0 || from.blocked) return;
  const std::uint64_t key = from.key;
  Offset here = offset;
  while (const std::uint32_t distance = at(here)->next) {
    here += distance;
    Item& item = *at(here);
    item.blocked = false;
    if (item.state == ItemState::kDone) continue;
    if (item.state == ItemState::kWaiting) make_ready(item, here);
    return;
  }
  if (const auto last = last_of_key_.find(key); last != last_of_key_.end() && last->second == here)
    last_of_key_.erase(last);
}

void QueueState::finish(Item& item, Offset offset) {
  set_state(item, ItemState::kDone);
  forget_more(offset);
  unblock_next(offset);
  advance();
}

std::optional<QueueState::Next> QueueState::next_ready(bool last_chance) {
  for (;;) {
    Heap<Offset>& heap = last_chance ? last_ : ready_;
    if (heap.empty()) return std::nullopt;
    const Offset offset = heap.top();
    Item* const item = at(offset);
    const bool may_go = item != nullptr && item->listed && item->loaded && !item->blocked &&
                        item->state == ItemState::kWaiting && item->time == 0;
    if (may_go && has_last_chance(*item) == last_chance) return Next{offset, item->attempts + 1};
    heap.pop();
    if (item == nullptr) continue;
    item->listed = false;
    if (may_go) list(*item, offset);  // the limit was changed: into the other list
  }
}

void QueueState::set_max_deliveries(std::uint32_t count) {
  if (count == max_deliveries_) return;
  max_deliveries_ = count;
  // What was kept apart under the old limit is found by the ordinary way again, and the reverse.
  ready_ = {};
  last_ = {};
  for (std::size_t i = 0; i < items_.size(); ++i) {
    Item& item = items_[i];
    if (!item.listed) continue;
    item.listed = false;
    list(item, low_ + i);
  }
}

// Changes
// -----------------------------------------------------------------------------------------

void QueueState::grant(Offset offset, std::uint32_t attempt, const Holder& holder,
                       BootNanos lock_until) {
  Item* const item = reach(offset);
  if (item == nullptr || item->state == ItemState::kDone) return;
  set_state(*item, ItemState::kHeld);
  item->attempts = attempt;
  item->session = holder.session;
  item->token = holder.token;
  item->time = lock_until;
  if (lock_until != INT64_MAX) note_lock(lock_until, offset);
}

/// Every extension leaves a time behind that holds no more; a member may extend as often as it
/// likes.
void QueueState::note_lock(BootNanos until, Offset offset) {
  constexpr std::size_t kSpare = 64;
  if (locks_.size() > 2 * items_.size() + kSpare) {
    std::vector<Timed> held;
    for (std::size_t i = 0; i < items_.size(); ++i)
      if (items_[i].state == ItemState::kHeld && items_[i].time != INT64_MAX)
        held.emplace_back(items_[i].time, low_ + i);
    locks_ = Heap<Timed>{std::greater<>{}, std::move(held)};
  }
  locks_.emplace(until, offset);
}

void QueueState::done(Offset offset) {
  Item* const item = reach(offset);
  if (item != nullptr && item->state != ItemState::kDone) finish(*item, offset);
}

void QueueState::note_failure(Offset offset, const DeliveryFailure* failure) {
  if (failure == nullptr) return;
  std::optional<FailureNote>& note = more_[offset].note;
  note_bytes_ -= bytes_of(note);
  if (note)
    note->last = kept_of(*failure);
  else
    note = FailureNote{kept_of(*failure), kept_of(*failure)};
  note_bytes_ += bytes_of(note);
}

DeliveryFailure QueueState::kept_of(const DeliveryFailure& failure) const {
  if (note_bytes_ + 2 * bytes_of(failure) <= kQueueNoteBytes) return failure;
  return {.type = failure.type.substr(0, kShortTextBytes),
          .text = {},
          .handler = failure.handler.substr(0, kShortTextBytes),
          .time_ms = failure.time_ms};
}

void QueueState::forget_more(Offset offset) {
  const auto more = more_.find(offset);
  if (more == more_.end()) return;
  note_bytes_ -= bytes_of(more->second.note);
  more_.erase(more);
}

void QueueState::put_back(Offset offset, const DueTime& due, bool counts,
                          const DeliveryFailure* failure) {
  Item* const item = reach(offset);
  if (item == nullptr || item->state == ItemState::kDone) return;
  set_state(*item, ItemState::kWaiting);
  if (!counts && item->attempts > 0) --item->attempts;
  item->time = due.boot_ns;
  note_failure(offset, failure);
  if (due.boot_ns != 0)
    more_[offset].due = due;
  else if (const auto more = more_.find(offset); more != more_.end() && !more->second.note)
    more_.erase(more);
  make_ready(*item, offset);
}

void QueueState::die(Offset offset, DeathReason reason, const DeliveryFailure* failure) {
  Item* const item = reach(offset);
  if (item == nullptr || item->state == ItemState::kDone) return;
  set_state(*item, ItemState::kDead);
  note_failure(offset, failure);
  more_[offset].reason = reason;
}

void QueueState::bury(Offset offset, Offset letter) {
  Item* const item = reach(offset);
  if (item == nullptr || item->state != ItemState::kDead) return;
  set_state(*item, ItemState::kBuried);
  more_[offset].letter = letter;
}

void QueueState::move_low(Offset low) {
  if (low < low_ || low - low_ > items_.size()) {
    const std::uint32_t max_deliveries = max_deliveries_;
    *this = QueueState{low};
    max_deliveries_ = max_deliveries;
    return;
  }
  while (low_ < low && !items_.empty()) {
    Item& item = items_.front();
    if (item.state == ItemState::kDone)
      advance();
    else
      finish(item, low_);
  }
}

void QueueState::restore(const ItemView& view) {
  Item* const item = reach(view.offset);
  if (item == nullptr || item->state == ItemState::kDone) return;
  set_state(*item, view.state);
  item->attempts = view.attempts;
  More more{.due = view.due, .reason = view.reason, .letter = view.letter, .note = {}};
  if (view.note != nullptr) more.note = {kept_of(view.note->first), kept_of(view.note->last)};
  switch (view.state) {
    case ItemState::kWaiting:
      item->time = view.due.boot_ns;
      make_ready(*item, view.offset);
      if (view.due.boot_ns == 0 && view.note == nullptr) return;
      break;
    case ItemState::kHeld:
      item->session = view.holder.session;
      item->token = view.holder.token;
      item->time = INT64_MAX;
      if (view.note == nullptr) return;
      break;
    case ItemState::kDone:
      return finish(*item, view.offset);
    case ItemState::kDead:
    case ItemState::kBuried:
      break;
  }
  forget_more(view.offset);
  note_bytes_ += bytes_of(more.note);
  more_.insert_or_assign(view.offset, std::move(more));
}

// Looking
// -----------------------------------------------------------------------------------------

ErrorCode QueueState::held_by(Offset offset, std::uint32_t attempt, SessionIndex session) const {
  if (offset < low_) return ErrorCode::kAlreadySettled;
  const Item* const item = at(offset);
  if (item == nullptr) return ErrorCode::kNotHeld;
  if (item->state == ItemState::kDone) return ErrorCode::kAlreadySettled;
  if (item->state == ItemState::kDead || item->state == ItemState::kBuried)
    return item->attempts == attempt ? ErrorCode::kAlreadySettled : ErrorCode::kNotHeld;
  const bool held =
      item->state == ItemState::kHeld && item->attempts == attempt && item->session == session;
  return held ? ErrorCode::kNone : ErrorCode::kNotHeld;
}

void QueueState::extend(Offset offset, BootNanos lock_until) {
  Item* const item = at(offset);
  if (item == nullptr || item->state != ItemState::kHeld) return;
  item->time = lock_until;
  note_lock(lock_until, offset);
}

ItemView QueueState::view(const Item& item, Offset offset) const {
  ItemView view{.offset = offset, .state = item.state, .attempts = item.attempts};
  if (item.state == ItemState::kHeld) view.holder = {item.session, item.token};
  if (const auto more = more_.find(offset); more != more_.end()) {
    if (item.state == ItemState::kWaiting && item.time != 0) view.due = more->second.due;
    view.reason = more->second.reason;
    view.letter = more->second.letter;
    view.note = more->second.note ? &*more->second.note : nullptr;
  }
  return view;
}

std::optional<ItemView> QueueState::find(Offset offset) const {
  const Item* const item = at(offset);
  return item == nullptr ? std::nullopt : std::optional{view(*item, offset)};
}

void QueueState::wake(BootNanos now) {
  while (!due_.empty() && due_.top().first <= now) {
    const auto [time, offset] = due_.top();
    due_.pop();
    Item* const item = at(offset);
    if (item == nullptr || item->state != ItemState::kWaiting || item->time != time) continue;
    if (item->delayed) --delayed_count_;
    item->delayed = false;
    item->time = 0;
    make_ready(*item, offset);
  }
}

std::optional<Offset> QueueState::expired(BootNanos now) {
  while (!locks_.empty() && locks_.top().first <= now) {
    const auto [time, offset] = locks_.top();
    const Item* const item = at(offset);
    if (item != nullptr && item->state == ItemState::kHeld && item->time == time) return offset;
    locks_.pop();
  }
  return std::nullopt;
}

BootNanos QueueState::next_time() {
  BootNanos next = INT64_MAX;
  // Locks that were given back long ago would wake an idle broker for nothing.
  while (!locks_.empty()) {
    const auto [time, offset] = locks_.top();
    const Item* const item = at(offset);
    if (item != nullptr && item->state == ItemState::kHeld && item->time == time) {
      next = time;
      break;
    }
    locks_.pop();
  }
  while (!due_.empty()) {
    const auto [time, offset] = due_.top();
    const Item* const item = at(offset);
    if (item != nullptr && item->state == ItemState::kWaiting && item->time == time) {
      next = std::min(next, time);
      break;
    }
    due_.pop();
  }
  return next;
}

void QueueState::for_each(const std::function<void(const ItemView&)>& visit) const {
  for (std::size_t i = 0; i < items_.size(); ++i) visit(view(items_[i], low_ + i));
}

std::vector<ItemView> QueueState::all_in(ItemState state) const {
  std::vector<ItemView> found;
  for (std::size_t i = 0; found.size() < count(state) && i < items_.size(); ++i)
    if (items_[i].state == state) found.push_back(view(items_[i], low_ + i));
  return found;
}

std::vector<bool> QueueState::done_bits() const {
  std::vector<bool> bits;
  for (std::size_t i = 0; i < items_.size(); ++i)
    if (items_[i].state == ItemState::kDone) {
      bits.resize(i + 1);
      bits[i] = true;
    }
  return bits;
}

}  // namespace mallbots::broker
