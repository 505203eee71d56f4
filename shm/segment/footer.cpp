#include "shm/segment/footer.h"

#include <algorithm>
#include <cstring>

namespace mallbots::shm {

namespace {

template <class T>
T read_at(std::span<const std::byte> bytes, std::size_t at) noexcept {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

std::uint64_t check_of(const SegmentHeader& header) noexcept {
  return xxh3(&header, offsetof(SegmentHeader, check));
}
std::uint64_t check_of(const SegmentTrailer& trailer) noexcept {
  return xxh3(&trailer, offsetof(SegmentTrailer, check));
}

std::uint64_t table_bytes(const SegmentTrailer& trailer) noexcept {
  return std::uint64_t{trailer.runs} * sizeof(RunEntry) +
         std::uint64_t{trailer.index_entries} * sizeof(IndexEntry) +
         std::uint64_t{trailer.damages} * sizeof(DamageEntry);
}

template <class T>
void read_table(std::span<const std::byte>& bytes, std::uint32_t count, std::vector<T>& into) {
  into.resize(count);
  if (count != 0) std::memcpy(into.data(), bytes.data(), count * sizeof(T));
  bytes = bytes.subspan(count * sizeof(T));
}

template <class T>
std::byte* write_table(std::byte* at, const std::vector<T>& table) {
  if (!table.empty()) std::memcpy(at, table.data(), table.size() * sizeof(T));
  return at + table.size() * sizeof(T);
}

}  // namespace

Result<SegmentHeader> parse_segment_header(std::span<const std::byte> block) {
  if (block.size() < sizeof(SegmentHeader)) {
    return fail(ErrorCode::kCorrupt, "the file is too short for a segment header");
  }
  const auto header = read_at<SegmentHeader>(block, 0);
  if (header.magic != kSegmentMagic) return fail(ErrorCode::kCorrupt, "no segment header");
  if (header.check != check_of(header)) {
    return fail(ErrorCode::kCorrupt, "the segment header's checksum does not match");
  }
  // After the check, which keeps its place in every version: a flipped bit is damage, not a
  // version.
  if (header.version != kSegmentVersion) {
    return fail(ErrorCode::kWrongVersion,
                "the segment has format version " + std::to_string(header.version) +
                    ", this build reads " + std::to_string(kSegmentVersion));
  }
  return header;
}

bool is_unborn(std::span<const std::byte> block) noexcept {
  const auto sector = block.first(std::min<std::size_t>(block.size(), kSectorBytes));
  return std::all_of(sector.begin(), sector.end(), [](std::byte b) { return b == std::byte{0}; });
}

std::vector<std::byte> encode_segment_header(SegmentHeader header) {
  header.magic = kSegmentMagic;
  header.version = kSegmentVersion;
  header.check = check_of(header);
  std::vector<std::byte> block(kBlockBytes);
  std::memcpy(block.data(), &header, sizeof(header));
  return block;
}

Result<SegmentTrailer> parse_trailer(std::span<const std::byte> tail, std::uint64_t file_bytes) {
  if (tail.size() < sizeof(SegmentTrailer) || file_bytes < tail.size()) {
    return fail(ErrorCode::kCorrupt, "the file is too short for a trailer");
  }
  const auto trailer = read_at<SegmentTrailer>(tail, tail.size() - sizeof(SegmentTrailer));
  if (trailer.magic != kTrailerMagic) return fail(ErrorCode::kCorrupt, "no trailer");
  if (trailer.check != check_of(trailer)) {
    return fail(ErrorCode::kCorrupt, "the trailer's checksum does not match");
  }
  if (trailer.version != kSegmentVersion) {
    return fail(ErrorCode::kWrongVersion,
                "the trailer has format version " + std::to_string(trailer.version) +
                    ", this build reads " + std::to_string(kSegmentVersion));
  }
  const std::uint64_t bytes = table_bytes(trailer) + sizeof(SegmentTrailer);
  if (trailer.footer_bytes % kBlockBytes != 0 || trailer.footer_bytes < bytes ||
      trailer.footer_bytes > file_bytes || trailer.end_offset < trailer.base_offset) {
    return fail(ErrorCode::kCorrupt, "the trailer's lengths contradict each other");
  }
  return trailer;
}

Result<SegmentFooter> parse_footer(std::span<const std::byte> footer) {
  auto trailer = parse_trailer(footer, footer.size());
  if (!trailer) return std::unexpected(std::move(trailer).error());
  if (trailer->footer_bytes != footer.size()) {
    return fail(ErrorCode::kCorrupt, "the footer is not as long as its trailer says");
  }
  auto body = footer.first(footer.size() - sizeof(SegmentTrailer));
  if (trailer->body_check != xxh3(body)) {
    return fail(ErrorCode::kCorrupt, "the footer's checksum does not match");
  }
  SegmentFooter result;
  result.trailer = *trailer;
  read_table(body, trailer->runs, result.runs);
  read_table(body, trailer->index_entries, result.index);
  read_table(body, trailer->damages, result.damages);
  return result;
}

std::vector<std::byte> encode_footer(SegmentFooter footer) {
  auto& trailer = footer.trailer;
  trailer.magic = kTrailerMagic;
  trailer.version = kSegmentVersion;
  trailer.runs = static_cast<std::uint32_t>(footer.runs.size());
  trailer.index_entries = static_cast<std::uint32_t>(footer.index.size());
  trailer.damages = static_cast<std::uint32_t>(footer.damages.size());
  trailer.footer_bytes =
      static_cast<std::uint32_t>(block_ceil(table_bytes(trailer) + sizeof(SegmentTrailer)));
  std::vector<std::byte> bytes(trailer.footer_bytes);
  std::byte* at = write_table(bytes.data(), footer.runs);
  at = write_table(at, footer.index);
  write_table(at, footer.damages);
  const std::span<const std::byte> body(bytes.data(), bytes.size() - sizeof(SegmentTrailer));
  trailer.body_check = xxh3(body);
  trailer.check = check_of(trailer);
  std::memcpy(bytes.data() + body.size(), &trailer, sizeof(trailer));
  return bytes;
}

namespace {

IndexEntry first_place(const SegmentFooter& footer) noexcept {
  return {footer.trailer.base_offset, footer.runs.empty() ? kBlockBytes : footer.runs.front().byte,
          kNoTimestamp};
}

}  // namespace

IndexEntry seek_offset(const SegmentFooter& footer, Offset offset) noexcept {
  const auto behind = std::upper_bound(
      footer.index.begin(), footer.index.end(), offset,
      [](Offset wanted, const IndexEntry& entry) { return wanted < entry.offset; });
  return behind == footer.index.begin() ? first_place(footer) : *std::prev(behind);
}

IndexEntry seek_time(const SegmentFooter& footer, UnixMillis t) noexcept {
  const auto behind = std::lower_bound(
      footer.index.begin(), footer.index.end(), t,
      [](const IndexEntry& entry, UnixMillis wanted) { return entry.running_max_ms < wanted; });
  return behind == footer.index.begin() ? first_place(footer) : *std::prev(behind);
}

}  // namespace mallbots::shm
