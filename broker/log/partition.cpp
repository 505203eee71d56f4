#include "broker/log/partition.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "shm/base/check.h"
#include "shm/concurrent/partition.h"
#include "shm/layout/record.h"

namespace mallbots::broker {
namespace {

/// So much is written at once even if nobody waits: it keeps rounds large, and slots free.
constexpr std::uint32_t kFlushUnits = (1U << 20) / shm::kUnitBytes;
/// From here on a check takes longer than a turn of the loop.
constexpr std::uint32_t kCheckAheadUnits = (64U << 10) / shm::kUnitBytes;
constexpr std::size_t kMaxRanges = shm::kMaxSlots;

/// Calls visit(header, units at which it begins) for the records of [0, tail) until it says false.
/// Stops at bytes that are no record: the persister judges those.
template <class Visit>
void walk(const HotSlot& slot, std::uint32_t tail_units, const Visit& visit) {
  std::uint32_t at = 0;
  while (tail_units - at >= shm::kRecordHeaderBytes / shm::kUnitBytes) {
    shm::RecordHeader header;
    std::memcpy(&header, slot.data().data() + std::size_t{at} * shm::kUnitBytes, sizeof header);
    // Before it is made units of: the largest lengths wrap to none.
    const std::uint64_t room = std::uint64_t{tail_units - at} * shm::kUnitBytes;
    if (header.length < shm::kRecordHeaderBytes || header.length > room) return;
    if (!visit(header, at)) return;
    at += shm::record_units(header.length);
  }
}

std::uint32_t tail_of(const HotSlot& slot) {
  const std::uint32_t tail = shm::load_word_seq_cst(slot.header()).tail_units();
  return std::min<std::uint32_t>(tail,
                                 static_cast<std::uint32_t>(slot.data().size() / shm::kUnitBytes));
}

/// Offset of the first record of the slot; nothing if it has none and nobody said its base yet.
/// Producers that roll while no broker lives leave the base unsaid: their first record has it.
std::optional<Offset> first_offset(const HotSlot& slot) {
  if (const auto base = shm::load_base(slot.header(), slot.slot_gen)) return base->next_offset;
  std::optional<Offset> first;
  walk(slot, tail_of(slot), [&](const shm::RecordHeader& header, std::uint32_t) {
    first = header.offset;  // a pad has that of the next record
    return false;
  });
  return first;
}

PartitionStoreOptions store_options(const PartitionIdentity& identity,
                                    const TopicSettings& settings, const std::string& folder,
                                    LogEpoch log_epoch) {
  PartitionStoreOptions options;
  options.identity = identity;
  options.folder = folder;
  options.log_epoch = log_epoch;
  options.segment_bytes = settings.segment_bytes;
  options.slot_bytes = settings.slot_bytes;
  // Half of the ring: while one half is written, producers fill the other.
  options.round_bytes = std::max(
      settings.slot_bytes, std::min(settings.slots / 2 * settings.slot_bytes, options.round_bytes));
  return options;
}

RingHost host_of(RingHost host, const TopicSettings& settings, SlotShare& share) {
  host.share = settings.sequenced ? &share : nullptr;
  return host;
}

}  // namespace

Partition::Partition(const Parts& parts, PartitionIdentity identity, TopicSettings settings,
                     LogEpoch log_epoch)
    : parts_(parts),
      identity_(identity),
      settings_(std::move(settings)),
      log_epoch_(log_epoch),
      ring_(host_of(parts.ring, settings_, share_), parts.board,
            {identity.partition, log_epoch, settings_.slots, settings_.slot_bytes,
             settings_.stall_limit_ms * kMillisecond}) {}

Partition::~Partition() = default;

Result<void> Partition::start(const std::string& folder, RecoveredPartition recovered) {
  const shm::LogEnd base{recovered.end.offset,
                         std::max<UnixMillis>(recovered.end.running_max_ms, 0)};
  MALLBOTS_TRY(ring_.start(base));
  CRASH_POINT("partition.start");
  parts_.board.durable_offset.store(base.next_offset);
  parts_.board.start_offset.store(recovered.start_offset);
  if (parts_.disk != nullptr) {
    store_ = std::make_unique<PartitionStore>(
        PartitionStore::Parts{*parts_.disk, *parts_.spares, *this, parts_.note},
        store_options(identity_, settings_, folder, log_epoch_), std::move(recovered),
        PersistCursor{0, 0, base.next_offset});
  }
  return {};
}

Result<void> Partition::take_over(const std::string& folder, RecoveredPartition recovered) {
  MALLBOTS_TRY(ring_.take_over());
  // The predecessor died before the partition had its first slot.
  if (ring_.slots().empty()) return start(folder, std::move(recovered));
  // What made the predecessor refuse appends is for this broker to find out again.
  set_readonly(ErrorCode::kNone);
  if (parts_.disk != nullptr) {
    const PersistCursor cursor = cursor_at(recovered.end.offset);
    store_ = std::make_unique<PartitionStore>(
        PartitionStore::Parts{*parts_.disk, *parts_.spares, *this, parts_.note},
        store_options(identity_, settings_, folder, log_epoch_), std::move(recovered), cursor);
    // The predecessor may have died between its note and the board: who waits for that record would
    // wait for the next one.
    durable_moved(*store_);
  }
  return {};
}

void Partition::put_in_quarantine(Error why) {
  quarantine_ = std::move(why);
  set_readonly(ErrorCode::kCorrupt);
}

LogWriter& Partition::writer() {
  CHECK(parts_.own_session != nullptr);
  if (!writer_)
    writer_ = std::make_unique<LogWriter>(LogWriter::Parts{
        parts_.topic_board, parts_.board, parts_.knock, ring_, *parts_.own_session, flush_now_});
  return *writer_;
}

PersistCursor Partition::cursor_at(Offset offset) const {
  PersistCursor cursor{ring_.slots().front().slot_gen, 0, offset};
  for (const HotSlot& slot : ring_.slots()) {
    const auto first = first_offset(slot);
    if (!first || *first > offset) break;
    cursor.slot_gen = slot.slot_gen;
    cursor.units = 0;
    walk(slot, tail_of(slot), [&](const shm::RecordHeader& header, std::uint32_t at) {
      if (header.type != shm::RecordType::kPad && header.offset >= offset) return false;
      cursor.units = at + shm::record_units(header.length);
      return true;
    });
  }
  return cursor;
}

// --- Duties

bool Partition::may_retire(SlotGen slot_gen) const noexcept {
  if (!store_) return true;
  return !store_->busy() && store_->durable_cursor().slot_gen > slot_gen &&
         store_->cursor().slot_gen > slot_gen;
}

void Partition::duty(BootNanos now, BootNanos& next_look) {
  const auto may = [this](SlotGen slot_gen) { return may_retire(slot_gen); };
  bool changed = ring_.pump(may);
  if (ring_.fence_stalled(now, next_look)) {
    static_cast<void>(ring_.pump(may));
    changed = true;
  }
  if (changed) {
    publish_positions();
    shm::wake_if_waited(parts_.knock.room);
    shm::wake_if_waited(parts_.knock.data);
  }
  if (settings_.sequenced) ring_.populate_ahead();
  persist_due(now, next_look);
}

bool Partition::dirty() const noexcept {
  if (!store_) return false;
  const PersistCursor cursor = store_->cursor();
  return std::ranges::any_of(ring_.slots(), [&](const HotSlot& slot) {
    if (slot.slot_gen < cursor.slot_gen) return false;
    return tail_of(slot) > (slot.slot_gen == cursor.slot_gen ? cursor.units : 0);
  });
}

/// Tail and seal of the open slot, another value after every commit or roll.
std::uint64_t Partition::tail_mark() const noexcept {
  for (const HotSlot& slot : ring_.slots()) {
    if (slot.slot_gen != ring_.open_slot_gen()) continue;
    const shm::Word word = shm::load_word_seq_cst(slot.header());
    return shm::Publication::of(slot.slot_gen, word).bits;
  }
  return 0;
}

bool Partition::is_rolled() const noexcept {
  const auto& slots = ring_.slots();
  return std::ranges::any_of(slots, [&](const HotSlot& slot) {
    return slot.slot_gen == ring_.open_slot_gen() &&
           shm::load_word_seq_cst(slot.header()).sealed() && slots.back().slot_gen > slot.slot_gen;
  });
}

void Partition::persist_due(BootNanos now, BootNanos& next_look) {
  if (!store_ || !dirty()) {
    dirty_since_ = 0;
    // A sealed slot with nothing more to write is passed at once, so that it can be retired.
    if (store_ && !store_->busy() && store_->cursor().slot_gen < ring_.open_slot_gen()) persist();
    return;
  }
  if (dirty_since_ == 0) dirty_since_ = now;
  if (store_->busy()) return check_ahead();
  if (store_->health() != StoreHealth::kGood && now < store_->retry_at()) {
    next_look = std::min(next_look, store_->retry_at());
    return;
  }
  const PersistCursor cursor = store_->cursor();
  const HotSlot* const slot = ring_.find(cursor.slot_gen);
  const bool much = slot == nullptr || cursor.slot_gen < ring_.open_slot_gen() ||
                    tail_of(*slot) - cursor.units >= kFlushUnits;
  const BootNanos due = dirty_since_ + settings_.flush_interval_ms * kMillisecond;
  if (!much && !is_awaited() && !flush_now_ && now < due) {
    next_look = std::min(next_look, due);
    return;
  }
  persist();
}

/// What is committed from the store's cursor on.
std::size_t Partition::find_ranges(std::span<CommittedRange> ranges) const {
  std::size_t count = 0;
  const PersistCursor cursor = store_->cursor();
  for (const HotSlot& slot : ring_.slots()) {
    if (slot.slot_gen < cursor.slot_gen) continue;
    // Word first: a seal that comes later belongs to the next round.
    const shm::Word word = shm::load_word_seq_cst(slot.header());
    CommittedRange& range = ranges[count];
    range.slot_gen = slot.slot_gen;
    range.slot_data = slot.data();
    range.from_units = slot.slot_gen == cursor.slot_gen ? cursor.units : 0;
    range.to_units = std::min<std::uint32_t>(
        word.tail_units(), static_cast<std::uint32_t>(slot.data().size() / shm::kUnitBytes));
    range.sealed = word.sealed();
    range.end_offset = 0;
    if (range.sealed) {
      if (const auto end = shm::log_end(slot.header(), slot.slot_gen))
        range.end_offset = end->next_offset;
    }
    ++count;
    if (!range.sealed) break;
  }
  return count;
}

void Partition::persist() {
  std::array<CommittedRange, kMaxRanges> ranges;
  const std::size_t count = find_ranges(ranges);
  flush_now_ = false;
  if (count > 0) static_cast<void>(store_->persist({ranges.data(), count}));
}

/// Little is checked in no time when its turn comes; much would keep the disk waiting.
void Partition::check_ahead() {
  std::array<CommittedRange, kMaxRanges> ranges;
  const std::size_t count = find_ranges(ranges);
  std::uint64_t units = 0;
  for (const CommittedRange& range : std::span(ranges).first(count))
    units += range.to_units - std::min(range.from_units, range.to_units);
  if (units >= kCheckAheadUnits) store_->check_ahead({ranges.data(), count});
}

void Partition::durable_moved(PartitionStore& store) {
  dirty_since_ = 0;
  shm::publish_durable(parts_.board, parts_.knock, store.durable().offset);
}

void Partition::bad_records(PartitionStore&, const BadRecords& bad, bool sealed) {
  if (sealed) {
    parts_.events.damaged(identity_.topic, identity_.index, bad);
    return;
  }
  if (const HotSlot* const slot = ring_.find(bad.slot_gen); slot != nullptr) {
    shm::RecordHeader header{};
    const std::size_t at = std::size_t{bad.from_units} * shm::kUnitBytes;
    if (at + sizeof header <= slot->data().size())
      std::memcpy(&header, slot->data().data() + at, sizeof header);
    ring_.seal(bad.slot_gen);
    parts_.events.bad_producer(header.producer_id, bad.reason);
  }
  flush_now_ = true;
}

void Partition::health_changed(PartitionStore&, StoreHealth health, const Error& error) {
  store_readonly_ = health == StoreHealth::kGood ? ErrorCode::kNone : error.code;
  set_readonly(asked_readonly_);
  parts_.events.health_changed(identity_.topic, identity_.index, health, error);
}

void Partition::set_readonly(ErrorCode code) {
  asked_readonly_ = code;
  const ErrorCode shown = store_readonly_ != ErrorCode::kNone ? store_readonly_ : code;
  CRASH_POINT("partition.readonly");
  parts_.board.readonly.store(static_cast<std::uint64_t>(shown));
}

void Partition::alter(const TopicSettings& settings) {
  settings_ = settings;
  ring_.set_stall_limit(settings.stall_limit_ms * kMillisecond);
  if (store_) store_->set_segment_bytes(settings.segment_bytes);
}

void Partition::publish_positions() {
  CRASH_POINT("partition.start_offset");
  parts_.board.start_offset.store(start_offset());
}

void Partition::wake_all() {
  shm::wake(parts_.knock.data);
  shm::wake(parts_.knock.room);
  shm::wake(parts_.knock.durable);
}

bool Partition::drain(bool patient, BootNanos& next_look) {
  if (!ring_.close(patient)) {
    next_look = std::min(next_look, boot_now_ns() + kMillisecond);
    return false;
  }
  wake_all();
  if (!store_) return true;
  if (dirty_since_ == 0) dirty_since_ = boot_now_ns();  // seen: no reason not to sleep
  if (dirty() && store_->health() == StoreHealth::kGood) {
    if (!store_->busy()) persist();
    return false;
  }
  return store_->close();
}

// --- Sessions

void Partition::session_died(SessionIndex session, std::span<const std::uint32_t> producer_cells) {
  ring_.session_died(session, producer_cells);
  end_lease(session);
  wake_all();
}

void Partition::session_expelled(SessionIndex session) {
  // A lease keeps its holder's word from the stall rule, so that ends with it. In this order: who
  // acquires after the fence sees that its lease is gone.
  if (!end_lease(session)) return;
  ring_.fence_session(session);
  wake_all();
}

/// True if it had one.
bool Partition::end_lease(SessionIndex session) {
  const shm::Lease lease{parts_.board.lease.load()};
  if (!lease.held() || lease.holder() != session) return false;
  CRASH_POINT("partition.end_lease");
  parts_.board.lease.store(0);
  return true;
}

Result<shm::Lease> Partition::take_lease(SessionIndex session, bool take_over) {
  if (!settings_.exclusive)
    return fail(ErrorCode::kBadArgument, "the topic's setting producers is shared, not exclusive");
  const shm::Lease before{parts_.board.lease.load()};
  const bool others = before.held() && before.holder() != session;
  if (others && !take_over)
    return fail(ErrorCode::kLeaseHeld, "session " + std::to_string(before.holder()));
  CRASH_POINT("partition.lease_number");
  const auto lease = shm::Lease::of(parts_.ring.registry.next_lease.fetch_add(1) + 1, session);
  CRASH_POINT("partition.lease");
  // The new holder stands on the board before the old one is fenced: an old holder that acquires
  // after the fence sees that its lease is gone.
  parts_.board.lease.store(lease.bits);
  // Not only `before`: a predecessor may have died between the store and its fence, and then this
  // is the new holder that asks again.
  ring_.fence_holders();
  wake_all();
  return lease;
}

// --- Positions

Offset Partition::start_offset() const noexcept {
  if (quarantine_) return parts_.board.start_offset.load();
  return store_ ? store_->start_offset() : ring_.oldest_offset();
}

Offset Partition::end_offset() const noexcept {
  return quarantine_ ? durable_offset() : ring_.end_offset();
}

Offset Partition::durable_offset() const noexcept {
  if (quarantine_) return std::max(start_offset(), parts_.board.durable_offset.load());
  return store_ ? store_->durable().offset : end_offset();
}

Result<shm::FindSegmentReply> Partition::find_segment(Offset offset, shm::UniqueFd& fd) const {
  const SegmentInfo* const segment = store_ ? store_->locate(offset) : nullptr;
  if (segment == nullptr)
    return fail(ErrorCode::kBadPosition, "offset " + std::to_string(offset) + " is in no file");
  auto start = store_->seek_offset(*segment, offset);
  if (!start) return std::unexpected(std::move(start).error());
  auto file = store_->open_for_reading(*segment);
  if (!file) return std::unexpected(std::move(file).error());
  fd = shm::UniqueFd{::fcntl(file->fd(), F_DUPFD_CLOEXEC, 0)};
  shm::FindSegmentReply reply;
  reply.base_offset = segment->base_offset;
  reply.end_offset = segment->end_offset;
  reply.start_byte = start->byte;
  reply.end_byte = segment->end_byte;
  reply.log_epoch = segment->log_epoch;
  reply.partition_id = static_cast<std::uint64_t>(identity_.partition);
  return reply;
}

Result<Offset> Partition::find_time(UnixMillis time_ms) const {
  if (store_) {
    auto found = store_->offset_at_time(time_ms);
    if (!found || *found != kNoOffset) return found;
  }
  Offset found = kNoOffset;
  for (const HotSlot& slot : ring_.slots()) {
    const auto end = shm::log_end(slot.header(), slot.slot_gen);
    if (!end || end->last_timestamp_ms < time_ms) continue;
    walk(slot, tail_of(slot), [&](const shm::RecordHeader& header, std::uint32_t) {
      if (header.type == shm::RecordType::kPad || header.timestamp_ms < time_ms) return true;
      found = header.offset;
      return false;
    });
    if (found != kNoOffset) return found;
  }
  return end_offset();
}

std::optional<UnixMillis> Partition::time_of(Offset offset) const {
  if (offset >= end_offset()) return std::nullopt;
  if (offset < ring_.oldest_offset()) {
    const SegmentInfo* const segment = store_ ? store_->locate(offset) : nullptr;
    if (segment == nullptr) return std::nullopt;
    auto near = store_->seek_offset(*segment, offset);
    if (near && near->running_max_ms > 0) return near->running_max_ms;
    return std::max<UnixMillis>(segment->base_timestamp_ms, 0);
  }
  std::optional<UnixMillis> found;
  for (const HotSlot& slot : ring_.slots()) {
    const auto end = shm::log_end(slot.header(), slot.slot_gen);
    if (!end || end->next_offset <= offset) continue;
    walk(slot, tail_of(slot), [&](const shm::RecordHeader& header, std::uint32_t) {
      if (header.type == shm::RecordType::kPad || header.offset < offset) return true;
      found = header.timestamp_ms;
      return false;
    });
    if (found) break;
  }
  return found;
}

bool Partition::drop_before(Offset offset) {
  if (!store_) return false;
  const auto segments = store_->segments();
  const auto stays = std::ranges::find_if(segments, [&](const SegmentInfo& segment) {
    return segment.end_offset > offset || segment.state == SegmentState::kOpen ||
           segment.state == SegmentState::kClosing;
  });
  // The last one stays, open or not: the next start reads the end of the log from it.
  const std::size_t count = std::min(static_cast<std::size_t>(stays - segments.begin()),
                                     segments.empty() ? 0 : segments.size() - 1);
  if (count == 0 || !store_->drop_oldest(count)) return false;
  publish_positions();
  return true;
}

bool Partition::retain(const TopicSettings& settings, UnixMillis now_ms, bool age_may_delete,
                       std::optional<Offset> consumed) {
  if (!store_) return false;
  RetentionLimits limits;
  if (settings.retention_ms) limits.age_ms = static_cast<std::uint64_t>(*settings.retention_ms);
  if (settings.retention_bytes) limits.bytes = *settings.retention_bytes;
  if (settings.retention_records) limits.records = *settings.retention_records;
  if (consumed) limits.consumed_below = *consumed;
  // An idle segment is closed by age, or its records would never get old.
  if (settings.retention_ms && store_->open_since_ms() != 0 && !dirty() &&
      now_ms - store_->open_since_ms() > *settings.retention_ms)
    static_cast<void>(store_->close());
  const auto segments = store_->segments();
  std::size_t count = segments_to_drop(segments, limits, now_ms, age_may_delete);
  retention_due_ = count == 0 ? 0 : segments[count - 1].end_offset;
  while (count > 0 && segments[count - 1].end_offset > keep_from_) --count;
  if (count == 0 || !store_->drop_oldest(count)) return false;
  publish_positions();
  return true;
}

}  // namespace mallbots::broker
