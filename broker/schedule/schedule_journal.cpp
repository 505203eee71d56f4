#include "broker/schedule/schedule_journal.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace mallbots::broker {
namespace {

struct Front {
  std::uint32_t kind;
  std::uint32_t items;
};

template <class Item>
std::vector<std::byte> encode(JournalKind kind, std::span<const Item> items) {
  const Front front{static_cast<std::uint32_t>(kind), static_cast<std::uint32_t>(items.size())};
  std::vector<std::byte> bytes(sizeof front + items.size_bytes());
  std::memcpy(bytes.data(), &front, sizeof front);
  if (!items.empty()) std::memcpy(bytes.data() + sizeof front, items.data(), items.size_bytes());
  return bytes;
}

template <class Item>
std::optional<std::vector<Item>> decode(std::uint32_t count, std::span<const std::byte> bytes) {
  if (bytes.size() != std::size_t{count} * sizeof(Item)) return std::nullopt;
  std::vector<Item> items(count);
  if (count > 0) std::memcpy(items.data(), bytes.data(), bytes.size());
  return items;
}

}  // namespace

std::vector<std::byte> encode_ids(JournalKind kind, std::span<const DelayId> ids) {
  return encode(kind, ids);
}
std::vector<std::byte> encode_look_from(std::span<const LookFrom> items) {
  return encode(JournalKind::kLookFrom, items);
}
std::vector<std::byte> encode_pending(std::span<const PendingEntry> items) {
  return encode(JournalKind::kPending, items);
}

bool JournalReplay::add(Offset at, std::span<const std::byte> payload) {
  Front front{};
  if (payload.size() < sizeof front) return false;
  std::memcpy(&front, payload.data(), sizeof front);
  const auto rest = payload.subspan(sizeof front);
  const auto kind = static_cast<JournalKind>(front.kind);
  if (kind == JournalKind::kLookFrom) {
    const auto items = decode<LookFrom>(front.items, rest);
    if (!items) return false;
    for (const LookFrom& item : *items) note(item);
    return true;
  }
  if (kind == JournalKind::kPending) {
    const auto items = decode<PendingEntry>(front.items, rest);
    if (!items) return false;
    if (next_) next_->pending.insert(next_->pending.end(), items->begin(), items->end());
    return true;
  }
  const auto numbers = decode<std::uint64_t>(front.items, rest);
  if (!numbers) return false;
  switch (kind) {
    case JournalKind::kDelivered:
    case JournalKind::kCancelled:
    case JournalKind::kUndeliverable:
      settled_.insert(numbers->begin(), numbers->end());
      if (next_) settled_since_begin_.insert(numbers->begin(), numbers->end());
      return true;
    case JournalKind::kBegin:
      if (numbers->size() != 1) return false;
      next_ = Checkpoint{.at = at, .position = numbers->front(), .pending = {}};
      settled_since_begin_.clear();
      return true;
    case JournalKind::kEnd:
      if (numbers->size() != 1) return false;
      if (!next_ || next_->at != numbers->front()) return true;  // it began before what is kept
      base_ = std::move(*next_);
      next_.reset();
      settled_ = std::move(settled_since_begin_);
      settled_since_begin_.clear();
      return true;
    default:
      return false;
  }
}

void JournalReplay::note(const LookFrom& item) {
  const auto known = std::ranges::find_if(look_from_, [&](const LookFrom& one) {
    return one.topic_id == item.topic_id && one.partition == item.partition;
  });
  if (known == look_from_.end())
    look_from_.push_back(item);
  else
    *known = item;
}

std::vector<PendingEntry> JournalReplay::pending() const {
  std::vector<PendingEntry> left;
  std::ranges::copy_if(base_.pending, std::back_inserter(left),
                       [&](const PendingEntry& entry) { return !settled_.contains(entry.id); });
  return left;
}

}  // namespace mallbots::broker
