// What the broker keeps in memory about a segment, and the names of files. Plain values; any
// thread.
#pragma once

#include <cstdint>
#include <string>

#include "shm/base/ids.h"
#include "shm/segment/format.h"

namespace mallbots::broker {

enum class SegmentState : std::uint8_t {
  kOpen,      ///< this broker writes it
  kClosing,   ///< its footer is on the way
  kClosed,    ///< its footer is in the file
  kSide,      ///< its footer is in a side file
  kUnlisted,  ///< nobody's footer yet: its end is known, its index is not (seek from the start)
};

struct SegmentInfo {
  shm::SegmentNumber number = shm::kNoSegment;
  SegmentState state = SegmentState::kOpen;
  LogEpoch log_epoch = 0;
  Offset base_offset = 0;
  Offset end_offset = 0;       ///< first offset that is not durable in it
  std::uint64_t end_byte = 0;  ///< what lies behind is ignored
  std::uint64_t file_bytes = 0;
  std::uint64_t records = 0;                         ///< 0 with kUnlisted
  UnixMillis base_timestamp_ms = shm::kNoTimestamp;  ///< running maximum before it
  UnixMillis running_max_ms = shm::kNoTimestamp;     ///< and behind it
  UnixMillis closed_ms = 0;                          ///< wall time; 0 while open or closing
};

/// A place between two records that no crash can take back.
struct DurablePoint {
  Offset offset = 0;  ///< first offset that is not durable
  shm::SegmentNumber segment =
      shm::kNoSegment;     ///< that holds the record before it; kNoSegment: none
  std::uint64_t byte = 0;  ///< behind that record
  UnixMillis running_max_ms = shm::kNoTimestamp;
  friend bool operator==(const DurablePoint&, const DurablePoint&) = default;
};

inline constexpr const char* kSegmentSuffix = ".seg";
inline constexpr const char* kSideSuffix = ".side";

/// "0000000007.seg"
[[nodiscard]] std::string segment_file_name(shm::SegmentNumber number);
/// "0000000007.side"
[[nodiscard]] std::string side_file_name(shm::SegmentNumber number);
/// The number in a name made by either; kNoSegment if it is no such name.
[[nodiscard]] shm::SegmentNumber segment_number_of(const std::string& name, const char* suffix);

}  // namespace mallbots::broker
