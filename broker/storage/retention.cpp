#include "broker/storage/retention.h"

#include <cstdlib>

namespace mallbots::broker {

bool WallClockWatch::look(UnixMillis wall_ms, BootNanos boot_ns) noexcept {
  const std::int64_t difference = wall_ms - boot_ns / kMillisecond;
  const bool jumped = seen_ && std::llabs(difference - wall_minus_boot_ms_) > kJumpMs;
  if (jumped) paused_until_ns_ = boot_ns + kPauseNs;
  // Slow slewing is no jump: each look is compared with the one before.
  wall_minus_boot_ms_ = difference;
  seen_ = true;
  return jumped;
}

std::size_t segments_to_drop(std::span<const SegmentInfo> segments, const RetentionLimits& limits,
                             UnixMillis now_ms, bool age_may_delete) noexcept {
  std::uint64_t bytes = 0;
  std::uint64_t offsets = 0;
  for (const SegmentInfo& one : segments) {
    bytes += one.end_byte;
    offsets += one.end_offset - one.base_offset;
  }
  std::size_t drop = 0;
  while (drop + 1 < segments.size()) {
    const SegmentInfo& one = segments[drop];
    if (one.state == SegmentState::kOpen || one.state == SegmentState::kClosing) break;
    const std::uint64_t one_offsets = one.end_offset - one.base_offset;
    // What is left without it must still be as much as was asked for.
    const bool too_many_bytes =
        limits.bytes != RetentionLimits::kNoLimit && bytes - one.end_byte >= limits.bytes;
    const bool too_many_records =
        limits.records != RetentionLimits::kNoLimit && offsets - one_offsets >= limits.records;
    const bool too_old = age_may_delete && limits.age_ms != RetentionLimits::kNoLimit &&
                         now_ms > one.closed_ms &&
                         static_cast<std::uint64_t>(now_ms - one.closed_ms) > limits.age_ms;
    const bool consumed =
        limits.consumed_below != kNoOffset && one.end_offset <= limits.consumed_below;
    if (!too_many_bytes && !too_many_records && !too_old && !consumed) break;
    if (limits.consumed_below != kNoOffset && !consumed) break;
    bytes -= one.end_byte;
    offsets -= one_offsets;
    ++drop;
  }
  return drop;
}

}  // namespace mallbots::broker
