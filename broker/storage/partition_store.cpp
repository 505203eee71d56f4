#include "broker/storage/partition_store.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "shm/base/check.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {

namespace {

enum Tag : std::uint64_t { kHeaderTag = 1, kFolderTag, kDataTag, kZerosTag, kFooterTag };
constexpr unsigned kTagBits = 3;

constexpr std::size_t kRangesPerRound = 8;
/// Rounds above this write more than zeros ahead would save.
constexpr std::uint64_t kSmallRoundBytes = 256 * 1024;
/// Written ahead of a segment's first records; then as much again as it has. A hundred partitions
/// with a few records each would otherwise keep the device busy with zeros, just when a restart
/// makes a segment for all of them.
constexpr std::uint64_t kFewestZeros = 256 * 1024;
/// No honest log gets there; a producer that says so is not believed.
constexpr Offset kLastOffset = Offset{1} << 62;
/// Room for the pads of a round beside its records.
constexpr std::uint64_t kPadRoomBytes = 128 * 1024;

bool overlap(std::uint64_t a, std::uint64_t a_end, std::uint64_t b, std::uint64_t b_end) {
  return a < b_end && b < a_end;
}

}  // namespace

/// What is on its way between persist() and durable.
struct PartitionStore::Round {
  PersistCursor next;
  std::vector<BadRecords> patched;
  BootNanos started_ns = 0;
  unsigned waits = 0;  ///< completions before the next step
  int error = 0;
  const char* step = "write";
  bool makes_segment = false;
  bool held_by_zeros = false;
};

/// What check_ahead() found good in one slot, and where it began to look.
struct PartitionStore::Checked {
  SlotGen slot_gen = 0;
  shm::SegmentNumber segment = shm::kNoSegment;  ///< whose index the entries are for
  std::uint32_t from_units = 0;
  Offset expected = 0;
  UnixMillis running_max_ms = shm::kNoTimestamp;
  SlotScan scan;

  [[nodiscard]] bool fits(SlotGen gen, shm::SegmentNumber number,
                          const SlotScanRequest& request) const noexcept {
    return slot_gen == gen && segment == number && from_units == request.from_units &&
           expected == request.expected && running_max_ms == request.running_max_ms &&
           scan.to_units <= request.to_units;
  }
};

/// A full segment on its way to its footer.
struct PartitionStore::Closing {
  std::unique_ptr<SegmentWriter> writer;
  Gather gather;
  UnixMillis closed_ms = 0;
  bool submitted = false;
};

PartitionStore::PartitionStore(const Parts& parts, PartitionStoreOptions options,
                               RecoveredPartition recovered, const PersistCursor& start)
    : disk_(parts.disk),
      spares_(parts.spares),
      listener_(parts.listener),
      note_(parts.note),
      options_(std::move(options)),
      next_segment_bytes_(options_.segment_bytes),
      seed_(shm::record_seed(options_.identity.partition, options_.log_epoch)),
      segments_(std::move(recovered.segments)),
      next_number_(recovered.next_number),
      unborn_(std::move(recovered.unborn)),
      durable_(recovered.end),
      durable_cursor_(start),
      cursor_(start),
      retry_after_ns_(options_.retry_first_ns) {
  CHECK(start.offset == recovered.end.offset);
}

PartitionStore::~PartitionStore() { CHECK(idle()); }

bool PartitionStore::busy() const noexcept { return round_ != nullptr; }
bool PartitionStore::idle() const noexcept {
  return !busy() && closing_.empty() && zeroing_.writer == nullptr;
}
PersistCursor PartitionStore::cursor() const noexcept { return cursor_; }
const DurablePoint& PartitionStore::durable() const noexcept { return durable_; }
PersistCursor PartitionStore::durable_cursor() const noexcept { return durable_cursor_; }
StoreHealth PartitionStore::health() const noexcept { return health_; }
BootNanos PartitionStore::retry_at() const noexcept { return retry_at_; }
UnixMillis PartitionStore::open_since_ms() const noexcept { return writer_ ? open_since_ms_ : 0; }
std::span<const SegmentInfo> PartitionStore::segments() const noexcept { return segments_; }
const StoreCounters& PartitionStore::counters() const noexcept { return counters_; }
const PartitionStoreOptions& PartitionStore::options() const noexcept { return options_; }

// --- a round

