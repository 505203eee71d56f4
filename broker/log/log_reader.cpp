#include "broker/log/log_reader.h"

#include <algorithm>
#include <cstring>

namespace mallbots::broker {

namespace {

/// Going over so many records is cheaper than looking for one.
constexpr Offset kNear = 256;

}  // namespace

template <class Place>
bool LogReader::leads_on(const Place& place) const noexcept {
  return place.offset <= next_ && (place.sought == next_ || next_ - place.offset < kNear);
}

Offset LogReader::limit() const noexcept {
  return up_to_ == ReadUpTo::kDurable ? partition_.durable_offset() : partition_.end_offset();
}

void LogReader::skip_to(Offset offset, bool damaged) {
  if (offset <= next_) return;
  batch_.lost.push_back({next_, offset, damaged});
  next_ = offset;
}

Result<const LogBatch*> LogReader::read(std::size_t bytes) {
  batch_.records.clear();
  batch_.lost.clear();
  batch_.at_end = false;
  if (const auto& why = partition_.quarantine()) return std::unexpected(*why);
  skip_to(std::min(partition_.start_offset(), limit()), false);
  if (next_ >= limit()) {
    batch_.at_end = true;
    return &batch_;
  }
  if (next_ >= partition_.ring().oldest_offset()) {
    read_hot(bytes);
  } else {
    MALLBOTS_TRY(read_cold(bytes));
  }
  batch_.at_end = batch_.at_end || next_ >= limit();
  return &batch_;
}

/// On the way to next_, as much as usually leads there.
std::size_t LogReader::enough(std::size_t bytes, Offset from) const noexcept {
  return std::max<std::size_t>(bytes, from < next_ ? shm::kIndexStrideBytes : shm::kUnitBytes);
}

/// Goes over window_ and takes what lies below the limit.
LogReader::Walked LogReader::walk(shm::RecordWalker walker) {
  const std::uint64_t begin = walker.byte();
  const Offset until = limit();
  Walked walked{.end_byte = begin, .end_offset = walker.expected()};
  for (;;) {
    const auto rest = std::span{window_.bytes}.subspan(walked.end_byte - begin);
    const shm::WalkStep step = walker.next(rest, window_.is_last);
    if (step.kind == shm::WalkStep::kEnd) return walked;
    if (step.kind == shm::WalkStep::kNeedMore) {
      if (walked.end_byte == begin) walked.need_bytes = step.need_bytes;
      return walked;
    }
    if (step.kind == shm::WalkStep::kPad) {
      walked.end_byte = step.end_byte;
      continue;
    }
    // Damage up to the end of the window: only the one who closed the slot or the file knows how
    // many offsets it cost.
    const bool is_damage = step.kind != shm::WalkStep::kRecord;
    const bool open_end =
        is_damage && step.end_offset == step.first_offset &&
        (step.kind == shm::WalkStep::kUnwritten || step.end_byte >= begin + window_.bytes.size());
    if (open_end && window_.end_offset == kNoOffset) {
      walked.stopped = true;
      return walked;
    }
    if (open_end) {
      walked.end_byte = begin + window_.bytes.size();
      walked.end_offset = std::max(walked.end_offset, window_.end_offset);
      skip_to(std::min(window_.end_offset, until), true);
      return walked;
    }
    if (step.end_offset > until) {
      walked.stopped = true;
      return walked;
    }
    walked.end_byte = step.end_byte;
    walked.end_offset = step.end_offset;
    if (step.end_offset <= next_) continue;
    if (is_damage || step.view.header->type == shm::RecordType::kDamaged) {
      skip_to(step.end_offset, true);
      continue;
    }
    batch_.records.push_back(step.view);
    next_ = step.end_offset;
  }
}

void LogReader::read_hot(std::size_t bytes) {
  const SlotRing& ring = partition_.ring();
  if (!hot_ || hot_->slot_gen < ring.slots().front().slot_gen || !leads_on(*hot_)) {
    const PersistCursor cursor = partition_.cursor_at(next_);
    hot_ = {cursor.slot_gen, std::uint64_t{cursor.units} * shm::kUnitBytes, next_, next_};
  }
  bytes = enough(bytes, hot_->offset);
  for (;;) {
    const SlotGen index = hot_->slot_gen - ring.slots().front().slot_gen;
    if (index >= ring.slots().size()) break;
    const HotSlot& slot = ring.slots()[index];
    const shm::Word word = shm::load_word_seq_cst(slot.header());
    const std::size_t tail =
        std::min(std::size_t{word.tail_units()} * shm::kUnitBytes, slot.data().size());
    const std::size_t from = std::min<std::size_t>(hot_->byte, tail);
    window_.bytes.resize(std::min(tail - from, bytes / shm::kUnitBytes * shm::kUnitBytes));
    std::memcpy(window_.bytes.data(), slot.data().data() + from, window_.bytes.size());
    window_.is_last = from + window_.bytes.size() == tail;
    window_.end_offset = kNoOffset;
    if (word.sealed())
      if (const auto end = shm::log_end(slot.header(), slot.slot_gen))
        window_.end_offset = end->next_offset;
    const Walked walked =
        walk(shm::RecordWalker{{.seed = shm::record_seed(partition_.id(), partition_.log_epoch()),
                                .expected = hot_->offset,
                                .byte = from}});
    if (walked.need_bytes != 0) {
      bytes = std::max<std::size_t>(walked.need_bytes + shm::kUnitBytes, 2 * bytes);
      continue;
    }
    hot_->byte = walked.end_byte;
    hot_->offset = walked.end_offset;
    if (walked.stopped) break;
    if (walked.end_byte < tail || !word.sealed()) {
      batch_.at_end = walked.end_byte >= tail;
      return;
    }
    hot_ = {hot_->slot_gen + 1, 0, hot_->offset, hot_->sought};
    if (!batch_.records.empty()) return;
  }
  batch_.at_end = true;
}

/// Makes cold_ stand at or before next_ in that segment.
Result<void> LogReader::open_cold(const SegmentInfo& segment) {
  const PartitionStore& store = *partition_.store();
  const bool same = cold_ && cold_->number == segment.number;
  if (same && leads_on(*cold_)) return {};
  auto start = store.seek_offset(segment, next_);
  if (!start) return std::unexpected(std::move(start).error());
  if (!same) {
    auto file = store.open_for_reading(segment);
    if (!file) return std::unexpected(std::move(file).error());
    cold_.emplace(ColdPlace{.file = std::move(*file), .number = segment.number});
  }
  cold_->byte = start->byte;
  cold_->offset = start->offset;
  cold_->sought = next_;
  return {};
}

Result<void> LogReader::read_cold(std::size_t bytes) {
  const Offset hot = partition_.ring().oldest_offset();
  const PartitionStore* const store = partition_.store();
  const SegmentInfo* const segment = store != nullptr ? store->locate(next_) : nullptr;
  if (segment == nullptr) {
    // A segment that is missing, or a memory topic that was faster.
    Offset next = std::min(hot, limit());
    if (store != nullptr)
      for (const SegmentInfo& one : store->segments())
        if (one.base_offset > next_) next = std::min(next, one.base_offset);
    skip_to(next, store != nullptr);
    return {};
  }
  MALLBOTS_TRY(open_cold(*segment));
  bytes = enough(bytes, cold_->offset);
  for (;;) {
    const std::uint64_t left = segment->end_byte - std::min(segment->end_byte, cold_->byte);
    window_.bytes.resize(std::min<std::uint64_t>(left, bytes));
    auto got = disk_.read(cold_->file, cold_->byte, window_.bytes);
    if (!got) return std::unexpected(std::move(got).error());
    window_.is_last = *got < window_.bytes.size() || window_.bytes.size() == left;
    window_.bytes.resize(*got);
    window_.end_offset = segment->end_offset;
    const Walked walked =
        walk(shm::RecordWalker{{.seed = shm::record_seed(partition_.id(), segment->log_epoch),
                                .expected = cold_->offset,
                                .byte = cold_->byte}});
    if (walked.need_bytes != 0) {
      bytes = std::max<std::size_t>(walked.need_bytes, 2 * bytes);
      continue;
    }
    cold_->byte = walked.end_byte;
    cold_->offset = walked.end_offset;
    // The bytes end before the offsets do: what is missing was behind the last good record.
    if (window_.is_last && !walked.stopped) skip_to(std::min(segment->end_offset, limit()), true);
    return {};
  }
}

}  // namespace mallbots::broker
