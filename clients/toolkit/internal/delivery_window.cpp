#include "clients/toolkit/internal/delivery_window.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace mallbots::toolkit {
namespace {

/// One key that fails may keep so many messages behind it before others are not reached any more.
constexpr std::size_t kLookAhead = 16;
/// Done offsets above one that is not done are only remembered here: a bound for what comes again
/// when the process dies.
constexpr Offset kMaxSpread = 65'536;
/// Lanes that stand empty are kept for the next message of their key, up to so many.
constexpr std::size_t kIdleLanes = 4'096;
/// A ticket is its serial number and, below, the index of its entry: older ones are smaller.
constexpr std::uint64_t kIndexBits = 24;

bool is_same_partition(const client::Message& one, const client::Message& other) {
  return one.partition == other.partition && one.topic_id == other.topic_id &&
         one.topic == other.topic;
}

}  // namespace

std::size_t DeliveryWindow::room() const noexcept {
  const bool spread = std::ranges::any_of(partitions_, [](const auto& one) {
    const Marks& marks = one.second;
    return !marks.open.empty() && marks.last - marks.open.front().offset >= kMaxSpread;
  });
  if (spread) return 0;
  const std::size_t most = std::min(max_in_flight_ * kLookAhead, std::size_t{1} << kIndexBits);
  return open() < most ? most - open() : 0;
}

// --- Coming in

DeliveryWindow::Marks& DeliveryWindow::marks_of(const client::Message& message) {
  if (last_marks_ == nullptr || last_marks_->partition != message.partition ||
      last_marks_->topic_id != message.topic_id || last_marks_->topic != message.topic) {
    const client::TopicPartition partition{std::string{message.topic}, message.partition};
    const auto known = partitions_.find({partition.topic, partition.partition});
    if (known != partitions_.end() && known->second.topic_id != message.topic_id) drop(partition);
    last_marks_ = &partitions_[{partition.topic, partition.partition}];
    if (last_marks_->told_end == kNoOffset) {
      last_marks_->topic = message.topic;
      last_marks_->partition = message.partition;
      last_marks_->topic_id = message.topic_id;
      last_marks_->told_end = message.offset;
    }
  }
  return *last_marks_;
}

DeliveryWindow::Lane* DeliveryWindow::lane_of(const client::Message& message) {
  if (message.key.empty()) return nullptr;
  // A topic's name has no zero byte, so no two pairs of topic and key meet in one lane.
  lane_name_.assign(message.topic).append(1, '\0').append(message.key_text());
  const auto found = lanes_.find(lane_name_);
  if (found != lanes_.end()) return &found->second;
  if (lanes_.size() >= open() + kIdleLanes)
    std::erase_if(lanes_, [](const auto& lane) { return lane.second.head == kNone; });
  return &lanes_[lane_name_];
}

DeliveryWindow::Index DeliveryWindow::new_entry() {
  if (free_.empty()) {
    entries_.emplace_back();
    return static_cast<Index>(entries_.size() - 1);
  }
  const Index index = free_.back();
  free_.pop_back();
  return index;
}

void DeliveryWindow::add(const client::Message& message) {
  Marks& marks = marks_of(message);
  Lane* const lane = lane_of(message);
  const Index index = new_entry();
  Entry& entry = entries_[index];
  entry.ticket = next_serial_++ << kIndexBits | index;
  if (entry.message == nullptr) entry.message = std::make_shared<client::OwnedMessage>();
  entry.message->assign(message);
  entry.state = State::kWaiting;
  entry.marks = &marks;
  entry.mark = marks.popped + marks.open.size();
  marks.open.push_back({message.offset});
  marks.last = message.offset;
  entry.lane = lane;
  if (lane == nullptr) return queue(index);
  entry.before = lane->tail;
  (lane->tail == kNone ? lane->head : entries_[lane->tail].behind) = index;
  lane->tail = index;
  if (lane->head == index) queue(index);
}

