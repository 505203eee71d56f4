// PartitionStore: puts the committed bytes of one partition's slots on the disk, by the rules of
// protocol section 7, and says how far the log is durable.
//
// One per partition of a disk topic. Driven by the broker's control and persist thread alone: calls
// from its loop, completions through Disk::reap() on the same thread. persist() never waits for the
// disk: the steps of a round (new segment: rename a spare, header and folder synced; then one write
// and one flush) follow each other by completions. Only renaming a spare and cutting a closed file
// to length are blocking calls, once a segment each.
//
// One round at a time: while busy(), commits pile up in the slots, and the next persist() takes all
// of them with one write and one flush (group commit).
//
// Promise: durable().offset moves only when the bytes below it were written and flushed, and only
// to the end of a batch. A write or flush that failed is never repeated on that file: the file is
// left as it is, and the next persist() starts at cursor(), which has gone back to the durable
// point, in a fresh segment. Hence the caller keeps a slot's memory until durable() has passed it
// AND busy() is false (retirement: "no I/O in flight").
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "broker/io/disk.h"
#include "broker/storage/durable_note.h"
#include "broker/storage/gather.h"
#include "broker/storage/recovery.h"
#include "broker/storage/segment_info.h"
#include "broker/storage/segment_writer.h"
#include "broker/storage/slot_scan.h"
#include "broker/storage/spare_pool.h"
#include "shm/base/clock.h"
#include "shm/base/ids.h"
#include "shm/segment/footer.h"

namespace mallbots::broker {

class PartitionStore;

/// A stretch of one slot that holds whole committed batches.
struct CommittedRange {
  SlotGen slot_gen = 0;
  /// The slot's whole data area: page-aligned, slot.bytes long.
  std::span<const std::byte> slot_data;
  std::uint32_t from_units = 0;  ///< cursor().units for the cursor's slot, 0 for a later one
  std::uint32_t to_units = 0;    ///< committed tail
  bool sealed = false;           ///< nothing follows in this slot
  /// next_offset of the slot's commit pair at to_units. Used when sealed only: a damaged tail is
  /// made up to this offset.
  Offset end_offset = 0;
};

/// Where the next persist() goes on. After a failure it steps back to the durable point.
struct PersistCursor {
  SlotGen slot_gen = 0;
  std::uint32_t units = 0;
  Offset offset = 0;
};

enum class PersistVerdict : std::uint8_t {
  kStarted,  ///< a round is on its way; busy() until durable_moved or store_failed
  kNothing,  ///< there was nothing to write (sealed empty slots are passed at once)
  kBusy,     ///< a round is on its way already
  kWaiting,  ///< after a failure: not before retry_at()
  kBlocked,  ///< a bad record begins at cursor(); come again when the slot is sealed
};

enum class StoreHealth : std::uint8_t {
  kGood,
  kFull,     ///< ENOSPC: producers get DiskFull, deletion goes on, rounds are tried again
  kFailing,  ///< EIO or alike: durable stands still; rounds are tried again in fresh segments
};

/// Bytes that do not check out in a slot.
struct BadRecords {
  SlotGen slot_gen = 0;
  std::uint32_t from_units = 0;
  std::uint32_t to_units = 0;  ///< 0: not known before the slot is sealed
  Offset first_offset = 0;
  Offset end_offset = 0;  ///< first == end: not known yet, or no offset lost
  std::string reason;
};

/// What the broker hears, always from inside persist() or Disk::reap().
class StoreListener {
 public:
  /// durable() has moved. Positions may follow, waiters be woken, slots be retired.
  virtual void durable_moved(PartitionStore& store) = 0;
  /// sealed == false: seal the slot at its current tail now, expel the author; the store takes
  /// nothing more of this slot until it is told that it is sealed. sealed == true: the offsets
  /// [first, end) became one damaged record.
  virtual void bad_records(PartitionStore& store, const BadRecords& bad, bool sealed) = 0;
  /// Log it loudly; put `error.code` on the board's `readonly` or take it away.
  virtual void health_changed(PartitionStore& store, StoreHealth health, const Error& error) = 0;

