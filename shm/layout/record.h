// A record, byte for byte the same in a slot and in a segment file. broker/FORMAT.md, "Record".
//
//    0        4    5     6          8                16
//   +--------+----+-----+----------+----------------+
//   | length |type|flags|attr_bytes|     offset     |
//   +--------+----+-----+----------+----------------+
//   |      producer_id             |  sequence      |
//   +------------------------------+----------------+
//   |      timestamp_ms            |  body_hash     |
//   +---------------+--------------+----------------+
//   |epoch|batch_pos|  key_bytes   |  header_check  |
//   +---------------+--------------+----------------+
//   | attributes, key, payload, zero to 16 bytes ...
//
// header_check = XXH3-64 of the 56 bytes before it, seeded with record_seed(partition, log epoch):
// a record of another partition, or of before an unclean start, never checks out.
// body_hash = XXH3-64 of the payload, seeded with the XXH3-64 of attributes + key (0 if there are
// none); 0 with checksum=header. Both are computed by the producer, the body hash before the
// section.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "shm/base/hash.h"
#include "shm/base/ids.h"
#include "shm/layout/word.h"

namespace mallbots::shm {

enum class RecordType : std::uint8_t {
  kPad = 1,  ///< fills space, has no offset of its own (offset = that of the next record)
  kData = 2,
  kDamaged = 3,    ///< stands for the offsets [offset, offset + sequence) that were lost
  kTombstone = 4,  ///< the key is deleted
  kControl = 5,    ///< the broker's own notes: readers of the topic skip them
};

enum RecordFlag : std::uint8_t {
  kLastOfBatch = 1,
  kHasBodyHash = 2,
  kInternalEvent = 4,
};

struct RecordHeader {
  std::uint32_t length;  ///< header, attributes, key and payload; without the final zeros
  RecordType type;
  std::uint8_t flags;
  std::uint16_t attribute_bytes;
  std::uint64_t offset;
  std::uint64_t producer_id;
  std::uint64_t sequence;
  std::int64_t timestamp_ms;
  std::uint64_t body_hash;
  std::uint16_t producer_epoch;
  std::uint16_t batch_position;  ///< 0 for the first record of a batch
  std::uint32_t key_bytes;
  std::uint64_t header_check;
};
static_assert(offsetof(RecordHeader, length) == 0);
static_assert(offsetof(RecordHeader, type) == 4);
static_assert(offsetof(RecordHeader, flags) == 5);
static_assert(offsetof(RecordHeader, attribute_bytes) == 6);
static_assert(offsetof(RecordHeader, offset) == 8);
static_assert(offsetof(RecordHeader, producer_id) == 16);
static_assert(offsetof(RecordHeader, sequence) == 24);
static_assert(offsetof(RecordHeader, timestamp_ms) == 32);
static_assert(offsetof(RecordHeader, body_hash) == 40);
static_assert(offsetof(RecordHeader, producer_epoch) == 48);
static_assert(offsetof(RecordHeader, batch_position) == 50);
static_assert(offsetof(RecordHeader, key_bytes) == 52);
static_assert(offsetof(RecordHeader, header_check) == 56);
static_assert(sizeof(RecordHeader) == 64);

inline constexpr std::size_t kRecordHeaderBytes = sizeof(RecordHeader);
inline constexpr std::size_t kMaxBatchRecords = 65'536;

/// Attributes are {u16 id, u16 size, bytes} one after the other. Ids below 0x8000 are MallBots' own
/// (FORMAT.md, "Attribute registry"); a reader skips what it does not know.
enum class AttributeId : std::uint16_t {
  kHeader = 1,         ///< one per header: u8 name size, name, value
  kStreamId = 2,       ///< bytes
  kStreamVersion = 3,  ///< u64
  kPredecessor = 4,    ///< u64 offset
  kJump = 5,           ///< u64 offset
  kDueTime = 6,        ///< i64 Unix ms
  kSourceOffset = 7,   ///< u64 offset in the delay log
  kDeliveryCount = 8,  ///< u32
  kTraceContext = 9,   ///< W3C traceparent, 55 bytes of text
  kFirstVersion = 10,  ///< u64: the stream's events of lower versions are not to be read any more
  kDelayTarget = 11,   ///< u64 topic id, u32 partition: in the delay log
};

[[nodiscard]] constexpr std::uint64_t record_seed(PartitionId partition, LogEpoch epoch) noexcept {
  return static_cast<std::uint64_t>(partition) ^ (static_cast<std::uint64_t>(epoch) << 32 | epoch);
}

[[nodiscard]] inline std::uint64_t header_check(const RecordHeader& header,
                                                std::uint64_t seed) noexcept {
  return xxh3(&header, offsetof(RecordHeader, header_check), seed);
}

/// What a record takes in a slot or segment.
[[nodiscard]] constexpr std::uint32_t record_units(std::uint32_t length_bytes) noexcept {
  return (length_bytes + kUnitBytes - 1) / kUnitBytes;
}

/// A record whose lengths were checked against the memory it lies in. Points into that memory.
struct RecordView {
  const RecordHeader* header;
  std::span<const std::byte> attributes;
  std::span<const std::byte> key;
  std::span<const std::byte> payload;
};

}  // namespace mallbots::shm