void DeliveryWindow::pass(std::span<const client::Message> messages) {
  while (!messages.empty()) {
    // Mostly all of one partition.
    std::size_t end = messages.size();
    if (!is_same_partition(messages.front(), messages.back()))
      for (end = 1; is_same_partition(messages.front(), messages[end]);) ++end;
    Marks& marks = marks_of(messages.front());
    marks.last = messages[end - 1].offset;
    if (!std::exchange(marks.is_changed, true)) changed_.push_back(&marks);
    messages = messages.subspan(end);
  }
}

/// Makes it one that may be handed out, now or at its time.
void DeliveryWindow::queue(Index index) {
  const Entry& entry = entries_[index];
  if (entry.lane != nullptr) entry.lane->queued = true;
  if (entry.not_before == 0) {
    ready_.push_back(entry.ticket);
    std::ranges::push_heap(ready_, std::greater{});
  } else {
    delayed_.emplace(entry.not_before, entry.ticket);
  }
}

// --- Going out

DeliveryWindow::HandedOut DeliveryWindow::hand_out(Index index) {
  Entry& entry = entries_[index];
  entry.state = State::kOut;
  ++entry.attempts;
  ++in_flight_;
  if (entry.lane != nullptr) ++entry.lane->out;
  return {entry.ticket, entry.message, entry.attempts};
}

void DeliveryWindow::take_many(BootNanos now, std::size_t max, Reach reach,
                               std::vector<HandedOut>& out) {
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    ready_.push_back(delayed_.begin()->second);
    std::ranges::push_heap(ready_, std::greater{});
    delayed_.erase(delayed_.begin());
  }
  const std::size_t most = out.size() + std::min(max, max_in_flight_ - in_flight_);
  while (!ready_.empty() && out.size() < most) {
    std::ranges::pop_heap(ready_, std::greater{});
    Index index = index_of(ready_.back());
    ready_.pop_back();
    Lane* const lane = entries_[index].lane;
    if (lane != nullptr) lane->queued = false;
    do {
      out.push_back(hand_out(index));
      index = entries_[index].behind;
    } while (index != kNone && out.size() < most && entries_[index].not_before <= now);
    if (reach == Reach::kOneKey) return;
  }
}

std::optional<DeliveryWindow::HandedOut> DeliveryWindow::take(BootNanos now) {
  std::vector<HandedOut> one;
  take_many(now, 1, Reach::kOneKey, one);
  if (one.empty()) return std::nullopt;
  return std::move(one.front());
}

BootNanos DeliveryWindow::next_ready() const noexcept {
  return delayed_.empty() ? INT64_MAX : delayed_.begin()->first;
}

// --- Coming back

/// kNone: its partition was taken away.
DeliveryWindow::Index DeliveryWindow::index_of(Ticket ticket) const noexcept {
  const auto index = static_cast<Index>(ticket & ((std::uint64_t{1} << kIndexBits) - 1));
  return index < entries_.size() && entries_[index].ticket == ticket &&
                 entries_[index].state != State::kFree
             ? index
             : kNone;
}

DeliveryWindow::Index DeliveryWindow::handed_out(Ticket ticket) const noexcept {
  const Index index = index_of(ticket);
  return index != kNone && entries_[index].state == State::kOut ? index : kNone;
}

std::optional<DeliveryWindow::History> DeliveryWindow::history(Ticket ticket) const {
  const Index index = handed_out(ticket);
  if (index == kNone) return std::nullopt;
  const Entry& entry = entries_[index];
  if (entry.first == nullptr) return History{.message = entry.message, .attempts = entry.attempts};
  return History{entry.message, entry.attempts, entry.first->failure, entry.first->at_ms};
}

