// Delayed records on their way through the delay log: what a client puts in front of a record's
// attributes, and what the broker makes of it. broker/FORMAT.md, "Delayed records". Pure; any
// thread.
//
// In the delay log a record carries kDelayTarget and kDueTime; in its target kDueTime and
// kSourceOffset, so that it is never longer there than it was here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "shm/layout/record.h"

namespace mallbots::shm {

/// The delay log of an instance: an internal topic of one partition.
inline constexpr const char* kDelayLog = "_delayed";

struct DelayTarget {
  std::uint64_t topic_id = 0;
  PartitionIndex partition = 0;
  UnixMillis due_ms = 0;
};

inline constexpr std::size_t kDelayAttributeBytes = (4 + 12) + (4 + 8);

namespace delayed_detail {

inline void put(std::vector<std::byte>& out, const void* bytes, std::size_t size) {
  const auto* from = static_cast<const std::byte*>(bytes);
  out.insert(out.end(), from, from + size);
}

inline void put_front(std::vector<std::byte>& out, AttributeId id, std::uint16_t size) {
  const std::uint16_t front[] = {static_cast<std::uint16_t>(id), size};
  put(out, front, sizeof front);
}

}  // namespace delayed_detail

/// The client's side: kDelayAttributeBytes more in `out`.
inline void put_delay(std::vector<std::byte>& out, const DelayTarget& target) {
  delayed_detail::put_front(out, AttributeId::kDelayTarget, 12);
  delayed_detail::put(out, &target.topic_id, sizeof target.topic_id);
  delayed_detail::put(out, &target.partition, sizeof target.partition);
  delayed_detail::put_front(out, AttributeId::kDueTime, sizeof target.due_ms);
  delayed_detail::put(out, &target.due_ms, sizeof target.due_ms);
}

/// What put_delay wrote at the front of an attribute block; nothing if it is not there.
[[nodiscard]] inline std::optional<DelayTarget> parse_delay(
    std::span<const std::byte> attributes) noexcept {
  if (attributes.size() < kDelayAttributeBytes) return std::nullopt;
  std::uint16_t fronts[4];
  DelayTarget target;
  const std::byte* const at = attributes.data();
  std::memcpy(&fronts[0], at, 4);
  std::memcpy(&target.topic_id, at + 4, sizeof target.topic_id);
  std::memcpy(&target.partition, at + 12, sizeof target.partition);
  std::memcpy(&fronts[2], at + 16, 4);
  std::memcpy(&target.due_ms, at + 20, sizeof target.due_ms);
  if (fronts[0] != static_cast<std::uint16_t>(AttributeId::kDelayTarget) || fronts[1] != 12 ||
      fronts[2] != static_cast<std::uint16_t>(AttributeId::kDueTime) || fronts[3] != 8)
    return std::nullopt;
  return target;
}

/// The broker's side: the attributes of the record in its target, in `out`. parse_delay() gave
/// `target`.
inline void put_delivered(std::vector<std::byte>& out, std::span<const std::byte> attributes,
                          const DelayTarget& target, Offset source) {
  delayed_detail::put_front(out, AttributeId::kSourceOffset, sizeof source);
  delayed_detail::put(out, &source, sizeof source);
  delayed_detail::put_front(out, AttributeId::kDueTime, sizeof target.due_ms);
  delayed_detail::put(out, &target.due_ms, sizeof target.due_ms);
  const auto rest = attributes.subspan(kDelayAttributeBytes);
  out.insert(out.end(), rest.begin(), rest.end());
}

}  // namespace mallbots::shm