PersistVerdict PartitionStore::persist(std::span<const CommittedRange> ranges) {
  if (busy()) return PersistVerdict::kBusy;
  if (retry_at_ != 0 && boot_now_ns() < retry_at_) return PersistVerdict::kWaiting;
  round_ = std::make_unique<Round>();
  round_->next = cursor_;
  round_->started_ns = boot_now_ns();
  gather_.clear();
  const bool composed = compose(ranges, *round_);
  ahead_.clear();
  if (!composed) {
    const PersistCursor reached = round_ ? round_->next : cursor_;
    const bool failed = round_ == nullptr;
    round_.reset();
    if (failed) return PersistVerdict::kWaiting;
    cursor_ = durable_cursor_ = reached;  // empty slots were passed; nothing is in flight
    return blocked_ ? PersistVerdict::kBlocked : PersistVerdict::kNothing;
  }
  writer_->finish(gather_);
  cursor_ = round_->next;
  if (round_->makes_segment) {
    submit_header();
  } else {
    submit_data();
  }
  return PersistVerdict::kStarted;
}

/// True if there is something to write. On failure round_ is gone.
bool PartitionStore::compose(std::span<const CommittedRange> ranges, Round& round) {
  for (const CommittedRange& range : ranges.first(std::min(ranges.size(), kRangesPerRound))) {
    CHECK(range.slot_gen == round.next.slot_gen && range.from_units == round.next.units);
    if (gather_.bytes() >= options_.round_bytes || !compose_range(range, round)) break;
    if (!round_) return false;
  }
  return round_ && gather_.bytes() > 0;
}

/// True if the next range may follow in the same round.
bool PartitionStore::compose_range(const CommittedRange& range, Round& round) {
  const bool was_blocked = blocked_ && blocked_->slot_gen == range.slot_gen;
  if (was_blocked && !range.sealed && blocked_->units <= range.from_units) return false;
  if (range.from_units == 0 && writer_ && roll_due()) {
    if (gather_.bytes() > 0) return false;  // the next round begins with the new segment
    begin_close();
  }
  // The word and the pair are the producers' to write: a tail that stepped back or left the slot,
  // an end that no log reaches, are damage like any other.
  const auto room = static_cast<std::uint32_t>(range.slot_data.size() / shm::kUnitBytes);
  const std::uint32_t tail = std::min(range.to_units, room);
  if (tail < range.from_units && !range.sealed) {
    if (!was_blocked) {
      report_bad(range, {range.from_units, 0, round.next.offset, round.next.offset,
                         "the tail stepped back behind what was persisted"});
    }
    return false;
  }
  SlotScanRequest request;
  request.slot_data = range.slot_data;
  request.from_units = range.from_units;
  request.to_units = std::max(tail, range.from_units);
  if (was_blocked && !range.sealed) request.to_units = std::min(request.to_units, blocked_->units);
  request.sealed = range.sealed;
  request.end_offset = range.end_offset <= kLastOffset ? range.end_offset : round.next.offset;
  request.seed = seed_;
  request.expected = round.next.offset;
  request.running_max_ms =
      writer_ ? (gather_.bytes() > 0 ? writer_->pending_running_max_ms() : durable_.running_max_ms)
              : durable_.running_max_ms;
  request.max_bytes = options_.round_bytes - std::min(options_.round_bytes, gather_.bytes());
  request.index_from_bytes = writer_ ? writer_->index_due_bytes() : 0;
  request.now_ms = wall_coarse_ms();
  const SlotScan scan = scan_range(range.slot_gen, request);
  if (scan.bad && !was_blocked) report_bad(range, *scan.bad);
  if (scan.to_units != range.from_units) {
    if (!writer_) {
      if (auto made = make_segment(); !made) {
        round_failed(made.error());
        return false;
      }
    }
    writer_->compose(gather_, range.slot_gen, range.slot_data, range.from_units, scan);
  }
  for (const SlotPatch& patch : scan.patches) {
    round.patched.push_back({range.slot_gen, patch.from_units, patch.to_units, patch.first_offset,
                             patch.end_offset, patch.reason});
  }
  counters_.future_stamps += scan.future_stamps;
  round.next = {range.slot_gen, scan.to_units, scan.end_offset};
  if (!scan.complete || !range.sealed) return false;
  if (was_blocked) blocked_.reset();
  round.next = {range.slot_gen + 1, 0, scan.end_offset};
  return true;
}

/// What was checked ahead is not checked again.
SlotScan PartitionStore::scan_range(SlotGen slot_gen, const SlotScanRequest& request) {
  const shm::SegmentNumber segment = writer_ ? writer_->header().number : shm::kNoSegment;
  for (Checked& known : ahead_)
    if (known.fits(slot_gen, segment, request)) return scan_on(std::move(known.scan), request);
  return scan_slot(request);
}

