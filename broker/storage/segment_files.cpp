#include "broker/storage/segment_files.h"

#include <algorithm>
#include <cstring>

namespace mallbots::broker {

namespace {

constexpr std::uint64_t kWindowBytes = 1 << 20;

/// A view on a file that moves forward and grows on demand.
class Window {
 public:
  Window(Disk& disk, const File& file, std::uint64_t limit)
      : disk_(disk), file_(file), limit_(limit) {}

  /// Bytes from `byte` on, at least `want` of them unless the limit comes first.
  Result<std::span<const std::byte>> at(std::uint64_t byte, std::uint64_t want) {
    const std::uint64_t until = std::min(limit_, byte + want);
    if (byte < start_ || until > start_ + filled_) MALLBOTS_TRY(fill(byte, want));
    const std::uint64_t end = std::min(limit_, start_ + filled_);
    if (byte >= end) return std::span<const std::byte>{};
    return std::span<const std::byte>(buffer_.data() + (byte - start_), end - byte);
  }
  /// True if nothing follows what at() returned.
  [[nodiscard]] bool is_last() const noexcept {
    return start_ + filled_ >= limit_ || filled_ < buffer_.size();
  }

 private:
  Result<void> fill(std::uint64_t byte, std::uint64_t want) {
    start_ = shm::block_floor(byte);
    const std::uint64_t bytes = std::max(kWindowBytes, shm::block_ceil(want + (byte - start_)));
    if (buffer_.size() != bytes) buffer_ = AlignedBuffer{bytes};
    auto got = disk_.read(file_, start_, buffer_.span());
    if (!got) return std::unexpected(std::move(got).error());
    filled_ = *got;
    return {};
  }

  Disk& disk_;
  const File& file_;
  std::uint64_t limit_;
  AlignedBuffer buffer_;
  std::uint64_t start_ = 0;
  std::uint64_t filled_ = 0;
};

}  // namespace

Result<SegmentEnds> read_ends(Disk& disk, const File& file) {
  SegmentEnds ends;
  auto bytes = disk.size_of(file);
  if (!bytes) return std::unexpected(std::move(bytes).error());
  ends.file_bytes = *bytes;
  AlignedBuffer block{shm::kBlockBytes};
  auto head = disk.read(file, 0, block.span());
  if (!head) return std::unexpected(std::move(head).error());
  ends.head.assign(block.data(), block.data() + *head);
  if (ends.file_bytes % shm::kBlockBytes != 0 || ends.file_bytes < shm::kBlockBytes) return ends;
  auto tail = disk.read(file, ends.file_bytes - shm::kBlockBytes, block.span());
  if (!tail) return std::unexpected(std::move(tail).error());
  ends.tail.assign(block.data(), block.data() + *tail);
  return ends;
}

Result<shm::SegmentFooter> read_footer(Disk& disk, const std::string& path) {
  auto file = disk.open(path, OpenMode::kReadOnly);
  if (!file) return std::unexpected(std::move(file).error());
  auto ends = read_ends(disk, *file);
  if (!ends) return std::unexpected(std::move(ends).error());
  const auto in_file = [&path](Error error) {
    error.detail = path + ": " + error.detail;
    return std::unexpected(std::move(error));
  };
  auto trailer = shm::parse_trailer(ends->tail, ends->file_bytes);
  if (!trailer) return in_file(std::move(trailer).error());
  std::vector<std::byte> bytes(trailer->footer_bytes);
  auto got = disk.read(*file, ends->file_bytes - bytes.size(), bytes);
  if (!got) return std::unexpected(std::move(got).error());
  bytes.resize(*got);
  auto footer = shm::parse_footer(bytes);
  if (!footer) return in_file(std::move(footer).error());
  return footer;
}

Result<void> scan_file(Disk& disk, const File& file, const FileScan& scan,
                       const std::function<bool(const shm::WalkStep&)>& visit) {
  auto bytes = disk.size_of(file);
  if (!bytes) return std::unexpected(std::move(bytes).error());
  const std::uint64_t limit = std::min(scan.end_byte, *bytes);
  Window window{disk, file, limit};
  shm::RecordWalker walker{{scan.seed, scan.expected, scan.from_byte, scan.body}};
  std::uint64_t want = shm::kRecordHeaderBytes;
  while (walker.byte() < limit) {
    auto view = window.at(walker.byte(), want);
    if (!view) return std::unexpected(std::move(view).error());
    const shm::WalkStep step = walker.next(*view, window.is_last());
    if (step.kind == shm::WalkStep::kEnd) break;
    if (step.kind == shm::WalkStep::kNeedMore) {
      want = std::max(step.need_bytes, view->size() + 1);
      continue;
    }
    want = shm::kRecordHeaderBytes;
    const bool goes_on = visit(step);
    if (!goes_on || step.kind == shm::WalkStep::kUnwritten) break;
  }
  return {};
}

}  // namespace mallbots::broker
