#include "clients/internal/cursor.h"

#include <algorithm>

#include "shm/concurrent/cells.h"
#include "shm/concurrent/wait.h"
#include "shm/segment/record_check.h"

namespace mallbots::client {
namespace {

using shm::ReadStatus;

/// Bytes in memory that are no record: the broker replaces them by a damaged record, or nobody.
constexpr BootNanos kLongestStuck = 10 * kSecond;
/// Even a poll that shall not wait may ask the broker so long.
constexpr std::int64_t kAskMs = 100;
/// Of let_appender_be(): about a microsecond at most.
constexpr std::uint32_t kLooksWithoutPause = 8;
constexpr std::uint32_t kMostPauses = 16;
constexpr std::size_t kEnoughOfALook = 16;

Deadline asking(Deadline deadline) noexcept {
  return deadline.is_try() ? Deadline::after_ms(kAskMs) : deadline;
}

}  // namespace

Cursor::Cursor(const TopicMemory& topic, PartitionIndex partition, std::uint32_t cell,
               const CursorOptions& options)
    : topic_(&topic),
      topic_id_(topic.topic_id()),
      partition_(partition),
      cell_(cell),
      options_(options),
      slots_(topic, partition, shm::Access::kRead),
      reader_(topic.parts(partition, slots_), topic.session().memory().cells[cell].reader,
              options.durable_only) {}

bool Cursor::commit(std::uint32_t group_generation, Offset next) const noexcept {
  shm::SessionPage& page = topic_->session().memory();
  return shm::commit_position(page.header, cell_, page.cells[cell_].reader,
                              {group_generation, {log_epoch(), next}});
}

bool Cursor::is_cell_taken() const noexcept {
  return shm::is_cell_taken(topic_->session().header(), cell_);
}

void Cursor::set_setback(ErrorCode code, Offset first, Offset end) {
  setback_ = {code, {topic_->name(), partition_}, first, end};
}

Cursor::State Cursor::failed(ErrorCode code, std::string detail) {
  error_ = {code, std::move(detail)};
  return State::kFailed;
}

Cursor::State Cursor::blocked() noexcept {
  if (stuck_since_ == 0) stuck_since_ = boot_now_ns();
  return State::kBlocked;
}

void Cursor::go_to(Offset offset) noexcept {
  release();
  next_ = offset;
}

void Cursor::release() noexcept {
  reader_.unpin();
  cold_.reset();
  mode_ = Mode::kSeeking;
  gave_views_ = false;
}

bool Cursor::views_expired() noexcept {
  if (!gave_views_ || reader_.has_pin()) return false;
  release();
  set_setback(ErrorCode::kViewExpired, next_, next_);
  return true;
}

std::atomic<std::uint32_t>* Cursor::eventcount() const noexcept {
  shm::KnockLine* const knock = topic_->knock(partition_);
  if (knock == nullptr) return nullptr;
  return options_.durable_only ? &knock->durable : &knock->data;
}

bool Cursor::spin(std::uint32_t polls) noexcept {
  return mode_ != Mode::kHot || reader_.spin(polls);
}

bool Cursor::has_more() noexcept { return mode_ != Mode::kHot || reader_.has_more(); }

Cursor::State Cursor::read(std::vector<Message>& out, std::size_t room, Deadline deadline) {
  const State state = read_on(out, room, deadline);
  if (state != State::kIdle && state != State::kBlocked) return state;
  const auto served = topic_->check_served(partition_);
  if (served) return state;
  error_ = served.error();
  return State::kFailed;
}

Cursor::State Cursor::read_on(std::vector<Message>& out, std::size_t room, Deadline deadline) {
  gave_views_ = false;
  if (mode_ == Mode::kHot) {
    slots_.may_ask(asking(deadline));
    const State state = read_hot(out, room);
    slots_.may_ask(Deadline::passed());
    if (mode_ == Mode::kHot || state == State::kFailed || state == State::kSetback) return state;
  }
  if (mode_ == Mode::kSeeking) {
    const State state = place(asking(deadline));
    if (state != State::kMore) return state;
    if (mode_ == Mode::kHot) return read_hot(out, room);
  }
  return read_cold(out, room);
}

// Memory
// -----------------------------------------------------------------------------------------

/// What a status other than kRecord means for the reader.
Cursor::State Cursor::after_status(ReadStatus status) {
  switch (status) {
    case ReadStatus::kRecord:
      return State::kMore;
    case ReadStatus::kEmpty:
      stuck_since_ = 0;
      meagre_looks_ = 0;
      return State::kIdle;
    case ReadStatus::kGone:
      return failed(ErrorCode::kTopicGone, topic_->name());
    case ReadStatus::kExpired:
      mode_ = Mode::kSeeking;
      set_setback(ErrorCode::kViewExpired, next_, next_);
      return State::kSetback;
    case ReadStatus::kDamaged: {
      const State state = blocked();
      reader_.unpin();
      mode_ = Mode::kSeeking;
      if (boot_now_ns() - stuck_since_ < kLongestStuck) return state;
      return failed(ErrorCode::kCorrupt, topic_->place(partition_) + ": no record at offset " +
                                             std::to_string(next_) + " in memory");
    }
    case ReadStatus::kUnmapped:
      return blocked();
    case ReadStatus::kCold:
    case ReadStatus::kAhead:
      mode_ = Mode::kSeeking;
      return State::kMore;
  }
  return State::kMore;
}

inline bool Cursor::take(const shm::RecordView& view, bool from_disk, std::vector<Message>& out) {
  const shm::RecordHeader& header = *view.header;
  const bool is_tombstone = header.type == shm::RecordType::kTombstone;
  if (header.type != shm::RecordType::kData && !is_tombstone) return false;
  const std::uint8_t flags = header.flags;
  if ((flags & shm::kInternalEvent) != 0 && !options_.internal_events) return false;
  // In the order of Message, and made where it stays: a copy would wait for each field's store.
  out.emplace_back(topic_->name(), partition_, header.offset, header.timestamp_ms, view.key,
                   view.payload, view.attributes, header.producer_id, header.sequence, is_tombstone,
                   (flags & shm::kLastOfBatch) != 0, (flags & shm::kInternalEvent) != 0, from_disk,
                   topic_id_);
  return true;
}

// Who looks again as soon as it has read takes the publication line from a busy appender for each
// record, and both go at the pace of that line. Who always finds something, but little, looks a bit
// later and finds more at once.
void Cursor::let_appender_be() const noexcept {
  if (mode_ != Mode::kHot || meagre_looks_ <= kLooksWithoutPause || !reader_.is_at_limit()) return;
  const std::uint32_t pauses = std::min(meagre_looks_ - kLooksWithoutPause, kMostPauses);
  for (std::uint32_t i = 0; i < pauses; ++i) shm::cpu_relax();
}

/// Plain records of the current slot, as far as the last look at it went, until `out` has `most`.
inline void Cursor::take_at_hand(std::vector<Message>& out, std::size_t most) {
  // The view lives in registers.
  for (shm::RecordView view; out.size() < most && reader_.next_at_hand(view);) {
    next_ = reader_.next_offset();
    if (take(view, false, out)) gave_views_ = true;
  }
}

/// What this call has gathered may be overwritten already: it is to be given again.
void Cursor::take_back(std::vector<Message>& out, std::size_t before) noexcept {
  next_ = out[before].offset;
  out.resize(before);
  gave_views_ = false;
}

bool Cursor::read_found(std::vector<Message>& out, std::size_t room) {
  if (mode_ != Mode::kHot || options_.verify_memory) return false;
  if (reader_.is_at_limit() && !reader_.look()) return false;
  const std::size_t before = out.size();
  take_at_hand(out, before + room);
  if (out.size() == before) return false;
  if (!reader_.has_pin()) {
    take_back(out, before);  // the next read() meets it
    return false;
  }
  stuck_since_ = 0;
  if (out.size() - before < std::min(room, kEnoughOfALook) && reader_.is_at_limit())
    ++meagre_looks_;
  return true;
}

Cursor::State Cursor::read_hot(std::vector<Message>& out, std::size_t room) {
  const std::size_t before = out.size();
  bool first = true;
  while (out.size() - before < room) {
    if (!first && !options_.verify_memory) {
      take_at_hand(out, before + room);
      if (out.size() - before == room) break;
    }
    if (!first && reader_.is_at_limit()) {
      if (out.size() - before < kEnoughOfALook) ++meagre_looks_;
      break;
    }
    shm::RecordView view{};
    // Rolling gives the old slot's pin back, and with it the views: only before the first.
    const ReadStatus status = first ? reader_.next(view) : reader_.next_in_slot(view);
    if (status != ReadStatus::kRecord) {
      // What it means may end the views of this call: the next one meets it first.
      if (!first && status != ReadStatus::kExpired) return State::kMore;
      if (status == ReadStatus::kExpired && out.size() > before) take_back(out, before);
      return after_status(status);
    }
    first = false;
    stuck_since_ = 0;
    const Offset at = next_;
    next_ = reader_.next_offset();
    if (view.header->type == shm::RecordType::kDamaged) {
      set_setback(ErrorCode::kDamaged, at, next_);
      return State::kSetback;
    }
    if (options_.verify_memory) {
      const std::span<const std::byte> bytes{reinterpret_cast<const std::byte*>(view.header),
                                             view.payload.data() + view.payload.size()};
      const std::uint64_t seed =
          shm::record_seed(PartitionId{board().partition_id}, board().log_epoch);
      const std::span<const std::byte> whole{
          bytes.data(), std::size_t{shm::record_units(static_cast<std::uint32_t>(bytes.size()))} *
                            shm::kUnitBytes};
      if (!shm::check_record(whole, seed, shm::BodyCheck::kVerify).good()) {
        set_setback(ErrorCode::kDamaged, at, next_);
        return State::kSetback;
      }
    }
    if (take(view, false, out)) gave_views_ = true;
  }
  return State::kMore;
}

/// Finds out where the next record is.
Cursor::State Cursor::place(Deadline deadline) {
  slots_.may_ask(deadline);
  const ReadStatus status = reader_.seek(next_);
  State state = State::kMore;
  if (status == ReadStatus::kRecord || status == ReadStatus::kEmpty) {
    mode_ = Mode::kHot;
  } else if (status == ReadStatus::kAhead) {
    // The records before the position are gone: a power cut took them back.
    const Offset had = next_;
    if (reader_.seek_end() == ReadStatus::kEmpty && reader_.next_offset() < had) {
      next_ = reader_.next_offset();
      mode_ = Mode::kHot;
      set_setback(ErrorCode::kTruncated, next_, had);
      state = State::kSetback;
    } else {
      // Grown up to the position meanwhile, too: what is behind it must not be passed over.
      state = blocked();
    }
  } else if (status == ReadStatus::kCold) {
    state = go_cold(deadline);
  } else {
    state = after_status(status);
  }
  slots_.may_ask(Deadline::passed());
  return state;
}

// Files
// -----------------------------------------------------------------------------------------

/// The next record is not in memory: opens the file that has it.
Cursor::State Cursor::go_cold(Deadline deadline) {
  const Offset had = next_;
  if (topic_->has(shm::TopicFlag::kMemoryOnly)) {
    const ReadStatus status = reader_.seek_oldest();
    if (status == ReadStatus::kCold) return blocked();
    if (status != ReadStatus::kRecord && status != ReadStatus::kEmpty) return after_status(status);
    // seek_oldest leaves the position of a slot whose base is not known yet.
    next_ = std::max(had, reader_.next_offset());
    mode_ = Mode::kHot;
    if (next_ == had) return State::kMore;
    set_setback(ErrorCode::kEvicted, had, next_);
    return State::kSetback;
  }
  const Offset start = board().start_offset.load();
  if (next_ < start) {
    next_ = start;
    set_setback(ErrorCode::kEvicted, had, start);
    return State::kSetback;
  }
  std::vector<shm::UniqueFd> fds;
  const auto where = topic_->link().ask_on<shm::FindSegmentReply>(
      topic_->attachment(), shm::FindSegment{topic_->topic_id(), partition_, next_}, deadline,
      &fds);
  if (!where) {
    switch (where.error().code) {
      case ErrorCode::kBadPosition:  // on its way from memory to disk, or the other way round
      case ErrorCode::kConnectionLost:
      case ErrorCode::kTimeout:
      case ErrorCode::kDraining: {
        const State state = blocked();
        const bool hopeless = where.error().code == ErrorCode::kBadPosition &&
                              boot_now_ns() - stuck_since_ > kLongestStuck;
        return hopeless ? failed(ErrorCode::kBadPosition, topic_->place(partition_) + ": offset " +
                                                              std::to_string(next_) +
                                                              " is neither in memory nor on disk")
                        : state;
      }
      default:
        error_ = where.error();
        return State::kFailed;
    }
  }
  if (fds.size() != 1 || where->start_byte > where->end_byte ||
      where->start_byte % shm::kUnitBytes != 0)
    return failed(ErrorCode::kBadMessage, "the broker's answer to FindSegment has another form");
  if (where->end_offset <= next_) return blocked();
  cold_.emplace(std::move(fds[0]), *where, next_, options_.disk_buffer_bytes);
  mode_ = Mode::kCold;
  return State::kMore;
}

Cursor::State Cursor::read_cold(std::vector<Message>& out, std::size_t room) {
  const std::size_t before = out.size();
  while (out.size() - before < room) {
    const ColdReader::Step step = cold_->next();
    next_ = cold_->next_offset();
    switch (step.kind) {
      case ColdReader::Step::kRecord:
        stuck_since_ = 0;
        static_cast<void>(take(step.view, true, out));
        break;
      case ColdReader::Step::kDamage:
        stuck_since_ = 0;
        set_setback(ErrorCode::kDamaged, step.first, step.end);
        return State::kSetback;
      case ColdReader::Step::kNeedFill:
        // Filling ends the views handed out in this call.
        if (out.size() != before) return State::kMore;
        if (const auto filled = cold_->fill(); !filled)
          return failed(filled.error().code,
                        topic_->place(partition_) + ": " + filled.error().detail);
        break;
      case ColdReader::Step::kEnd:
        if (out.size() != before) return State::kMore;
        cold_.reset();
        mode_ = Mode::kSeeking;
        return State::kMore;
    }
  }
  return State::kMore;
}

// Positions
// -----------------------------------------------------------------------------------------

Result<Offset> Cursor::find_end(Deadline deadline) {
  const Offset had = next_;
  shm::LockBackoff backoff;
  for (;;) {
    MALLBOTS_TRY(topic_->check_served(partition_));
    slots_.may_ask(asking(deadline));
    const ReadStatus status = reader_.seek_end();
    slots_.may_ask(Deadline::passed());
    if (status == ReadStatus::kEmpty) {
      const Offset committed = reader_.next_offset();
      go_to(had);
      if (!options_.durable_only) return committed;
      return std::min(committed, board().durable_offset.load());
    }
    if (status == ReadStatus::kGone) return fail(ErrorCode::kTopicGone, topic_->name());
    // What has to be mapped, no broker gives on an attachment that is over.
    const bool is_over = !topic_->link().is_attached() || topic_->is_stale();
    if (is_over || !backoff.pause(deadline))
      return fail(is_over ? ErrorCode::kConnectionLost : ErrorCode::kTimeout,
                  topic_->place(partition_) + ": its end could not be looked up");
  }
}

Result<void> Cursor::check_offset(Offset offset, Deadline deadline) {
  const auto end = find_end(deadline);
  if (!end) return std::unexpected(end.error());
  Offset start = board().start_offset.load();
  if (topic_->has(shm::TopicFlag::kMemoryOnly)) {
    slots_.may_ask(asking(deadline));
    const ReadStatus status = reader_.seek_oldest();
    slots_.may_ask(Deadline::passed());
    if (status == ReadStatus::kRecord) start = std::max(start, reader_.next_offset());
    release();
  }
  if (offset >= start && offset <= *end) return {};
  return fail(ErrorCode::kBadPosition, topic_->place(partition_) + ": offset " +
                                           std::to_string(offset) + "; kept are " +
                                           std::to_string(start) + " to " + std::to_string(*end));
}

}  // namespace mallbots::client
