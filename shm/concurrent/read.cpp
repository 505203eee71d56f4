#include "shm/concurrent/read.h"

#include <algorithm>
#include <iterator>
#include <span>

#include "shm/base/crash_point.h"

namespace mallbots::shm {
namespace {

/// A spinner that read only the publication line could wait for ever: a committer may die or stall
/// between its commit and its publication (tests/models/publication). Counted while nothing new is
/// published: whoever publishes later covers what was forgotten. Seldom enough that a spinner does
/// not take the word's line from the appender in every round.
constexpr std::uint32_t kPollsBetweenWordReads = 8192;

/// The first record or two of a page.
constexpr std::uint32_t kNewPageUnits = 16;

/// How often a seek follows hints that move under it before it leaves the waiting to its caller.
constexpr int kSeekTries = 64;

/// How many offsets a record stands for. Its fields may be anything.
Offset covered(const RecordView& view) noexcept {
  return view.header->type == RecordType::kDamaged
             ? std::max<std::uint64_t>(view.header->sequence, 1)
             : 1;
}

}  // namespace

PartitionReader::PartitionReader(const PartitionParts& parts, ReaderCell& cell,
                                 bool durable_only) noexcept
    : parts_(parts),
      cell_(&cell),
      data_units_(static_cast<std::uint32_t>(parts.topic->slot_bytes / kUnitBytes)),
      durable_only_(durable_only) {}

PartitionReader::~PartitionReader() { unpin(); }

void PartitionReader::unpin() noexcept {
  if (slot_.header != nullptr) close_slot(slot_, pin_);
  slot_gen_ = kNoSlot;
  limit_units_ = position_units_ = 0;
  at_end_ = false;
}

void PartitionReader::close_slot(SlotMemory& memory, std::uint32_t pin) noexcept {
  CRASH_POINT("read.unpin");
  // SYNC unpin: release, so that our reads come before it; acquire in the broker's pin scan.
  cell_->pins[pin].store(0, std::memory_order_release);
  parts_.slots->drop_slot(memory);
  memory = {};
}

/// Pins slot `slot_gen` with the pin that is free, and makes it the current one, at its first
/// record.
PartitionReader::Pin PartitionReader::open_slot(SlotGen slot_gen) {
  const auto slot_id = slot_on_board(parts_, slot_gen);
  if (!slot_id) return slot_is_past(parts_, slot_gen) ? Pin::kCold : Pin::kNotYet;
  const std::uint32_t pin = slot_.header == nullptr ? pin_ : pin_ ^ 1U;
  SlotMemory memory = parts_.slots->map_slot(*slot_id);
  if (memory.header == nullptr) return Pin::kUnmapped;
  const std::uint64_t pin_value = pin_of(parts_.board->partition_id, slot_gen);
  CRASH_POINT("read.pin");
  // SYNC retire: seq_cst store here, then the generation and the mark in the slot itself are read;
  // the broker stores the mark (seq_cst), then scans the pins. One of the two sees the other.
  cell_->pins[pin].store(pin_value, std::memory_order_seq_cst);
  // The mark before the generation: a re-use changes the generation before it clears the mark, so
  // the other way round a reader that slept in between would take the new slot for the old one.
  if (is_retiring(*memory.header, slot_gen) || !slot_is_valid(parts_, memory, slot_gen)) {
    close_slot(memory, pin);
    return Pin::kCold;
  }
  if (slot_.header != nullptr) close_slot(slot_, pin_);
  slot_ = memory;
  pin_ = pin;
  pin_value_ = pin_value;
  slot_gen_ = slot_gen;
  position_units_ = limit_units_ = 0;
  at_end_ = false;
  base_from_previous_ = kNoOffset;
  static_cast<void>(refresh_limit(true));
  return Pin::kOk;
}

/// Looks how far the slot is committed; true if that is further than the position.
bool PartitionReader::refresh_limit(bool from_word) noexcept {
  // The next record's lines come together with the publication line, not after it.
  if (position_units_ < data_units_)
    prefetch_record(slot_.data + std::size_t{position_units_} * kUnitBytes);
  const Publication published = load_publication(*slot_.header);
  const bool foreign = !published.is_of(slot_gen_);
  std::uint32_t tail = foreign ? 0 : published.tail_units();
  bool sealed = !foreign && published.sealed();
  // What the publication line brings is the word's news as well: only silence makes us ask.
  if (tail > limit_units_) polls_ = 0;
  if (from_word || foreign || ++polls_ >= kPollsBetweenWordReads) {
    polls_ = 0;
    const Word word = load_word_seq_cst(*slot_.header);
    tail = std::max(tail, word.tail_units());
    sealed = sealed || word.sealed();
  }
  // Nothing that a shared word says may lead behind the slot's memory.
  limit_units_ = std::max(limit_units_, std::min(tail, data_units_));
  at_end_ = at_end_ || sealed;
  return limit_units_ > position_units_;
}

ReadStatus PartitionReader::next(RecordView& view) { return advance(view, true); }

ReadStatus PartitionReader::advance(RecordView& view, bool may_roll) {
  if (!has_pin()) return expire();
  for (;;) {
    if (slot_.header == nullptr) return ReadStatus::kCold;
    if (position_units_ >= limit_units_ && !refresh_limit(false)) {
      if (!at_end_) return state_when_idle();
      // The seal may have been seen before the last commit below it: the word has both.
      if (refresh_limit(true)) continue;
      if (!may_roll) return ReadStatus::kEmpty;
      const ReadStatus status = roll();
      if (status != ReadStatus::kRecord) return status;
      continue;
    }
    std::uint32_t units = 0;
    // Bytes that were overwritten after the pin was lost are no damage of the log.
    if (!parse(position_units_, view, units)) return has_pin() ? ReadStatus::kDamaged : expire();
    const Offset offset = view.header->offset;
    if (view.header->type == RecordType::kPad || offset + covered(view) <= next_offset_) {
      position_units_ += units;
      continue;
    }
    if (durable_only_ &&
        // SYNC durable: acquire here; release in publish_durable.
        offset >= parts_.board->durable_offset.load(std::memory_order_acquire))
      return state_when_idle();
    if (!has_pin()) return expire();
    // Offsets are dense; believing one that is not would skip all that follows.
    if (offset > next_offset_) return ReadStatus::kDamaged;
    position_units_ += units;
    next_offset_ = offset + covered(view);
    return ReadStatus::kRecord;
  }
}

bool PartitionReader::spin(std::uint32_t polls) noexcept {
  if (slot_.header == nullptr || at_end_) return true;
  if (durable_only_ && position_units_ < limit_units_) {
    while (polls-- != 0)
      // SYNC durable: acquire here; release in publish_durable.
      if (parts_.board->durable_offset.load(std::memory_order_acquire) > next_offset_) return true;
    return false;
  }
  // On a page of records not seen before: looks the next one up while there is time.
  constexpr std::uint32_t kPageUnits = kPageBytes / kUnitBytes;
  if (position_units_ % kPageUnits < kNewPageUnits && position_units_ + kPageUnits < data_units_)
    __builtin_prefetch(slot_.data + std::size_t{position_units_ + kPageUnits} * kUnitBytes);
  // With a pause: an appender has asked for the line before it stores into it, and would have to
  // ask again.
  for (; polls != 0; --polls, cpu_relax())
    if (refresh_limit(false) || at_end_) return true;
  return false;
}

ReadStatus PartitionReader::expire() noexcept {
  unpin();
  return ReadStatus::kExpired;
}

bool PartitionReader::has_more() noexcept {
  if (slot_.header == nullptr) return true;
  if (durable_only_ && parts_.board->durable_offset.load(std::memory_order_seq_cst) <= next_offset_)
    return parts_.topic->state.load() == static_cast<std::uint32_t>(BoardState::kGone);
  if (position_units_ < limit_units_ || refresh_limit(true)) return true;
  if (at_end_ && (slot_on_board(parts_, slot_gen_ + 1) || slot_is_past(parts_, slot_gen_ + 1)))
    return true;
  return state_when_idle() == ReadStatus::kGone;
}

ReadStatus PartitionReader::state_when_idle() const noexcept {
  const auto state = static_cast<BoardState>(parts_.topic->state.load());
  return state == BoardState::kGone ? ReadStatus::kGone : ReadStatus::kEmpty;
}

/// On to the next slot. kRecord: done, look there.
ReadStatus PartitionReader::roll() {
  const auto end = log_end(*slot_.header, slot_gen_);
  const Offset base = end ? end->next_offset : base_from_previous_;
  switch (open_slot(slot_gen_ + 1)) {
    case Pin::kOk:
      base_from_previous_ = base;
      return ReadStatus::kRecord;
    case Pin::kCold:
      unpin();
      return ReadStatus::kCold;
    case Pin::kUnmapped:
      return ReadStatus::kUnmapped;
    case Pin::kNotYet:
      break;
  }
  return state_when_idle();
}

/// Opens the slot a hint of the board names. The broker may replace it meanwhile: then the hint has
/// moved, and is followed again.
PartitionReader::Pin PartitionReader::open_hinted(const std::atomic<std::uint64_t>& hint) {
  for (;;) {
    const SlotGen slot_gen = hint.load();
    const Pin pin = open_slot(slot_gen);
    if (pin == Pin::kOk || pin == Pin::kUnmapped) return pin;
    if (hint.load() == slot_gen) return pin;
  }
}

/// What a seek says that found no slot.
ReadStatus PartitionReader::not_opened(Pin pin) noexcept {
  unpin();
  if (pin == Pin::kUnmapped) return ReadStatus::kUnmapped;
  return state_when_idle() == ReadStatus::kGone ? ReadStatus::kGone : ReadStatus::kCold;
}

/// The offset of the slot's first record, or where one will be; nothing if it is not known yet.
std::optional<Offset> PartitionReader::first_offset() const noexcept {
  if (const auto base = load_base(*slot_.header, slot_gen_)) return base->next_offset;
  RecordView view{};
  std::uint32_t units = 0;
  if (limit_units_ == 0 || !parse(0, view, units)) return std::nullopt;
  return view.header->offset;
}

ReadStatus PartitionReader::seek(Offset offset) {
  unpin();
  next_offset_ = offset;
  // From the open slot backwards: most seeks are near the end.
  Pin pin = open_hinted(parts_.board->open_hint);
  const SlotGen oldest = parts_.board->oldest_hint.load();
  while (pin == Pin::kOk) {
    const auto first = first_offset();
    if (first && *first <= offset) return skip_to(offset);
    if (slot_gen_ <= oldest) break;
    pin = open_slot(slot_gen_ - 1);
  }
  return not_opened(pin);
}

void PartitionReader::note_mark(Offset offset) noexcept {
  if (marks_gen_ != slot_gen_) {
    marks_gen_ = slot_gen_;
    mark_count_ = 0;
  }
  const std::uint64_t due = std::uint64_t{mark_count_} * data_units_ / kMarks;
  if (mark_count_ == kMarks || position_units_ < due) return;
  if (mark_count_ == 0 || marks_[mark_count_ - 1].offset < offset)
    marks_[mark_count_++] = {offset, position_units_};
}

/// From the start of the current slot to the last mark at or before `offset`. Committed records of
/// a slot stay where they are; a mark that its record denies was a mad producer's.
void PartitionReader::go_to_mark(Offset offset) noexcept {
  if (marks_gen_ != slot_gen_) return;
  const std::span<const Mark> marks{marks_.data(), mark_count_};
  const auto behind = std::ranges::upper_bound(marks, offset, {}, &Mark::offset);
  if (behind == marks.begin()) return;
  const Mark mark = *std::prev(behind);
  RecordView view{};
  std::uint32_t units = 0;
  if (mark.units < limit_units_ && parse(mark.units, view, units) &&
      view.header->offset == mark.offset)
    position_units_ = mark.units;
  else
    mark_count_ = 0;
}

/// From the start of the current slot to the record at `offset`; later slots may have been opened
/// since the hint.
ReadStatus PartitionReader::skip_to(Offset offset) {
  RecordView view{};
  std::uint32_t units = 0;
  go_to_mark(offset);
  for (;;) {
    while (position_units_ < limit_units_ || refresh_limit(true)) {
      if (!parse(position_units_, view, units)) return ReadStatus::kDamaged;
      if (view.header->type != RecordType::kPad) {
        const Offset at = view.header->offset;
        note_mark(at);
        if (at + covered(view) > offset) return ReadStatus::kRecord;
      }
      position_units_ += units;
    }
    if (!at_end_) break;
    const ReadStatus rolled = roll();
    if (rolled == ReadStatus::kCold || rolled == ReadStatus::kUnmapped) return rolled;
    if (rolled != ReadStatus::kRecord) break;
  }
  const auto end = log_end(*slot_.header, slot_gen_);
  const Offset end_offset = end ? end->next_offset : base_from_previous_;
  return end_offset < offset ? ReadStatus::kAhead : ReadStatus::kEmpty;
}

ReadStatus PartitionReader::seek_end() {
  Pin pin = Pin::kNotYet;
  for (int tries = 0; tries < kSeekTries; ++tries) {
    unpin();
    pin = open_hinted(parts_.board->open_hint);
    // An empty slot that does not know its base yet: the slot before it knows.
    if (pin == Pin::kOk && limit_units_ == 0 && !first_offset() && slot_gen_ > 0)
      pin = open_slot(slot_gen_ - 1);
    if (pin == Pin::kUnmapped) break;
    if (pin != Pin::kOk) continue;
    ReadStatus rolled = ReadStatus::kRecord;
    while (at_end_ && (rolled = roll()) == ReadStatus::kRecord) {
    }
    if (rolled == ReadStatus::kCold) continue;
    if (rolled == ReadStatus::kUnmapped || rolled == ReadStatus::kGone) return rolled;
    Word word;
    std::optional<LogEnd> end;
    do {  // tail and offset of one moment
      word = load_word_seq_cst(*slot_.header);
      end = log_end(*slot_.header, slot_gen_);
    } while (load_word_seq_cst(*slot_.header).tail_units() != word.tail_units());
    if (!end && (word.tail_units() != 0 || base_from_previous_ == kNoOffset))
      return ReadStatus::kDamaged;
    position_units_ = limit_units_ = std::min(word.tail_units(), data_units_);
    next_offset_ = end ? end->next_offset : base_from_previous_;
    return ReadStatus::kEmpty;
  }
  return not_opened(pin);
}

ReadStatus PartitionReader::seek_oldest() {
  unpin();
  SlotGen slot_gen = parts_.board->oldest_hint.load();
  Pin pin = open_slot(slot_gen);
  // Retired under us, or about to be: the next one is the oldest.
  while (pin == Pin::kCold) pin = open_slot(++slot_gen);
  if (pin != Pin::kOk) return not_opened(pin);
  const auto first = first_offset();
  // The broker stores the base of an empty slot before the slot ahead of it goes.
  if (!first) return not_opened(Pin::kNotYet);
  next_offset_ = *first;
  return skip_to(next_offset_);
}

}  // namespace mallbots::shm
