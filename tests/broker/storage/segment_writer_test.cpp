#include "broker/storage/segment_writer.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "shm/segment/walker.h"
#include "tests/broker/storage/store_fixture.h"

namespace mallbots::test {
namespace {

/// A file in memory: what the pieces of each write would make of it.
struct Image {
  std::vector<std::byte> bytes = std::vector<std::byte>(shm::kBlockBytes);

  void write(const broker::Gather& gather) {
    std::uint64_t at = gather.first_byte();
    for (const iovec& piece : gather.pieces()) {
      const auto* raw = static_cast<const std::byte*>(piece.iov_base);
      if (bytes.size() < at + piece.iov_len) bytes.resize(at + piece.iov_len);
      std::copy(raw, raw + piece.iov_len, bytes.begin() + static_cast<std::ptrdiff_t>(at));
      at += piece.iov_len;
    }
  }
};

shm::SegmentHeader header_of(const FakePartition&) {
  shm::SegmentHeader header{};
  header.partition_id = static_cast<std::uint64_t>(kIdentity.partition);
  header.log_epoch = 1;
  header.number = 1;
  header.base_timestamp_ms = shm::kNoTimestamp;
  return header;
}

/// Writes everything up to the tail in rounds of random size, then the footer.
RC_GTEST_PROP(SegmentWriter, CoversEveryByteOfEveryRunWithARecordWhateverTheRounds, ()) {
  FakePartition partition(32 << 10);
  broker::SegmentWriter writer({}, header_of(partition), 0);
  broker::Gather gather;
  Image image;
  broker::PersistCursor at{};
  const auto rounds_left = *rc::gen::inRange(1, 12);
  for (int round = 0; round < rounds_left; ++round) {
    const auto batches = *rc::gen::inRange(1, 6);
    for (int i = 0; i < batches; ++i) {
      partition.append({*rc::gen::inRange<std::size_t>(0, 6000)});
      if (*rc::gen::inRange(0, 5) == 0) partition.seal();
    }
    bool wrote = false;
    for (const auto& range : partition.ranges(at)) {
      broker::SlotScanRequest request;
      request.slot_data = range.slot_data;
      request.from_units = range.from_units;
      request.to_units = range.to_units;
      request.sealed = range.sealed;
      request.end_offset = range.end_offset;
      request.seed = writer.seed();
      request.expected = at.offset;
      request.running_max_ms = writer.pending_running_max_ms();
      request.index_from_bytes = writer.index_due_bytes();
      const auto scan = broker::scan_slot(request);
      RC_ASSERT(scan.complete);
      writer.compose(gather, range.slot_gen, range.slot_data, range.from_units, scan);
      wrote = wrote || scan.to_units != range.from_units;
      at = {range.slot_gen, scan.to_units, scan.end_offset};
      if (range.sealed) at = {range.slot_gen + 1, 0, scan.end_offset};
    }
    if (!wrote) continue;
    writer.finish(gather);
    image.write(gather);
    writer.commit(gather);
    gather.clear();
  }
  image.bytes.resize(writer.cut_byte());
  writer.compose_footer(gather, 77);
  image.write(gather);

  const auto trailer = shm::parse_trailer(image.bytes, image.bytes.size());
  RC_ASSERT(trailer.has_value());
  RC_ASSERT(trailer->end_offset == partition.next());
  RC_ASSERT(trailer->records == partition.next());
  const auto footer = shm::parse_footer(std::span(image.bytes).last(trailer->footer_bytes));
  RC_ASSERT(footer.has_value());

  // From the header block to the footer without a gap: records and pads only.
  const auto runs = std::span(image.bytes).first(image.bytes.size() - trailer->footer_bytes);
  shm::RecordWalker walker{{.seed = writer.seed(), .byte = shm::kBlockBytes}};
  std::size_t run = 0;
  std::size_t entry = 0;
  while (walker.byte() < runs.size()) {
    const auto step = walker.next(runs.subspan(walker.byte()), true);
    RC_ASSERT(step.kind == shm::WalkStep::kRecord || step.kind == shm::WalkStep::kPad);
    if (run < footer->runs.size() && step.byte == footer->runs[run].byte) ++run;
    if (step.kind == shm::WalkStep::kPad) continue;
    if (entry < footer->index.size() && step.byte == footer->index[entry].byte) {
      RC_ASSERT(footer->index[entry++].offset == step.first_offset);
    }
  }
  RC_ASSERT(walker.expected() == partition.next());
  RC_ASSERT(run == footer->runs.size());
  RC_ASSERT(entry == footer->index.size());
  for (const auto& one : footer->runs) RC_ASSERT(one.byte % shm::kBlockBytes == 0U);
}

}  // namespace
}  // namespace mallbots::test