void PartitionStore::check_ahead(std::span<const CommittedRange> ranges) {
  if (!busy() || !writer_ || blocked_) return;
  SlotScanRequest request;
  request.seed = seed_;
  request.now_ms = wall_coarse_ms();
  request.expected = cursor_.offset;
  request.running_max_ms = writer_->pending_running_max_ms();
  request.index_from_bytes = writer_->index_due_bytes();
  request.max_bytes = options_.round_bytes;
  std::size_t place = 0;
  for (const CommittedRange& range : ranges.first(std::min(ranges.size(), kRangesPerRound))) {
    const auto room = static_cast<std::uint32_t>(range.slot_data.size() / shm::kUnitBytes);
    request.slot_data = range.slot_data;
    request.from_units = range.from_units;
    request.to_units = std::min(range.to_units, room);
    if (request.to_units < range.from_units) return;
    Checked& known = checked_at(place++, range.slot_gen, request);
    known.scan = scan_on(std::move(known.scan), request);
    const SlotScan& scan = known.scan;
    const bool whole = scan.complete && range.sealed && scan.end_offset == range.end_offset;
    const std::uint64_t bytes = std::uint64_t{scan.to_units - range.from_units} * shm::kUnitBytes;
    if (!whole || bytes >= request.max_bytes) return;
    request.index_from_bytes = index_due_behind(scan, request);
    request.max_bytes -= bytes;
    request.expected = scan.end_offset;
    request.running_max_ms = scan.running_max_ms;
  }
}

/// The state of the check at `place`; begun anew if it was for something else.
PartitionStore::Checked& PartitionStore::checked_at(std::size_t place, SlotGen slot_gen,
                                                    const SlotScanRequest& request) {
  const shm::SegmentNumber segment = writer_->header().number;
  if (place < ahead_.size() && ahead_[place].fits(slot_gen, segment, request)) return ahead_[place];
  ahead_.resize(place);
  return ahead_.emplace_back(Checked{slot_gen, segment, request.from_units, request.expected,
                                     request.running_max_ms, begin_scan(request)});
}

void PartitionStore::report_bad(const CommittedRange& range, const SlotPatch& bad) {
  blocked_ = BlockedAt{range.slot_gen, bad.from_units};
  listener_.bad_records(
      *this, {range.slot_gen, bad.from_units, 0, bad.first_offset, bad.first_offset, bad.reason},
      false);
}

bool PartitionStore::roll_due() const {
  const bool has_data = writer_->pending_end() > shm::kBlockBytes;
  return has_data && writer_->pending_end() + options_.slot_bytes > options_.segment_bytes;
}

Result<void> PartitionStore::make_segment() {
  if (!folder_) {
    auto folder = disk_.open(options_.folder, OpenMode::kFolder);
    if (!folder) return std::unexpected(std::move(folder).error());
    folder_ = std::move(*folder);
  }
  for (const shm::SegmentNumber number : unborn_) {
    CRASH_POINT("storage.unborn.remove");
    MALLBOTS_TRY(disk_.remove(options_.folder + "/" + segment_file_name(number)));
  }
  unborn_.clear();
  const shm::SegmentNumber number = next_number_++;
  CRASH_POINT("storage.segment.take-spare");
  auto taken = spares_.take(options_.folder + "/" + segment_file_name(number));
  if (!taken) return std::unexpected(std::move(taken).error());

  shm::SegmentHeader header{};
  header.log_epoch = options_.log_epoch;
  header.topic_id = static_cast<std::uint64_t>(options_.identity.topic);
  header.partition_id = static_cast<std::uint64_t>(options_.identity.partition);
  header.number = number;
  header.base_offset = durable_.offset;
  header.base_timestamp_ms = durable_.running_max_ms;
  if (!segments_.empty()) {
    header.predecessor = segments_.back().number;
    header.predecessor_end = segments_.back().end_byte;
    header.predecessor_end_offset = segments_.back().end_offset;
  }
  header.created_ms = wall_now_ms();
  header.write_limit_bytes = options_.round_bytes + options_.slot_bytes + kPadRoomBytes;
  header.partition_index = options_.identity.index;
  const auto block = shm::encode_segment_header(header);
  if (header_block_.size() == 0) header_block_ = AlignedBuffer{shm::kBlockBytes};
  std::memcpy(header_block_.data(), block.data(), block.size());
  writer_ = std::make_unique<SegmentWriter>(std::move(taken->file), header, taken->zero_bytes);
  open_since_ms_ = header.created_ms;
  options_.segment_bytes = next_segment_bytes_;
  round_->makes_segment = true;
  ++counters_.segments;
  return {};
}

