// Event streams: what a broker that appends events and a client that reads them must agree on.
// broker/FORMAT.md, "Events of a stream".
//
// The events of one stream stand anywhere in the log of their partition. Their versions are 1, 2, 3
// ... without holes; version 0 is that of a stream without events. Each event carries its version,
// the offset of the event before it, and one offset further back, so that any version is reached
// from any later one in O(log n) steps (E. W. Myers, "An applicative random-access stack",
// Information Processing Letters 17, 1983):
//
//   version   1   2   3   4   5   6   7   8     trees of 8 events: {1..7} {8}
//   jump to   -   1   -   3   4   3   -   7
//
// n events form trees of 2^k - 1 events, the largest first (skew-binary numbers). The newest event
// is the root of the last tree; its jump leads to the root of the tree before.
//
// Pure functions; any thread, broker and clients.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "shm/base/ids.h"
#include "shm/layout/record.h"

namespace mallbots::shm {

using StreamVersion = std::uint64_t;
inline constexpr StreamVersion kMaxStreamVersion = 0xFFFF'FFFF;
/// Length of a stream's id in bytes of UTF-8; the key of its records.
inline constexpr std::size_t kMaxStreamIdBytes = 200;
/// Ids that begin so belong to MallBots: `$snapshot/ID` holds the snapshots of stream ID. They may
/// be longer by that.
inline constexpr char kSystemStreamMark = '$';
inline constexpr std::size_t kMaxSystemStreamIdBytes = kMaxStreamIdBytes + 16;

/// What an append says about the stream it wants to find.
enum class Expect : std::uint8_t {
  kAny = 1,
  kNone,     ///< no stream of that id, or a deleted one
  kExists,   ///< one that is not deleted
  kVersion,  ///< its last event has exactly this version; 0: as kNone
};

/// What a client asks of an event topic through its ingest ring (IngestEntry::kind). The request
/// part of the entry's data is the stream's id; all but the look-up bring records: the events, or
/// for the others one empty record that the broker completes.
enum class StreamRequest : std::uint16_t {
  kAppend = 16,  ///< arguments: Expect, version. Answer: first offset; extras 0: last version
  kLookUp,       ///< answer: last version; extras as in StreamAnswer
  kTruncate,     ///< arguments: first version to be kept. Answer as kAppend's
  kRemove,       ///< arguments: Expect, version. Answer as kAppend's
};

/// Extras of a look-up's answer, and of a Conflict, whose value is the actual version.
enum StreamAnswer : std::size_t {
  kStreamStateExtra = 0,  ///< StreamCondition
  kFirstVersionExtra = 1,
  kLastOffsetExtra = 2,  ///< of the last event
};
enum class StreamCondition : std::uint64_t { kNone = 0, kExists = 1, kDeleted = 2 };

/// How many events the tree has whose root is event `version` (1 and up).
[[nodiscard]] constexpr StreamVersion tree_events(StreamVersion version) noexcept {
  for (;;) {
    const StreamVersion largest = std::bit_floor(version + 1) - 1;
    if (largest == version) return largest;
    version -= largest;
  }
}

/// Where the jump of event `version` leads; 0: nowhere.
[[nodiscard]] constexpr StreamVersion jump_version(StreamVersion version) noexcept {
  return version - tree_events(version);
}

/// How many trees `version` events form: roots that whoever appends the next event has to know.
[[nodiscard]] constexpr std::size_t tree_count(StreamVersion version) noexcept {
  std::size_t count = 0;
  for (; version != 0; ++count) version = jump_version(version);
  return count;
}

/// Of an event at `from`, the version to go to next on the way back to `to` (below `from`).
[[nodiscard]] constexpr StreamVersion step_towards(StreamVersion to, StreamVersion from) noexcept {
  const StreamVersion jump = jump_version(from);
  return jump >= to ? jump : from - 1;
}

/// The place of one event in its stream. kNoOffset: there is none, or it is not known any more
/// (retention took the events that would tell).
struct EventLinks {
  StreamVersion version = 0;
  Offset predecessor = kNoOffset;
  Offset jump = kNoOffset;
  friend bool operator==(const EventLinks&, const EventLinks&) = default;
};

namespace stream_detail {
inline constexpr std::size_t kFrontBytes = 4;
inline constexpr std::size_t kNumberBytes = kFrontBytes + sizeof(std::uint64_t);

inline std::byte* put_number(std::byte* at, AttributeId id, std::uint64_t value) noexcept {
  const std::uint16_t front[2] = {static_cast<std::uint16_t>(id), sizeof value};
  std::memcpy(at, front, sizeof front);
  std::memcpy(at + sizeof front, &value, sizeof value);
  return at + kNumberBytes;
}
}  // namespace stream_detail

/// The u64 of the first attribute `id` in a record's attribute block; nothing if there is none, or
/// bytes before it do not parse.
[[nodiscard]] inline std::optional<std::uint64_t> attribute_number(
    std::span<const std::byte> attributes, AttributeId id) noexcept {
  while (attributes.size() >= stream_detail::kFrontBytes) {
    std::uint16_t front[2];
    std::memcpy(front, attributes.data(), sizeof front);
    attributes = attributes.subspan(sizeof front);
    if (front[1] > attributes.size()) return std::nullopt;
    if (front[0] == static_cast<std::uint16_t>(id)) {
      std::uint64_t value = 0;
      if (front[1] != sizeof value) return std::nullopt;
      std::memcpy(&value, attributes.data(), sizeof value);
      return value;
    }
    attributes = attributes.subspan(front[1]);
  }
  return std::nullopt;
}

/// What the broker puts in front of an event's other attributes.
inline constexpr std::size_t kEventLinkBytes = 3 * stream_detail::kNumberBytes;

inline void put_event_links(std::span<std::byte, kEventLinkBytes> at,
                            const EventLinks& links) noexcept {
  std::byte* next = at.data();
  next = stream_detail::put_number(next, AttributeId::kStreamVersion, links.version);
  next = stream_detail::put_number(next, AttributeId::kPredecessor, links.predecessor);
  stream_detail::put_number(next, AttributeId::kJump, links.jump);
}

/// Nothing if the record is no event of a stream.
[[nodiscard]] inline std::optional<EventLinks> event_links(
    std::span<const std::byte> attributes) noexcept {
  const auto version = attribute_number(attributes, AttributeId::kStreamVersion);
  const auto predecessor = attribute_number(attributes, AttributeId::kPredecessor);
  const auto jump = attribute_number(attributes, AttributeId::kJump);
  if (!version || !predecessor || !jump || *version == 0 || *version > kMaxStreamVersion)
    return std::nullopt;
  return EventLinks{*version, *predecessor, *jump};
}

}  // namespace mallbots::shm
