// SegmentWriter: one open segment file, from its header to its footer. Composes writes; whoever
// owns it submits them and says how they went. Broker's thread.
//
// Two states side by side: what is durable, and what the write in flight adds. commit() makes the
// second the first. A write that failed makes the file useless to us: abandon it (info() says up to
// where it counts), never write or flush it again.
//
//   compose()*  ->  submit pieces  ->  commit()          close: compose_footer() -> submit
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "broker/io/disk.h"
#include "broker/storage/gather.h"
#include "broker/storage/segment_info.h"
#include "broker/storage/slot_scan.h"
#include "shm/segment/footer.h"

namespace mallbots::broker {

/// Where the footer begins behind records that end there: at a block border, or one further where
/// the pad before it has no room for its header.
[[nodiscard]] std::uint64_t footer_begin(std::uint64_t data_end);

class SegmentWriter {
 public:
  /// `zero_bytes`: how much of the file is zeros already.
  SegmentWriter(File file, const shm::SegmentHeader& header, std::uint64_t zero_bytes);

  [[nodiscard]] const File& file() const noexcept { return file_; }
  [[nodiscard]] const shm::SegmentHeader& header() const noexcept { return header_; }
  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

  /// The durable part.
  [[nodiscard]] SegmentInfo info(SegmentState state) const;
  [[nodiscard]] bool empty() const noexcept { return durable_.end_offset == header_.base_offset; }
  [[nodiscard]] std::span<const shm::IndexEntry> index() const noexcept {
    return std::span(index_).first(durable_index_);
  }
  /// Where the file ends once the write in flight is done: the roll decision.
  [[nodiscard]] std::uint64_t pending_end() const noexcept { return pending_.data_end; }
  [[nodiscard]] std::uint64_t records() const noexcept { return durable_.records; }

  /// Adds a checked stretch of a slot to the write being composed; the first call of a round starts
  /// it. Runs, pads and patches as in FORMAT.md.
  void compose(Gather& gather, SlotGen slot_gen, std::span<const std::byte> slot_data,
               std::uint32_t from_units, const SlotScan& scan);
  /// Ends the write: the last block is filled with zeros.
  void finish(Gather& gather);
  /// The write and its flush are done.
  void commit(const Gather& gather);
  /// No index entry is due before so many bytes behind the pending end.
  [[nodiscard]] std::uint64_t index_due_bytes() const noexcept;
  [[nodiscard]] UnixMillis pending_running_max_ms() const noexcept {
    return pending_.running_max_ms;
  }

  /// Where to cut the file just before the footer is written: everything durable stays, the zeros
  /// ahead go, so that the trailer becomes the end of the file.
  [[nodiscard]] std::uint64_t cut_byte() const noexcept {
    return shm::block_ceil(durable_.data_end);
  }
  /// The last write of the file: the pad behind the last run, footer and trailer.
  void compose_footer(Gather& gather, UnixMillis closed_ms);

  // Zeros ahead of the tail.
  [[nodiscard]] std::uint64_t zero_end() const noexcept { return zero_end_; }
  void zeros_written(std::uint64_t end) noexcept { zero_end_ = end; }

 private:
  struct Progress {
    std::uint64_t data_end = shm::kBlockBytes;
    Offset end_offset = 0;
    std::uint64_t records = 0;
    UnixMillis min_timestamp_ms = INT64_MAX;
    UnixMillis running_max_ms = shm::kNoTimestamp;
    bool in_run = false;
    SlotGen run_slot = 0;
    /// File byte of unit 0 of the run's slot; below 0 when the run starts late in the slot.
    std::int64_t run_origin = 0;
    std::uint64_t last_index_byte = 0;
  };

  void start(Gather& gather);
  void put_pad(Gather& gather, std::uint64_t bytes, Offset next);
  void pad_to_border(Gather& gather);
  void begin_run(Gather& gather, SlotGen slot_gen, std::uint32_t from_units);

  File file_;
  shm::SegmentHeader header_;
  std::uint64_t seed_;
  Progress durable_;
  Progress pending_;
  std::vector<std::byte> tail_;  ///< the last block up to the durable end
  std::span<const std::byte> pending_tail_;
  std::vector<shm::RunEntry> runs_;
  std::vector<shm::IndexEntry> index_;
  std::size_t durable_index_ = 0;
  bool composing_ = false;
  std::uint64_t zero_end_;
};

}  // namespace mallbots::broker