void PartitionStore::submit_header() {
  round_->waits = 2;
  round_->step = "write the header of";
  const iovec piece{header_block_.data(), header_block_.size()};
  CRASH_POINT("storage.segment.header");
  disk_.submit({IoKind::kWriteFlush, &writer_->file(), 0, {&piece, 1}, this, kHeaderTag});
  CRASH_POINT("storage.segment.sync-folder");
  disk_.submit({IoKind::kSyncFolder, &folder_, 0, {}, this, kFolderTag});
}

void PartitionStore::submit_data() {
  const std::uint64_t begin = gather_.first_byte();
  const std::uint64_t end = begin + gather_.bytes();
  round_->held_by_zeros =
      zeroing_.writer == writer_.get() && overlap(begin, end, zeroing_.begin, zeroing_.end);
  if (round_->held_by_zeros) return;  // zeros_done() comes back here
  round_->waits = 1;
  round_->step = "write to";
  CRASH_POINT("storage.segment.write");
  disk_.submit({IoKind::kWriteFlush, &writer_->file(), begin, gather_.pieces(), this, kDataTag});
}

void PartitionStore::io_done(std::uint64_t tag, int error) {
  const std::uint64_t kind = tag & ((1U << kTagBits) - 1);
  if (kind == kZerosTag) return zeros_done(error);
  if (kind == kFooterTag) return footer_done(tag >> kTagBits, error);
  CHECK(round_ && round_->waits > 0);
  if (error != 0 && round_->error == 0) round_->error = error;
  if (--round_->waits > 0) return;
  if (round_->error != 0) {
    return round_failed(file_error(round_->step, writer_->file().path(), round_->error));
  }
  if (kind == kDataTag) return round_done();
  submit_data();
}

void PartitionStore::round_done() {
  const std::uint64_t bytes = gather_.bytes();
  const std::uint64_t records_before = writer_->records();
  writer_->commit(gather_);
  gather_.clear();
  const std::unique_ptr<Round> round = std::move(round_);
  durable_cursor_ = round->next;
  const SegmentInfo info = writer_->info(SegmentState::kOpen);
  update_info(info);
  durable_ = {info.end_offset, info.number, info.end_byte, info.running_max_ms};
  if (note_ != nullptr) {
    CRASH_POINT("storage.note");
    store_note(*note_, {durable_, info.records, durable_cursor_.slot_gen, durable_cursor_.units});
  }
  ++counters_.rounds;
  counters_.written_bytes += bytes;
  counters_.records += info.records - records_before;
  counters_.damaged_records += round->patched.size();
  counters_.last_round_ns = boot_now_ns() - round->started_ns;
  retry_at_ = 0;
  retry_after_ns_ = options_.retry_first_ns;
  zero_ahead(bytes);
  if (health_ != StoreHealth::kGood) set_health(StoreHealth::kGood, {});
  for (const BadRecords& bad : round->patched) listener_.bad_records(*this, bad, true);
  listener_.durable_moved(*this);
}

/// The file is left as it is. What was not durable is written again, from memory, into a new one.
void PartitionStore::round_failed(const Error& error) {
  if (writer_) {
    if (writer_->empty()) {
      CRASH_POINT("storage.segment.discard");
      (void)disk_.remove(writer_->file().path());  // holds nothing that counts; else it is a stray
    } else {
      SegmentInfo info = writer_->info(SegmentState::kUnlisted);
      info.closed_ms = wall_now_ms();  // its age counts from here
      update_info(info);
    }
    if (zeroing_.writer == writer_.get()) {
      abandoned_.push_back(std::move(writer_));
    }
    writer_.reset();
  }
  gather_.clear();
  ahead_.clear();
  round_.reset();
  cursor_ = durable_cursor_;
  ++counters_.failures;
  retry_at_ = boot_now_ns() + retry_after_ns_;
  retry_after_ns_ = std::min(2 * retry_after_ns_, options_.retry_last_ns);
  set_health(error.code == ErrorCode::kDiskFull ? StoreHealth::kFull : StoreHealth::kFailing,
             error);
}

void PartitionStore::set_health(StoreHealth health, const Error& error) {
  health_ = health;
  listener_.health_changed(*this, health, error);
}