 protected:
  ~StoreListener() = default;
};

struct PartitionStoreOptions {
  PartitionIdentity identity;
  std::string folder;  ///< exists
  LogEpoch log_epoch = 0;
  std::uint64_t segment_bytes = 64ULL << 20;
  std::uint64_t slot_bytes = 2ULL << 20;
  /// A round ends at the first batch end at or above this, and begins no other slot there. A slot
  /// of patches or of one batch is taken whole: write_limit_bytes has room for one.
  std::uint64_t round_bytes = 8ULL << 20;
  /// Most zeros written ahead of the tail while rounds are small; 0: none.
  std::uint64_t zero_ahead_bytes = 4ULL << 20;
  BootNanos retry_first_ns = 100 * kMillisecond;
  BootNanos retry_last_ns = 5 * kSecond;
};

struct StoreCounters {
  std::uint64_t rounds = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t records = 0;
  std::uint64_t segments = 0;
  std::uint64_t failures = 0;
  std::uint64_t damaged_records = 0;
  std::uint64_t future_stamps = 0;  ///< more than a minute ahead of the wall clock
  BootNanos last_round_ns = 0;      ///< from persist() to durable
};

class PartitionStore final : private IoHandler {
 public:
  /// `recovered` as recover_partition() left it, or RecoveredPartition{} for a new partition.
  /// `start`: which slot and unit hold the record recovered.end.offset ({0, 0} after a start
  /// without memory). Nothing is written before the first persist(). disk, spares and listener
  /// outlive it.
  struct Parts {
    Disk& disk;
    SparePool& spares;
    StoreListener& listener;
    DurableNote* note = nullptr;
  };
  PartitionStore(const Parts& parts, PartitionStoreOptions options, RecoveredPartition recovered,
                 const PersistCursor& start);
  PartitionStore(const PartitionStore&) = delete;
  PartitionStore& operator=(const PartitionStore&) = delete;
  /// The caller has waited for idle().
  ~PartitionStore();

  /// Starts a round with as much of `ranges` (in slot order, the first one at cursor()) as fits.
  /// The disk sees it at the next Disk::kick() or reap(), so that many stores share one system
  /// call. Checks every record first: header check, lengths, dense offsets, body hash.
  PersistVerdict persist(std::span<const CommittedRange> ranges);
  /// While a round is on its way: checks what was committed behind it (`ranges` as for persist), so
  /// that the next persist() finds it checked and the disk need not wait for that. Does nothing
  /// else; what does not check out is left for persist() to judge.
  void check_ahead(std::span<const CommittedRange> ranges);

  [[nodiscard]] bool busy() const noexcept;
  /// No request in flight at all, not even a footer or zeros ahead.
  [[nodiscard]] bool idle() const noexcept;
  [[nodiscard]] PersistCursor cursor() const noexcept;
  [[nodiscard]] const DurablePoint& durable() const noexcept;
  /// The same place in slot terms: everything before it may be retired once busy() is false.
  [[nodiscard]] PersistCursor durable_cursor() const noexcept;
  [[nodiscard]] StoreHealth health() const noexcept;
  [[nodiscard]] BootNanos retry_at() const noexcept;

  /// Closes the open segment (footer, cut to length) when not busy: drain, and a segment older than
  /// retention.ms that nobody appends to. True once there is no open segment and idle().
  bool close();
  /// From the next segment on.
  void set_segment_bytes(std::uint64_t bytes) noexcept { next_segment_bytes_ = bytes; }
  /// Wall time when the open segment was made; 0 if there is none.
  [[nodiscard]] UnixMillis open_since_ms() const noexcept;