bool DeliveryWindow::done(Ticket ticket) {
  const Index index = handed_out(ticket);
  if (index == kNone) return false;
  const Entry& entry = entries_[index];
  Marks& marks = *entry.marks;
  marks.open[entry.mark - marks.popped].done = true;
  for (; !marks.open.empty() && marks.open.front().done; ++marks.popped) marks.open.pop_front();
  if (!std::exchange(marks.is_changed, true)) changed_.push_back(&marks);
  Lane* const lane = entry.lane;
  --in_flight_;
  if (lane != nullptr) --lane->out;
  unlink(index);
  free_entry(index);
  if (lane != nullptr && lane->out == 0 && lane->head != kNone && !lane->queued) queue(lane->head);
  return true;
}

/// After a failed or not tried one: its lane goes on when all that is out of it is settled.
void DeliveryWindow::settled(Index index) {
  Entry& entry = entries_[index];
  entry.state = State::kWaiting;
  --in_flight_;
  if (entry.lane == nullptr)
    queue(index);
  else if (--entry.lane->out == 0)
    queue(entry.lane->head);
}

bool DeliveryWindow::again(Ticket ticket, BootNanos not_before, const Failure& failure,
                           UnixMillis failed_ms) {
  const Index index = handed_out(ticket);
  if (index == kNone) return false;
  Entry& entry = entries_[index];
  entry.not_before = not_before;
  if (entry.first == nullptr)
    entry.first = std::make_unique<FirstFailure>(FirstFailure{failure, failed_ms});
  settled(index);
  return true;
}

bool DeliveryWindow::put_back(Ticket ticket, BootNanos not_before) {
  const Index index = handed_out(ticket);
  if (index == kNone) return false;
  entries_[index].not_before = not_before;
  --entries_[index].attempts;
  settled(index);
  return true;
}

void DeliveryWindow::unlink(Index index) {
  const Entry& entry = entries_[index];
  if (entry.lane == nullptr) return;
  (entry.before == kNone ? entry.lane->head : entries_[entry.before].behind) = entry.behind;
  (entry.behind == kNone ? entry.lane->tail : entries_[entry.behind].before) = entry.before;
}

void DeliveryWindow::free_entry(Index index) {
  Entry& entry = entries_[index];
  std::shared_ptr<client::OwnedMessage> message = std::move(entry.message);
  entry = Entry{};
  // Its bytes serve the next one, unless a delivery still shows them.
  if (message.use_count() == 1) entry.message = std::move(message);
  free_.push_back(index);
}

std::vector<DeliveryWindow::Progress> DeliveryWindow::take_progress() {
  std::vector<Progress> progress;
  for (Marks* marks : changed_) {
    marks->is_changed = false;
    const Offset end = marks->open.empty() ? marks->last + 1 : marks->open.front().offset;
    if (end <= marks->told_end) continue;
    marks->told_end = end;
    progress.push_back({{marks->topic, marks->partition}, marks->topic_id, end - 1});
  }
  changed_.clear();
  return progress;
}

void DeliveryWindow::drop(const client::TopicPartition& partition) {
  const auto gone = partitions_.find({partition.topic, partition.partition});
  if (gone == partitions_.end()) return;
  for (Index index = 0; index < entries_.size(); ++index) {
    const Entry& entry = entries_[index];
    if (entry.state == State::kFree || entry.marks != &gone->second) continue;
    Lane* const lane = entry.lane;
    if (entry.state == State::kOut) {
      --in_flight_;
      if (lane != nullptr) --lane->out;
    } else if (lane != nullptr && lane->head == index) {
      lane->queued = false;
    }
    delayed_.erase({entry.not_before, entry.ticket});
    unlink(index);
    free_entry(index);
  }
  std::erase_if(ready_, [this](Ticket ticket) { return index_of(ticket) == kNone; });
  std::ranges::make_heap(ready_, std::greater{});
  std::erase(changed_, &gone->second);
  if (last_marks_ == &gone->second) last_marks_ = nullptr;
  partitions_.erase(gone);
  // Whoever names partitions himself may have spread a key over several.
  for (auto& [name, lane] : lanes_)
    if (lane.head != kNone && lane.out == 0 && !lane.queued) queue(lane.head);
}

}  // namespace mallbots::toolkit