void PartitionStore::update_info(const SegmentInfo& info) {
  const auto same = [&info](const SegmentInfo& one) { return one.number == info.number; };
  const auto place = std::find_if(segments_.begin(), segments_.end(), same);
  if (place == segments_.end()) {
    segments_.push_back(info);
  } else {
    *place = info;
  }
}

// --- zeros ahead

void PartitionStore::zero_ahead(std::uint64_t round_bytes) {
  if (zeroing_.writer != nullptr || options_.zero_ahead_bytes == 0) return;
  if (round_bytes > kSmallRoundBytes || zeroing_.refused_by == writer_->header().number) return;
  const std::uint64_t end_byte = durable_.byte;
  const std::uint64_t ahead =
      std::min(std::max(shm::block_ceil(end_byte), kFewestZeros), options_.zero_ahead_bytes);
  if (writer_->zero_end() > end_byte + ahead / 4) return;
  zeroing_.begin = shm::block_ceil(std::max(writer_->zero_end(), end_byte));
  zeroing_.end = std::min(zeroing_.begin + ahead, shm::block_ceil(options_.segment_bytes));
  if (zeroing_.end <= zeroing_.begin) return;
  zeroing_.writer = writer_.get();
  const auto pieces = zero_pieces(zeroing_.end - zeroing_.begin);
  CRASH_POINT("storage.segment.zeros");
  disk_.submit({IoKind::kWrite, &writer_->file(), zeroing_.begin, pieces, this, kZerosTag});
}

void PartitionStore::zeros_done(int error) {
  const SegmentWriter* owner = zeroing_.writer;
  zeroing_.writer = nullptr;
  std::erase_if(abandoned_, [owner](const auto& writer) { return writer.get() == owner; });
  if (writer_.get() == owner) {
    if (error == 0) writer_->zeros_written(zeroing_.end);
    if (error != 0) zeroing_.refused_by = writer_->header().number;
    const bool held = round_ && round_->held_by_zeros;
    // ENOSPC lost nothing. After any other failed write the file is not to be flushed again.
    if (error != 0 && error != ENOSPC) {
      const Error failure = file_error("write zeros to", writer_->file().path(), error);
      if (!busy() || held) return round_failed(failure);
      round_->error = error;  // the flush in flight may have swallowed the failure: do not trust it
      return;
    }
    if (held) submit_data();
    return;
  }
  for (const auto& closing : closing_) {
    if (closing->writer.get() != owner || closing->submitted) continue;
    if (error == 0 || error == ENOSPC) return write_footer(*closing);
    return footer_done(closing->writer->header().number, error);
  }
}

// --- closing

void PartitionStore::begin_close() {
  auto closing = std::make_unique<Closing>();
  closing->writer = std::move(writer_);
  closing->closed_ms = wall_now_ms();
  update_info(closing->writer->info(SegmentState::kClosing));
  Closing& placed = *closing_.emplace_back(std::move(closing));
  if (zeroing_.writer != placed.writer.get()) write_footer(placed);
}

void PartitionStore::write_footer(Closing& closing) {
  SegmentWriter& writer = *closing.writer;
  closing.submitted = true;
  CRASH_POINT("storage.close.cut");
  if (auto cut = disk_.truncate(writer.file(), writer.cut_byte()); !cut) {
    return footer_done(writer.header().number, EIO);
  }
  writer.compose_footer(closing.gather, closing.closed_ms);
  CRASH_POINT("storage.close.footer");
  disk_.submit({IoKind::kWriteFlush, &writer.file(), closing.gather.first_byte(),
                closing.gather.pieces(), this, kFooterTag | writer.header().number << kTagBits});
}

void PartitionStore::footer_done(std::uint64_t number, int error) {
  const auto place = std::find_if(closing_.begin(), closing_.end(), [number](const auto& one) {
    return one->writer->header().number == number;
  });
  CHECK(place != closing_.end());
  const std::unique_ptr<Closing> closing = std::move(*place);
  closing_.erase(place);
  // Without its footer the segment is as good as before: the next recovery reads it.
  SegmentInfo info =
      closing->writer->info(error == 0 ? SegmentState::kClosed : SegmentState::kUnlisted);
  info.closed_ms = closing->closed_ms;
  info.file_bytes = closing->gather.first_byte() + closing->gather.bytes();
  update_info(info);
  if (error == 0) return;
  ++counters_.failures;
  set_health(health_, file_error("write the footer of", closing->writer->file().path(), error));
}

bool PartitionStore::close() {
  if (busy()) return false;
  if (writer_) begin_close();
  return idle();
}

}  // namespace mallbots::broker
