// Lists a segment that has no footer: reads its records, finds where it ends, and builds what a
// footer would have said. Blocking; any thread. RECOVERY.md, "Torn or damaged", is this file in
// words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "broker/io/disk.h"
#include "broker/storage/segment_info.h"
#include "shm/segment/footer.h"

namespace mallbots::broker {

struct ListRequest {
  std::string path;
  shm::SegmentHeader header{};
  /// Said by the successor: damage before it is damage, however it looks.
  struct NamedEnd {
    std::uint64_t byte = 0;
    Offset offset = 0;
  };
  std::optional<NamedEnd> named;
  /// Nothing at or above this offset counts (the memory was kept and says so).
  std::optional<Offset> cut_at;
  UnixMillis now_ms = 0;
};

struct Listing {
  shm::SegmentFooter footer;  ///< ready for encode_footer(); flag kRebuilt set
  /// Damage as sentences without the file's name; the ranges are footer.damages.
  std::vector<std::string> remarks;
  std::uint64_t scanned_bytes = 0;
};

/// Errors of the disk only.
[[nodiscard]] Result<Listing> list_records(Disk& disk, const ListRequest& request);

}  // namespace mallbots::broker
