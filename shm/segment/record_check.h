// The checked reader of records: bytes in, a view or the reason why not. No I/O, no allocation; any
// thread. Used on slot memory by the persister, on segment files by recovery, cold readers and the
// command line. Bytes that came from another process or a disk are data: nothing here CHECKs them,
// and every length is read once.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "shm/layout/record.h"

namespace mallbots::shm {

/// Why the bytes at a place are not a whole, good record.
enum class RecordFault : std::uint8_t {
  kNone = 0,
  kTruncated,    ///< the bytes end before the record does: with more bytes it may be good
  kUnwritten,    ///< the first 16 bytes are zero: nothing was ever written here
  kHeaderCheck,  ///< the header check does not match: damage, another partition or another epoch
  kLengths,      ///< the header checks out but its lengths contradict each other (a producer's bug)
  kBodyHash,     ///< attributes, key or payload are not what the producer hashed
};
[[nodiscard]] std::string_view fault_name(RecordFault fault) noexcept;

enum class BodyCheck : bool { kSkip = false, kVerify = true };

struct CheckedRecord {
  RecordFault fault = RecordFault::kNone;
  /// Only if fault is kNone. Points into the bytes; in slot memory they may change under the
  /// reader.
  RecordView view{};
  /// Read once, and what was checked. With kNone, kLengths, kBodyHash, and kTruncated once 64 bytes
  /// were there.
  RecordHeader header{};
  /// With kTruncated: how many bytes are needed to know more. With kNone, kBodyHash: what the
  /// record takes, a multiple of 16.
  std::uint64_t bytes = 0;

  [[nodiscard]] bool good() const noexcept { return fault == RecordFault::kNone; }
};

/// Looks at the record that begins at bytes[0] (16-byte aligned memory). seed: record_seed().
[[nodiscard]] CheckedRecord check_record(std::span<const std::byte> bytes, std::uint64_t seed,
                                         BodyCheck body) noexcept;

/// Distance from bytes[0] to the next place (multiple of 16, at least `from`) where a whole record
/// with a good header check begins whose offset lies in [at_least, at_most]; bytes.size() rounded
/// down to 16 if there is none. The way on after damage.
struct Resync {
  std::uint64_t from = 0;
  Offset at_least = 0;
  Offset at_most = kNoOffset;
};
[[nodiscard]] std::uint64_t find_next_record(std::span<const std::byte> bytes, std::uint64_t seed,
                                             const Resync& resync) noexcept;

/// How many offsets the record stands for: 0 for a pad, `sequence` for a damaged one, else 1.
[[nodiscard]] constexpr std::uint64_t offsets_of(const RecordHeader& header) noexcept {
  if (header.type == RecordType::kPad) return 0;
  return header.type == RecordType::kDamaged ? header.sequence : 1;
}

/// Header of a pad that takes `bytes` (64 or more, a multiple of 16), itself included; the rest of
/// it is zeros. `next` is the offset of the record behind it.
[[nodiscard]] RecordHeader pad_header(std::uint32_t bytes, Offset next,
                                      std::uint64_t seed) noexcept;
/// Header of a record that takes as much and stands for the lost offsets [first, end).
[[nodiscard]] RecordHeader damaged_header(std::uint32_t bytes, Offset first, Offset end,
                                          std::uint64_t seed) noexcept;

}  // namespace mallbots::shm
