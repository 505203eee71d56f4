#include "clients/toolkit/internal/delivery_window.h"

#include <algorithm>
#include <utility>

namespace mallbots::toolkit {
namespace {

/// One key that fails may keep so many messages behind it before others are not reached any more.
constexpr std::size_t kLookAhead = 16;
/// Done offsets above one that is not done are only remembered here: a bound for what comes again
/// when the process dies.
constexpr Offset kMaxSpread = 65'536;

}  // namespace

std::size_t DeliveryWindow::room() const noexcept {
  const bool spread = std::ranges::any_of(partitions_, [](const auto& one) {
    const Marks& marks = one.second;
    return !marks.open.empty() && marks.last - *marks.open.begin() >= kMaxSpread;
  });
  if (spread) return 0;
  const std::size_t most = max_in_flight_ * kLookAhead;
  return entries_.size() < most ? most - entries_.size() : 0;
}

DeliveryWindow::PartitionKey DeliveryWindow::partition_of(const Entry& entry) {
  const client::Message& message = entry.message->view();
  return {std::string{message.topic}, message.partition};
}

void DeliveryWindow::add(client::OwnedMessage&& message) {
  const Ticket ticket = next_ticket_++;
  Entry& entry = entries_[ticket];
  entry.ticket = ticket;
  entry.message = std::make_shared<const client::OwnedMessage>(std::move(message));
  const client::Message& view = entry.message->view();
  Marks& marks = partitions_[partition_of(entry)];
  if (marks.told_end == kNoOffset) marks.told_end = view.offset;
  marks.open.insert(view.offset);
  marks.last = view.offset;
  if (view.key.empty()) {
    make_ready(entry);
    return;
  }
  // A topic's name has no zero byte, so no two pairs of topic and key meet in one lane.
  entry.lane.append(view.topic).append(1, '\0').append(view.key_text());
  auto& lane = lanes_[entry.lane];
  lane.push_back(ticket);
  if (lane.size() == 1) make_ready(entry);
}

void DeliveryWindow::make_ready(Entry& entry) {
  if (entry.not_before == 0)
    ready_.insert(entry.ticket);
  else
    delayed_.emplace(entry.not_before, entry.ticket);
}

std::optional<DeliveryWindow::HandedOut> DeliveryWindow::take(BootNanos now) {
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    ready_.insert(delayed_.begin()->second);
    delayed_.erase(delayed_.begin());
  }
  if (ready_.empty() || in_flight_ >= max_in_flight_) return std::nullopt;
  Entry& entry = entries_.at(*ready_.begin());
  ready_.erase(ready_.begin());
  entry.is_out = true;
  ++entry.attempts;
  ++in_flight_;
  return HandedOut{entry.ticket, entry.message, entry.attempts};
}

BootNanos DeliveryWindow::next_ready() const noexcept {
  return delayed_.empty() ? INT64_MAX : delayed_.begin()->first;
}

std::optional<DeliveryWindow::History> DeliveryWindow::history(Ticket ticket) const {
  const auto found = entries_.find(ticket);
  if (found == entries_.end()) return std::nullopt;
  const Entry& entry = found->second;
  return History{entry.message, entry.attempts, entry.first, entry.first_failed_ms};
}

bool DeliveryWindow::done(Ticket ticket) {
  const auto found = entries_.find(ticket);
  if (found == entries_.end()) return false;
  --in_flight_;
  const Entry& entry = found->second;
  partitions_[partition_of(entry)].open.erase(entry.message->view().offset);
  forget(found);
  return true;
}

/// Lets the next one of its key go.
void DeliveryWindow::forget(std::map<Ticket, Entry>::iterator entry) {
  const std::string name = std::move(entry->second.lane);
  entries_.erase(entry);
  if (name.empty()) return;
  const auto lane = lanes_.find(name);
  lane->second.pop_front();
  if (lane->second.empty())
    lanes_.erase(lane);
  else
    make_ready(entries_.at(lane->second.front()));
}

bool DeliveryWindow::again(Ticket ticket, BootNanos not_before, const Failure& failure,
                           UnixMillis failed_ms) {
  const auto found = entries_.find(ticket);
  if (found == entries_.end()) return false;
  --in_flight_;
  Entry& entry = found->second;
  entry.is_out = false;
  entry.not_before = not_before;
  if (entry.first_failed_ms == 0) {
    entry.first = failure;
    entry.first_failed_ms = failed_ms;
  }
  make_ready(entry);
  return true;
}

std::vector<DeliveryWindow::Progress> DeliveryWindow::take_progress() {
  std::vector<Progress> progress;
  for (auto& [key, marks] : partitions_) {
    const Offset end = marks.open.empty() ? marks.last + 1 : *marks.open.begin();
    if (end <= marks.told_end) continue;
    marks.told_end = end;
    progress.push_back({{key.first, key.second}, end - 1});
  }
  return progress;
}

void DeliveryWindow::drop(const client::TopicPartition& partition) {
  const PartitionKey key{partition.topic, partition.partition};
  if (partitions_.erase(key) == 0) return;
  std::set<std::string> lanes;
  for (auto at = entries_.begin(); at != entries_.end();) {
    Entry& entry = at->second;
    if (partition_of(entry) != key) {
      ++at;
      continue;
    }
    if (entry.is_out) --in_flight_;
    ready_.erase(entry.ticket);
    delayed_.erase({entry.not_before, entry.ticket});
    if (!entry.lane.empty()) lanes.insert(std::move(entry.lane));
    at = entries_.erase(at);
  }
  // Whoever names partitions himself may have spread a key over several.
  for (const std::string& name : lanes) {
    auto& lane = lanes_.at(name);
    const bool first_went = !entries_.contains(lane.front());
    std::erase_if(lane, [&](Ticket ticket) { return !entries_.contains(ticket); });
    if (lane.empty())
      lanes_.erase(name);
    else if (first_went)
      make_ready(entries_.at(lane.front()));
  }
}

}  // namespace mallbots::toolkit
