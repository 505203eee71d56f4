// Retention: which closed segments may go. A pure function of what is there and of the time; the
// caller drops them (PartitionStore::drop_oldest). Broker's thread.
//
// By segment, oldest first: a segment goes when ALL its records are past a limit, so a topic keeps
// up to one segment more than asked for. Age counts from the close of the segment, by the broker's
// wall clock, not from producers' stamps: a record from the future pins nothing. After a jump of
// the wall clock, age deletes nothing for an hour: the operator has time to mend the clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "broker/storage/segment_info.h"
#include "shm/base/clock.h"

namespace mallbots::broker {

struct RetentionLimits {
  static constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};
  std::uint64_t age_ms = kNoLimit;
  std::uint64_t bytes = kNoLimit;
  std::uint64_t records = kNoLimit;
  /// retention=consumed: nothing at or above this offset goes, and all below may; kNoOffset: off.
  Offset consumed_below = kNoOffset;
};

/// Notices jumps of the wall clock against boot time.
class WallClockWatch {
 public:
  static constexpr std::int64_t kJumpMs = 60'000;
  static constexpr BootNanos kPauseNs = 3600 * kSecond;

  /// Once a second or so. True if this look found a jump (log it).
  bool look(UnixMillis wall_ms, BootNanos boot_ns) noexcept;
  [[nodiscard]] bool age_may_delete(BootNanos boot_ns) const noexcept {
    return boot_ns >= paused_until_ns_;
  }

 private:
  bool seen_ = false;
  std::int64_t wall_minus_boot_ms_ = 0;
  BootNanos paused_until_ns_ = INT64_MIN;
};

/// How many of the oldest segments may go. The newest segment with records and every segment that
/// is not closed stay.
[[nodiscard]] std::size_t segments_to_drop(std::span<const SegmentInfo> segments,
                                           const RetentionLimits& limits, UnixMillis now_ms,
                                           bool age_may_delete) noexcept;

}  // namespace mallbots::broker
