#include "broker/storage/segment_writer.h"

#include <algorithm>

#include "shm/base/check.h"

namespace mallbots::broker {

namespace {

constexpr std::uint64_t kHeader = shm::kRecordHeaderBytes;

/// What a pad must take to reach the next border: a gap smaller than a header takes a block more.
std::uint64_t pad_bytes(std::uint64_t gap) {
  return gap > 0 && gap < kHeader ? gap + shm::kBlockBytes : gap;
}

}  // namespace

std::uint64_t footer_begin(std::uint64_t data_end) {
  return data_end + pad_bytes(shm::block_ceil(data_end) - data_end);
}

SegmentWriter::SegmentWriter(File file, const shm::SegmentHeader& header, std::uint64_t zero_bytes)
    : file_(std::move(file)),
      header_(header),
      seed_(shm::record_seed(PartitionId{header.partition_id}, header.log_epoch)),
      zero_end_(std::max(zero_bytes, shm::kBlockBytes)) {
  durable_.end_offset = header.base_offset;
  durable_.running_max_ms = header.base_timestamp_ms;
  pending_ = durable_;
}

SegmentInfo SegmentWriter::info(SegmentState state) const {
  SegmentInfo info;
  info.number = header_.number;
  info.state = state;
  info.log_epoch = header_.log_epoch;
  info.base_offset = header_.base_offset;
  info.end_offset = durable_.end_offset;
  info.end_byte = durable_.data_end;
  info.file_bytes = std::max(zero_end_, shm::block_ceil(durable_.data_end));
  info.records = durable_.records;
  info.base_timestamp_ms = header_.base_timestamp_ms;
  info.running_max_ms = durable_.running_max_ms;
  return info;
}

std::uint64_t SegmentWriter::index_due_bytes() const noexcept {
  if (pending_.last_index_byte == 0) return 0;
  const std::uint64_t due = pending_.last_index_byte + shm::kIndexStrideBytes;
  return due > pending_.data_end ? due - pending_.data_end : 0;
}

void SegmentWriter::start(Gather& gather) {
  if (composing_) return;
  composing_ = true;
  pending_ = durable_;
  gather.begin(shm::block_floor(durable_.data_end), tail_);
  CHECK(gather.file_byte() == durable_.data_end);
}

void SegmentWriter::put_pad(Gather& gather, std::uint64_t bytes, Offset next) {
  if (bytes == 0) return;
  const auto header = shm::pad_header(static_cast<std::uint32_t>(bytes), next, seed_);
  gather.copy(std::as_bytes(std::span(&header, 1)));
  gather.zeros(bytes - kHeader);
}

void SegmentWriter::pad_to_border(Gather& gather) {
  const std::uint64_t at = gather.file_byte();
  put_pad(gather, pad_bytes(shm::block_ceil(at) - at), pending_.end_offset);
}

void SegmentWriter::begin_run(Gather& gather, SlotGen slot_gen, std::uint32_t from_units) {
  pad_to_border(gather);
  const std::uint64_t run_byte = gather.file_byte();
  // A run that starts inside a slot keeps the slot's distance from a border, for direct writes.
  const std::uint64_t from_bytes = std::uint64_t{from_units} * shm::kUnitBytes;
  put_pad(gather, pad_bytes(from_bytes % shm::kBlockBytes), pending_.end_offset);
  pending_.in_run = true;
  pending_.run_slot = slot_gen;
  pending_.run_origin =
      static_cast<std::int64_t>(gather.file_byte()) - static_cast<std::int64_t>(from_bytes);
  runs_.push_back({run_byte, gather.file_byte(), pending_.end_offset, slot_gen});
}

void SegmentWriter::compose(Gather& gather, SlotGen slot_gen, std::span<const std::byte> slot_data,
                            std::uint32_t from_units, const SlotScan& scan) {
  if (scan.to_units == from_units) return;
  start(gather);
  if (!pending_.in_run || pending_.run_slot != slot_gen) begin_run(gather, slot_gen, from_units);
  const auto byte_of = [this](std::uint64_t units) {
    return static_cast<std::uint64_t>(pending_.run_origin +
                                      static_cast<std::int64_t>(units * shm::kUnitBytes));
  };
  CHECK(gather.file_byte() == byte_of(from_units));

  std::uint32_t at = from_units;
  const auto put_until = [&](std::uint32_t to) {
    gather.direct(slot_data.subspan(std::uint64_t{at} * shm::kUnitBytes,
                                    std::uint64_t{to - at} * shm::kUnitBytes));
    at = to;
  };
  for (const SlotPatch& patch : scan.patches) {
    put_until(patch.from_units);
    const auto bytes =
        static_cast<std::uint32_t>((patch.to_units - patch.from_units) * shm::kUnitBytes);
    const auto header =
        patch.first_offset == patch.end_offset
            ? shm::pad_header(bytes, patch.end_offset, seed_)
            : shm::damaged_header(bytes, patch.first_offset, patch.end_offset, seed_);
    gather.copy(std::as_bytes(std::span(&header, 1)));
    gather.zeros(bytes - kHeader);
    at = patch.to_units;
  }
  if (at < scan.to_units) put_until(scan.to_units);

  for (const shm::IndexEntry& entry : scan.index) {
    const std::uint64_t byte = byte_of(entry.byte / shm::kUnitBytes);
    index_.push_back({entry.offset, byte, entry.running_max_ms});
    pending_.last_index_byte = byte;
  }
  pending_.data_end = gather.file_byte();
  pending_.end_offset = scan.end_offset;
  pending_.records += scan.records;
  pending_.min_timestamp_ms = std::min(pending_.min_timestamp_ms, scan.min_timestamp_ms);
  pending_.running_max_ms = scan.running_max_ms;
  runs_.back().end_byte = pending_.data_end;
}

void SegmentWriter::finish(Gather& gather) {
  CHECK(composing_);
  pending_tail_ = gather.finish();
}

void SegmentWriter::commit(const Gather& gather) {
  CHECK(composing_);
  composing_ = false;
  durable_ = pending_;
  tail_.assign(pending_tail_.begin(), pending_tail_.end());
  pending_tail_ = {};
  durable_index_ = index_.size();
  zero_end_ = std::max(zero_end_, gather.first_byte() + gather.bytes());
}

void SegmentWriter::compose_footer(Gather& gather, UnixMillis closed_ms) {
  start(gather);
  pad_to_border(gather);
  shm::SegmentFooter footer;
  shm::SegmentTrailer& trailer = footer.trailer;
  trailer.partition_id = header_.partition_id;
  trailer.number = header_.number;
  trailer.base_offset = header_.base_offset;
  trailer.end_offset = durable_.end_offset;
  trailer.data_end = durable_.data_end;
  trailer.records = durable_.records;
  trailer.min_timestamp_ms = durable_.records == 0 ? shm::kNoTimestamp : durable_.min_timestamp_ms;
  trailer.running_max_ms = durable_.running_max_ms;
  trailer.closed_ms = closed_ms;
  trailer.log_epoch = header_.log_epoch;
  footer.runs = runs_;
  footer.index = index_;
  gather.copy(shm::encode_footer(std::move(footer)));
  CHECK(gather.file_byte() % shm::kBlockBytes == 0);
}

}  // namespace mallbots::broker
