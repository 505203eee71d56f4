// Header block, footer and trailer: parse what a file claims, build what a file gets. No I/O; any
// thread. A closed segment is opened with two reads: the header block, and the last block for the
// trailer; the footer's tables are read when somebody seeks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "shm/base/result.h"
#include "shm/segment/format.h"

namespace mallbots::shm {

/// `block`: the first kBlockBytes (or more) of the file. Errors: Corrupt (no magic, bad check),
/// WrongVersion. Block and header are one sector: what checks out is what was written.
[[nodiscard]] Result<SegmentHeader> parse_segment_header(std::span<const std::byte> block);

/// True if the first sector is all zero: a spare that never got a header.
[[nodiscard]] bool is_unborn(std::span<const std::byte> block) noexcept;

/// Puts magic, version and check in and returns the header block.
[[nodiscard]] std::vector<std::byte> encode_segment_header(SegmentHeader header);

/// `tail`: the last bytes of the file, at least 128. `file_bytes`: its whole length; the trailer's
/// own lengths are checked against it. Errors: Corrupt (no trailer: the file was not closed),
/// WrongVersion.
[[nodiscard]] Result<SegmentTrailer> parse_trailer(std::span<const std::byte> tail,
                                                   std::uint64_t file_bytes);

/// The whole footer: what is known of a closed segment.
struct SegmentFooter {
  SegmentTrailer trailer{};
  std::vector<RunEntry> runs;
  std::vector<IndexEntry> index;
  std::vector<DamageEntry> damages;
};

/// `footer`: the last trailer.footer_bytes of the file. Errors: Corrupt.
[[nodiscard]] Result<SegmentFooter> parse_footer(std::span<const std::byte> footer);

/// Fills counts, lengths, magic and checks of the trailer in and returns the footer's bytes, a
/// multiple of kBlockBytes.
[[nodiscard]] std::vector<std::byte> encode_footer(SegmentFooter footer);

/// Where to start reading for `offset`: the byte of the last index entry at or below it, else the
/// first run, else behind the header block.
[[nodiscard]] IndexEntry seek_offset(const SegmentFooter& footer, Offset offset) noexcept;

/// Where to start reading for "first record whose running maximum is >= t": the last index entry
/// with running_max_ms < t.
[[nodiscard]] IndexEntry seek_time(const SegmentFooter& footer, UnixMillis t) noexcept;

}  // namespace mallbots::shm
