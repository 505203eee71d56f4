// The reading half of PartitionStore: where is which record, and what may go. Control operations:
// they block, and none of them is on the way of a commit.
#include <algorithm>

#include "broker/storage/partition_store.h"
#include "broker/storage/segment_files.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {

Offset PartitionStore::start_offset() const noexcept {
  return segments_.empty() ? durable_.offset : segments_.front().base_offset;
}

const SegmentInfo* PartitionStore::locate(Offset offset) const noexcept {
  const auto behind = std::upper_bound(
      segments_.begin(), segments_.end(), offset,
      [](Offset wanted, const SegmentInfo& one) { return wanted < one.base_offset; });
  if (behind == segments_.begin()) return nullptr;
  const SegmentInfo& found = *std::prev(behind);
  return offset < found.end_offset ? &found : nullptr;
}

std::string PartitionStore::path_of(const SegmentInfo& segment) const {
  return options_.folder + "/" + segment_file_name(segment.number);
}

Result<File> PartitionStore::open_for_reading(const SegmentInfo& segment) const {
  return disk_.open(path_of(segment), OpenMode::kReadOnly);
}

namespace {

shm::IndexEntry start_of(const SegmentInfo& segment) {
  return {segment.base_offset, shm::kBlockBytes, segment.base_timestamp_ms};
}

}  // namespace

Result<shm::SegmentFooter> PartitionStore::footer_of(const SegmentInfo& segment) const {
  if (writer_ && writer_->header().number == segment.number) {
    shm::SegmentFooter footer;
    footer.trailer.base_offset = segment.base_offset;
    footer.index.assign(writer_->index().begin(), writer_->index().end());
    return footer;
  }
  const bool closed = segment.state == SegmentState::kClosed;
  // Not listed, or its list is damaged: every seek starts at the front.
  if (!closed && segment.state != SegmentState::kSide) return shm::SegmentFooter{};
  auto footer = read_footer(
      disk_, closed ? path_of(segment) : options_.folder + "/" + side_file_name(segment.number));
  if (!footer && footer.error().code == ErrorCode::kCorrupt) return shm::SegmentFooter{};
  return footer;
}

Result<shm::IndexEntry> PartitionStore::seek_offset(const SegmentInfo& segment,
                                                    Offset offset) const {
  auto footer = footer_of(segment);
  if (!footer) return std::unexpected(std::move(footer).error());
  return footer->index.empty() ? start_of(segment) : shm::seek_offset(*footer, offset);
}

Result<Offset> PartitionStore::offset_at_time(UnixMillis t) const {
  const auto reaches = [t](const SegmentInfo& one) { return one.running_max_ms >= t; };
  const auto segment = std::find_if(segments_.begin(), segments_.end(), reaches);
  if (segment == segments_.end()) return kNoOffset;
  if (segment->base_timestamp_ms >= t) return segment->base_offset;  // reached before what is kept
  auto footer = footer_of(*segment);
  if (!footer) return std::unexpected(std::move(footer).error());
  const shm::IndexEntry from =
      footer->index.empty() ? start_of(*segment) : shm::seek_time(*footer, t);
  auto file = open_for_reading(*segment);
  if (!file) return std::unexpected(std::move(file).error());
  Offset found = segment->end_offset;
  const FileScan scan{.seed = shm::record_seed(options_.identity.partition, segment->log_epoch),
                      .expected = from.offset,
                      .from_byte = from.byte,
                      .end_byte = segment->end_byte,
                      .body = shm::BodyCheck::kSkip};
  auto scanned = scan_file(disk_, *file, scan, [&](const shm::WalkStep& step) {
    if (step.kind != shm::WalkStep::kRecord || step.view.header->timestamp_ms < t) return true;
    found = step.first_offset;
    return false;
  });
  if (!scanned) return std::unexpected(std::move(scanned).error());
  return found;
}

Result<void> PartitionStore::drop_oldest(std::size_t count) {
  const auto droppable = [](const SegmentInfo& one) {
    return one.state != SegmentState::kOpen && one.state != SegmentState::kClosing;
  };
  std::size_t dropped = 0;
  Result<void> result;
  for (; dropped < count && dropped < segments_.size() && result; ++dropped) {
    const SegmentInfo& one = segments_[dropped];
    if (!droppable(one)) break;
    // The side file first: a segment without it is read again, a side file alone would stay for
    // ever.
    CRASH_POINT("storage.drop.side");
    result = disk_.remove(options_.folder + "/" + side_file_name(one.number));
    if (!result) break;
    CRASH_POINT("storage.drop.segment");
    result = disk_.remove(path_of(one));
    if (!result) break;
  }
  segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(dropped));
  if (dropped == 0 || !result) return result;
  CRASH_POINT("storage.drop.sync-folder");
  return disk_.sync_folder(options_.folder);
}

}  // namespace mallbots::broker
