// The board of a topic: what its partitions are, which slot is where, how far the log is durable.
// LAYOUT.md, "Board". Written by the broker, mapped read-only by every client, kept across broker
// restarts.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "shm/base/ids.h"
#include "shm/layout/layout.h"

namespace mallbots::shm {

enum class BoardState : std::uint32_t {
  kOpen = 1,
  kClosed = 2,  ///< the broker drains: appenders wait for the next one
  kGone = 3,    ///< the topic was deleted
};

enum class SlotState : std::uint32_t {
  kNone = 0,
  kReady = 1,  ///< initialised for the entry's n; stays so while it is open, sealed and readable
};

/// Where slot n of a partition is: entry n mod K. `n` is stored last by the broker and read before
/// and after the rest by everybody else; kNoSlot while it changes.
struct SlotEntry {
  std::atomic<std::uint64_t> n;
  std::atomic<std::uint64_t> slot_id;
  std::atomic<std::uint32_t> state;
  std::uint32_t reserved;
};
static_assert(offsetof(SlotEntry, n) == 0);
static_assert(offsetof(SlotEntry, slot_id) == 8);
static_assert(offsetof(SlotEntry, state) == 16);
static_assert(sizeof(SlotEntry) == 24);

inline constexpr std::uint64_t kNoSlot = ~std::uint64_t{0};

/// One partition on the board.
struct PartitionBoard {
  // What the persister moves often: one line.
  alignas(kLinePairBytes) std::atomic<std::uint64_t> durable_offset;  ///< first not durable
  std::atomic<std::uint64_t> start_offset;  ///< first kept: the low watermark
  // What changes seldom.
  alignas(kLinePairBytes) std::uint64_t partition_id;
  std::uint32_t log_epoch;
  std::uint32_t reserved;
  /// {lease number:48, holder session+1:16}; 0: nobody.
  std::atomic<std::uint64_t> lease;
  /// A slot that is at or a little behind the open one: where a newcomer starts to look.
  std::atomic<std::uint64_t> open_hint;
  /// The oldest slot that may still be pinned for reading.
  std::atomic<std::uint64_t> oldest_hint;
  /// ErrorCode why appends are refused; 0: they are not.
  std::atomic<std::uint64_t> readonly;
  SlotEntry entries[kMaxSlots];
};
static_assert(offsetof(PartitionBoard, durable_offset) == 0);
static_assert(offsetof(PartitionBoard, start_offset) == 8);
static_assert(offsetof(PartitionBoard, partition_id) == 128);
static_assert(offsetof(PartitionBoard, log_epoch) == 136);
static_assert(offsetof(PartitionBoard, lease) == 144);
static_assert(offsetof(PartitionBoard, open_hint) == 152);
static_assert(offsetof(PartitionBoard, oldest_hint) == 160);
static_assert(offsetof(PartitionBoard, readonly) == 168);
static_assert(offsetof(PartitionBoard, entries) == 176);
static_assert(sizeof(PartitionBoard) == 1792);

/// A lease as a value.
struct Lease {
  std::uint64_t bits = 0;

  [[nodiscard]] static constexpr Lease of(std::uint64_t number, SessionIndex holder) noexcept {
    return {(number << 16) | (static_cast<std::uint64_t>(holder) + 1)};
  }
  [[nodiscard]] constexpr std::uint64_t number() const noexcept { return bits >> 16; }
  [[nodiscard]] constexpr bool held() const noexcept { return (bits & 0xFFFF) != 0; }
  [[nodiscard]] constexpr SessionIndex holder() const noexcept {
    return static_cast<SessionIndex>((bits & 0xFFFF) - 1);
  }
  friend constexpr bool operator==(Lease, Lease) = default;
};

enum class TopicFlag : std::uint32_t {
  kMemoryOnly = 1,      ///< storage=memory
  kHeaderChecksum = 2,  ///< checksum=header: no payload hash
  kExclusive = 4,       ///< producers=exclusive
  kSequenced = 8,       ///< ingest=sequenced: records are handed in, nobody else appends
  kEvents = 16,         ///< type=events: they are events of streams
};

/// What the broker's sequencer does, so that a client knows whether to write its eventfd.
enum class SequencerSleep : std::uint32_t { kAwake = 0, kParked = 1 };

struct BoardHeader {
  PageHeader page;
  std::uint64_t topic_id;
  std::uint32_t partitions;
  std::uint32_t slots;       ///< K
  std::uint64_t slot_bytes;  ///< data area of a slot
  std::uint32_t flags;       ///< TopicFlag bits
  std::uint32_t record_max_bytes;
  std::int64_t stall_limit_ns;
  std::int64_t flush_interval_ns;
  alignas(kLinePairBytes) std::atomic<std::uint32_t> state;  ///< BoardState
  std::atomic<std::uint32_t> incarnation;                    ///< of the broker that serves now
  std::atomic<std::uint32_t> sequencer;                      ///< SequencerSleep
  std::byte reserved[kPageBytes - 2 * kLinePairBytes];
};
static_assert(offsetof(BoardHeader, topic_id) == 16);
static_assert(offsetof(BoardHeader, partitions) == 24);
static_assert(offsetof(BoardHeader, slots) == 28);
static_assert(offsetof(BoardHeader, slot_bytes) == 32);
static_assert(offsetof(BoardHeader, flags) == 40);
static_assert(offsetof(BoardHeader, record_max_bytes) == 44);
static_assert(offsetof(BoardHeader, stall_limit_ns) == 48);
static_assert(offsetof(BoardHeader, flush_interval_ns) == 56);
static_assert(offsetof(BoardHeader, state) == 128);
static_assert(offsetof(BoardHeader, incarnation) == 132);
static_assert(offsetof(BoardHeader, sequencer) == 136);

/// Followed by `partitions` PartitionBoards.
[[nodiscard]] constexpr std::size_t board_bytes(std::uint32_t partitions) noexcept {
  return sizeof(BoardHeader) + partitions * sizeof(PartitionBoard);
}

}  // namespace mallbots::shm
