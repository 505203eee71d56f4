// The session page: what one client tells the broker without a message: its pins, positions and
// producer state. LAYOUT.md, "Session page". Written by that client; the lines marked so by the
// broker.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "shm/base/ids.h"
#include "shm/layout/layout.h"

namespace mallbots::shm {

inline constexpr std::uint32_t kSessionCells = 2048;

/// A consumer's position: two halves, the higher `store` counts. A writer fills the lower half and
/// stores `store` last; a reader re-reads both numbers and starts again if either changed.
struct PositionHalf {
  std::atomic<std::uint32_t> group_generation;
  std::atomic<std::uint32_t> log_epoch;
  std::atomic<std::uint64_t> offset;  ///< of the next record to read
  std::atomic<std::uint64_t> store;   ///< 0: never filled
};
static_assert(sizeof(PositionHalf) == 24);

/// What a pin says: slot `slot_gen` of that partition must not be re-used. Never 0. 24 bits of the
/// random id tell the partition, so that a scan needs no table of whose cell it is; two partitions
/// that share them only keep a slot longer than need be.
[[nodiscard]] constexpr std::uint64_t pin_of(std::uint64_t partition_id,
                                             SlotGen slot_gen) noexcept {
  return (partition_id << 40) | ((slot_gen + 1) & 0xFF'FFFF'FFFFULL);
}

/// One per (partition, group or plain reader).
struct ReaderCell {
  PositionHalf halves[2];
  /// pin_of a slot, or 0. Two, because rolling holds two.
  std::atomic<std::uint64_t> pins[2];
};
static_assert(offsetof(ReaderCell, halves) == 0);
static_assert(offsetof(ReaderCell, pins) == 48);
static_assert(sizeof(ReaderCell) == 64);

/// A producer's last accepted sequence, and where its record ends: void if that lies above the tail
/// of a repaired word (protocol section 5).
struct SequenceHalf {
  std::atomic<std::uint64_t> slot_gen;
  std::atomic<std::uint64_t> end_units;
  std::atomic<std::uint64_t> sequence;  ///< stored last; 0: void
};
static_assert(sizeof(SequenceHalf) == 24);

/// A cell's `producer_id` when another holder of its name has come: nothing is appended through it.
inline constexpr std::uint64_t kSeatTaken = ~std::uint64_t{0};

/// One per (partition, producer).
struct ProducerCell {
  SequenceHalf halves[2];
  // Written by the broker, so that the one after it knows whose cell this is.
  std::atomic<std::uint64_t> partition_id;
  std::atomic<std::uint64_t> producer_id;  ///< stored last; 0: no producer's cell; or kSeatTaken
};
static_assert(offsetof(ProducerCell, halves) == 0);
static_assert(offsetof(ProducerCell, partition_id) == 48);
static_assert(offsetof(ProducerCell, producer_id) == 56);
static_assert(sizeof(ProducerCell) == 64);

union SessionCell {
  ReaderCell reader;
  ProducerCell producer;
};
static_assert(sizeof(SessionCell) == 64);

struct SessionHeader {
  PageHeader page;
  std::uint32_t session;  ///< SessionIndex
  std::uint32_t cells;
  // Written by the broker.
  alignas(kLinePairBytes) std::atomic<std::uint32_t> revoked;  ///< not 0: no append may follow
  /// An assignment, a truncation or a message waits on the socket; raised by one each time.
  std::atomic<std::uint32_t> news;
  // Written by both: eventcount for whoever cannot sleep on a knock page.
  alignas(kLinePairBytes) std::atomic<std::uint32_t> doorbell;
  // Written by the client.
  alignas(kLinePairBytes) std::atomic<std::uint64_t> polls;  ///< how often the consumer polled
  std::atomic<std::uint64_t> acquires;  ///< tells one long hold from many short failed ones
  // Written by the broker.
  /// A bit per cell: taken from its client, whose stores into it do not count any more.
  alignas(kLinePairBytes) std::atomic<std::uint64_t> taken[kSessionCells / 64];
  std::byte reserved[kPageBytes - 6 * kLinePairBytes];
};
static_assert(offsetof(SessionHeader, session) == 16);
static_assert(offsetof(SessionHeader, cells) == 20);
static_assert(offsetof(SessionHeader, revoked) == 128);
static_assert(offsetof(SessionHeader, news) == 132);
static_assert(offsetof(SessionHeader, doorbell) == 256);
static_assert(offsetof(SessionHeader, polls) == 384);
static_assert(offsetof(SessionHeader, acquires) == 392);
static_assert(offsetof(SessionHeader, taken) == 512);
static_assert(offsetof(SessionHeader, reserved) == 768);
static_assert(sizeof(SessionHeader) == kPageBytes);

struct SessionPage {
  SessionHeader header;
  SessionCell cells[kSessionCells];
};
static_assert(offsetof(SessionPage, cells) == kPageBytes);
static_assert(sizeof(SessionPage) == kPageBytes + kSessionCells * 64);

}  // namespace mallbots::shm