  /// Oldest first; the open one last. end_offset and end_byte of the open one are durable ones.
  [[nodiscard]] std::span<const SegmentInfo> segments() const noexcept;
  [[nodiscard]] Offset start_offset() const noexcept;
  /// The segment that holds `offset`, nullptr if none does.
  [[nodiscard]] const SegmentInfo* locate(Offset offset) const noexcept;
  [[nodiscard]] std::string path_of(const SegmentInfo& segment) const;
  /// For a cold reader: an O_RDONLY descriptor of the segment, through the page cache. Blocking.
  [[nodiscard]] Result<File> open_for_reading(const SegmentInfo& segment) const;
  /// A record boundary at or before `offset` in that segment. Reads its footer; blocking.
  [[nodiscard]] Result<shm::IndexEntry> seek_offset(const SegmentInfo& segment,
                                                    Offset offset) const;
  /// First durable offset whose running maximum of stamps is >= t; kNoOffset: none (yet). Blocking.
  [[nodiscard]] Result<Offset> offset_at_time(UnixMillis t) const;

  /// Removes the `count` oldest closed segments and syncs the folder. Blocking; not while open
  /// readers matter: a descriptor handed out before keeps its file alive. Also while busy(), if the
  /// newest segment stays: a round writes to the open one alone, or to one whose header names the
  /// newest as its predecessor.
  [[nodiscard]] Result<void> drop_oldest(std::size_t count);

  [[nodiscard]] const StoreCounters& counters() const noexcept;
  [[nodiscard]] const PartitionStoreOptions& options() const noexcept;

 private:
  struct Round;
  struct Closing;
  struct Checked;

  void io_done(std::uint64_t tag, int error) override;
  // The steps of a round, in order.
  [[nodiscard]] bool compose(std::span<const CommittedRange> ranges, Round& round);
  [[nodiscard]] bool compose_range(const CommittedRange& range, Round& round);
  [[nodiscard]] SlotScan scan_range(SlotGen slot_gen, const SlotScanRequest& request);
  [[nodiscard]] Checked& checked_at(std::size_t place, SlotGen slot_gen,
                                    const SlotScanRequest& request);
  [[nodiscard]] Result<void> make_segment();
  void submit_header();
  void submit_data();
  void round_done();
  void round_failed(const Error& error);
  [[nodiscard]] bool roll_due() const;
  void begin_close();
  void write_footer(Closing& closing);
  void footer_done(std::uint64_t number, int error);
  void zero_ahead(std::uint64_t round_bytes);
  void zeros_done(int error);
  void report_bad(const CommittedRange& range, const SlotPatch& bad);
  void set_health(StoreHealth health, const Error& error);
  void update_info(const SegmentInfo& info);
  [[nodiscard]] Result<shm::SegmentFooter> footer_of(const SegmentInfo& segment) const;

  Disk& disk_;
  SparePool& spares_;
  StoreListener& listener_;
  DurableNote* note_;
  PartitionStoreOptions options_;
  std::uint64_t next_segment_bytes_;
  std::uint64_t seed_;

  std::vector<SegmentInfo> segments_;
  shm::SegmentNumber next_number_ = 1;
  std::vector<shm::SegmentNumber> unborn_;
  std::unique_ptr<SegmentWriter> writer_;
  UnixMillis open_since_ms_ = 0;
  std::vector<std::unique_ptr<Closing>> closing_;
  std::vector<std::unique_ptr<SegmentWriter>> abandoned_;  ///< files that a request still names
  File folder_;
  AlignedBuffer header_block_;

  DurablePoint durable_;
  PersistCursor durable_cursor_;
  PersistCursor cursor_;
  std::unique_ptr<Round> round_;  ///< set while busy()
  Gather gather_;
  std::vector<Checked> ahead_;  ///< from cursor_ on, slot by slot

  struct Zeroing {
    const SegmentWriter* writer = nullptr;  ///< nullptr: no zeros in flight
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    shm::SegmentNumber refused_by = shm::kNoSegment;
  };
  Zeroing zeroing_;

  struct BlockedAt {
    SlotGen slot_gen;
    std::uint32_t units;
  };
  std::optional<BlockedAt> blocked_;
  StoreHealth health_ = StoreHealth::kGood;
  BootNanos retry_at_ = 0;
  BootNanos retry_after_ns_;
  StoreCounters counters_;
};

}  // namespace mallbots::broker
