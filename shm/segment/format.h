// A segment file, byte for byte. broker/FORMAT.md is the picture, the grammar and the worked
// example; tests/shm/segment/format_test.cpp holds both to each other.
//
//   header block (4 KiB) | run | run | ... | footer | trailer (128 B, the last bytes of the file)
//
// Little-endian, no padding bytes that are not named. Written by broker/storage only; read by
// broker, cold readers of the client library, `mallbots dump` and `mallbots verify`. No I/O here.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shm/base/hash.h"
#include "shm/base/ids.h"

namespace mallbots::shm {

/// Raised with every change of any struct of this file or of record.h. v0 until queues and event
/// store are in: a v0 broker refuses what another v0 build of another layout wrote.
inline constexpr std::uint32_t kSegmentVersion = 0x0000'0001;

inline constexpr std::uint64_t kSegmentMagic = 0x3130'4745'5342'4D01;  // "\1MBSEG01"
inline constexpr std::uint64_t kTrailerMagic = 0x3130'4441'5242'4D02;  // "\2MBRAD01"

/// Runs, the header and the footer begin at multiples of this; so do O_DIRECT writes.
inline constexpr std::uint64_t kBlockBytes = 4096;
/// What a device may tear: a write is kept or lost by whole sectors.
inline constexpr std::uint64_t kSectorBytes = 512;
/// Distance of two entries of the sparse index, at least.
inline constexpr std::uint64_t kIndexStrideBytes = 32 * 1024;

/// Number of a segment within its partition; 1, 2, 3 ... in the order of creation, never re-used.
using SegmentNumber = std::uint64_t;
/// "The first segment of the partition": it has no predecessor.
inline constexpr SegmentNumber kNoSegment = 0;

/// First block of the file. Synced, with the folder, before the first record is written.
/// All of it fits into the first sector, so that a torn write leaves it whole or absent.
struct SegmentHeader {
  std::uint64_t magic;
  std::uint32_t version;
  LogEpoch log_epoch;  ///< of every record in the file; half of the seed of their header checks
  std::uint64_t topic_id;
  std::uint64_t partition_id;  ///< the other half of the seed
  SegmentNumber number;
  Offset base_offset;             ///< of the first record
  UnixMillis base_timestamp_ms;   ///< running maximum of all records before; kNoTimestamp if none
  SegmentNumber predecessor;      ///< kNoSegment: none
  std::uint64_t predecessor_end;  ///< byte in the predecessor; what lies behind it is ignored
  Offset predecessor_end_offset;  ///< first offset that the predecessor does not hold
  UnixMillis created_ms;
  /// Most bytes that one write of this file may hold: nothing further than this before the last
  /// written byte can be missing after a power cut (RECOVERY.md, "Torn or damaged").
  std::uint64_t write_limit_bytes;
  std::uint32_t partition_index;  ///< for people
  std::uint32_t reserved;
  std::uint64_t check;  ///< XXH3-64 of the bytes before it
};
static_assert(offsetof(SegmentHeader, magic) == 0);
static_assert(offsetof(SegmentHeader, version) == 8);
static_assert(offsetof(SegmentHeader, log_epoch) == 12);
static_assert(offsetof(SegmentHeader, topic_id) == 16);
static_assert(offsetof(SegmentHeader, partition_id) == 24);
static_assert(offsetof(SegmentHeader, number) == 32);
static_assert(offsetof(SegmentHeader, base_offset) == 40);
static_assert(offsetof(SegmentHeader, base_timestamp_ms) == 48);
static_assert(offsetof(SegmentHeader, predecessor) == 56);
static_assert(offsetof(SegmentHeader, predecessor_end) == 64);
static_assert(offsetof(SegmentHeader, predecessor_end_offset) == 72);
static_assert(offsetof(SegmentHeader, created_ms) == 80);
static_assert(offsetof(SegmentHeader, write_limit_bytes) == 88);
static_assert(offsetof(SegmentHeader, partition_index) == 96);
static_assert(offsetof(SegmentHeader, reserved) == 100);
static_assert(offsetof(SegmentHeader, check) == 104);
static_assert(sizeof(SegmentHeader) == 112);
static_assert(sizeof(SegmentHeader) <= kSectorBytes);

inline constexpr UnixMillis kNoTimestamp = INT64_MIN;

/// What one slot, or a part of one, left in the file.
struct RunEntry {
  std::uint64_t byte;      ///< where it starts: a multiple of kBlockBytes
  std::uint64_t end_byte;  ///< behind its last record that is no pad
  Offset first_offset;
  SlotGen slot_gen;  ///< for people
};
static_assert(offsetof(RunEntry, byte) == 0);
static_assert(offsetof(RunEntry, end_byte) == 8);
static_assert(offsetof(RunEntry, first_offset) == 16);
static_assert(offsetof(RunEntry, slot_gen) == 24);
static_assert(sizeof(RunEntry) == 32);

/// A record boundary. Entries ascend in all three.
struct IndexEntry {
  Offset offset;  ///< of the record at `byte`
  std::uint64_t byte;
  UnixMillis running_max_ms;  ///< largest stamp of all records of the partition before this one
};
static_assert(offsetof(IndexEntry, offset) == 0);
static_assert(offsetof(IndexEntry, byte) == 8);
static_assert(offsetof(IndexEntry, running_max_ms) == 16);
static_assert(sizeof(IndexEntry) == 24);

/// Bytes that do not check out, found when the footer was made. Only in side files.
struct DamageEntry {
  std::uint64_t byte;
  std::uint64_t end_byte;
  Offset first_offset;
  Offset end_offset;
};
static_assert(offsetof(DamageEntry, byte) == 0);
static_assert(offsetof(DamageEntry, end_byte) == 8);
static_assert(offsetof(DamageEntry, first_offset) == 16);
static_assert(offsetof(DamageEntry, end_offset) == 24);
static_assert(sizeof(DamageEntry) == 32);

enum TrailerFlag : std::uint32_t {
  kRebuilt = 1,  ///< made by recovery from the records, in a side file
};

/// Last 128 bytes of a closed segment, and of a side file. The footer before it is
/// {RunEntry[runs], IndexEntry[index_entries], DamageEntry[damages], zeros} and begins at a block
/// border; with the trailer it is `footer_bytes` long, a multiple of kBlockBytes.
struct SegmentTrailer {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t flags;  ///< TrailerFlag
  std::uint64_t partition_id;
  SegmentNumber number;
  Offset base_offset;
  Offset end_offset;       ///< first offset that is not in the file
  std::uint64_t data_end;  ///< behind the last record that is no pad
  std::uint64_t records;   ///< data, tombstone and control; not pads, not damaged
  UnixMillis min_timestamp_ms;
  UnixMillis running_max_ms;  ///< of the partition up to here; kNoTimestamp if there is none
  UnixMillis closed_ms;       ///< wall time of the close or of the rebuild: what retention goes by
  LogEpoch log_epoch;
  std::uint32_t runs;
  std::uint32_t index_entries;
  std::uint32_t damages;
  std::uint32_t footer_bytes;
  std::uint32_t reserved;
  std::uint64_t body_check;  ///< XXH3-64 of the footer before the trailer, zeros included
  std::uint64_t check;       ///< XXH3-64 of the trailer's bytes before it
};
static_assert(offsetof(SegmentTrailer, magic) == 0);
static_assert(offsetof(SegmentTrailer, version) == 8);
static_assert(offsetof(SegmentTrailer, flags) == 12);
static_assert(offsetof(SegmentTrailer, partition_id) == 16);
static_assert(offsetof(SegmentTrailer, number) == 24);
static_assert(offsetof(SegmentTrailer, base_offset) == 32);
static_assert(offsetof(SegmentTrailer, end_offset) == 40);
static_assert(offsetof(SegmentTrailer, data_end) == 48);
static_assert(offsetof(SegmentTrailer, records) == 56);
static_assert(offsetof(SegmentTrailer, min_timestamp_ms) == 64);
static_assert(offsetof(SegmentTrailer, running_max_ms) == 72);
static_assert(offsetof(SegmentTrailer, closed_ms) == 80);
static_assert(offsetof(SegmentTrailer, log_epoch) == 88);
static_assert(offsetof(SegmentTrailer, runs) == 92);
static_assert(offsetof(SegmentTrailer, index_entries) == 96);
static_assert(offsetof(SegmentTrailer, damages) == 100);
static_assert(offsetof(SegmentTrailer, footer_bytes) == 104);
static_assert(offsetof(SegmentTrailer, reserved) == 108);
static_assert(offsetof(SegmentTrailer, body_check) == 112);
static_assert(offsetof(SegmentTrailer, check) == 120);
static_assert(sizeof(SegmentTrailer) == 128);

/// The smallest multiple of kBlockBytes that is not below `bytes`.
[[nodiscard]] constexpr std::uint64_t block_ceil(std::uint64_t bytes) noexcept {
  return (bytes + kBlockBytes - 1) & ~(kBlockBytes - 1);
}
[[nodiscard]] constexpr std::uint64_t block_floor(std::uint64_t bytes) noexcept {
  return bytes & ~(kBlockBytes - 1);
}

}  // namespace mallbots::shm
