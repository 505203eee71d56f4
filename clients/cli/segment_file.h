// A segment file as `dump` and `verify` read it: opened read-only, checked piece by piece with the
// readers of shm/segment, whatever a broker does to it meanwhile. One thread.
//
// Errors: Io (cannot be opened or read, names the file), Corrupt and WrongVersion (its header).
// A footer that does not check out is no error but a finding; so is every damaged record.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "shm/base/result.h"
#include "shm/region/fd.h"
#include "shm/segment/footer.h"
#include "shm/segment/walker.h"

namespace mallbots::client::cli {

struct SegmentFile {
  std::string path;
  shm::UniqueFd fd;
  std::uint64_t file_bytes = 0;
  bool unborn = false;  ///< a spare that never got a header; the header is empty then
  shm::SegmentHeader header{};
  bool closed = false;                       ///< its footer is in the file or in a side file
  std::optional<shm::SegmentFooter> footer;  ///< of the file, else of its side file
  bool own_footer = false;                   ///< `footer` stands at the end of the file
  std::string footer_fault;                  ///< it claims to have a footer, but that is damaged
  /// Byte where the data ends, if something says so: the footer, or the header of the next segment.
  std::optional<std::uint64_t> end_byte;
};

[[nodiscard]] Result<SegmentFile> open_segment(const std::string& path);

struct DamageFound {
  std::uint64_t byte = 0;
  std::uint64_t end_byte = 0;
  Offset first_offset = 0;
  Offset end_offset = 0;
  shm::RecordFault fault = shm::RecordFault::kNone;
};

struct SegmentFindings {
  std::uint64_t records = 0;
  Offset end_offset = 0;
  std::uint64_t end_byte = 0;  ///< behind the last good record
  std::vector<DamageFound> damages;
  std::vector<std::string> footer_faults;  ///< sentences: what footer and records disagree about
  /// The first byte between records, headers and footer that is not zero as it must be: nothing is
  /// lost, but the medium is not to be trusted.
  std::optional<std::uint64_t> dirty_fill;
  /// An unfinished segment ends in bytes that are not whole records: what a crash or a running
  /// broker leaves, no damage.
  std::optional<std::uint64_t> torn_at;

  [[nodiscard]] bool damaged() const noexcept {
    return !damages.empty() || !footer_faults.empty() || dirty_fill;
  }
};

/// Reads every record. `visit` sees each record and each damage in order (may be empty).
[[nodiscard]] Result<SegmentFindings> scan_segment(
    const SegmentFile& file, shm::BodyCheck body,
    const std::function<void(const shm::WalkStep&)>& visit);

/// Path of the side file of a segment file.
[[nodiscard]] std::string side_path(const std::string& segment_path);

}  // namespace mallbots::client::cli
