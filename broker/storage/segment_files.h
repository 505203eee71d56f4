// Reading segment files through the I/O door: footers, and records in order. Blocking; any thread
// (recovery uses it from several). The checks are those of shm/segment.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "broker/io/disk.h"
#include "broker/storage/segment_info.h"
#include "shm/segment/footer.h"
#include "shm/segment/walker.h"

namespace mallbots::broker {

/// First block and last block of a segment file. Errors of the disk only; what the blocks say is
/// for the caller to parse.
struct SegmentEnds {
  std::uint64_t file_bytes = 0;
  std::vector<std::byte> head;  ///< up to kBlockBytes
  std::vector<std::byte> tail;  ///< up to kBlockBytes, the end of the file
};
[[nodiscard]] Result<SegmentEnds> read_ends(Disk& disk, const File& file);

/// The footer inside a closed segment or of its side file. Errors: Corrupt, WrongVersion, Io.
[[nodiscard]] Result<shm::SegmentFooter> read_footer(Disk& disk, const std::string& path);

struct FileScan {
  std::uint64_t seed = 0;
  Offset expected = 0;
  std::uint64_t from_byte = shm::kBlockBytes;
  /// Nothing at or behind it is looked at; ~0: the end of the file.
  std::uint64_t end_byte = ~std::uint64_t{0};
  shm::BodyCheck body = shm::BodyCheck::kVerify;
};
/// Calls `visit` for each step of the walk (never kNeedMore, kEnd) until it returns false or the
/// end. The view is valid during the call.
[[nodiscard]] Result<void> scan_file(Disk& disk, const File& file, const FileScan& scan,
                                     const std::function<bool(const shm::WalkStep&)>& visit);

}  // namespace mallbots::broker
