// The checkpoint of a stream index, byte for byte: broker/FORMAT.md, "State files", `streams`.
// Blocks that each say what they are; entries that were taken one after the other while the log
// went on.
//
// Pure functions; any thread. Bytes of a disk are data: every number is checked before it is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "broker/streams/stream_index.h"
#include "shm/base/result.h"

namespace mallbots::broker {

inline constexpr std::size_t kCheckpointBlockBytes = 65'536;
inline constexpr std::uint64_t kCheckpointMagic = 0x3130'5254'5342'4D09;  // "\9MBSTR01"
inline constexpr std::uint32_t kCheckpointVersion = 1;
inline constexpr std::uint32_t kLastCheckpointBlock = 1;

struct CheckpointHead {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t number;
  std::uint64_t partition_id;
  std::uint64_t from_offset;
  std::uint64_t end_offset;
  std::uint32_t log_epoch;
  std::uint32_t streams;
  std::uint32_t payload_bytes;
  std::uint32_t flags;
  std::uint64_t check;
};
static_assert(offsetof(CheckpointHead, number) == 12);
static_assert(offsetof(CheckpointHead, partition_id) == 16);
static_assert(offsetof(CheckpointHead, from_offset) == 24);
static_assert(offsetof(CheckpointHead, end_offset) == 32);
static_assert(offsetof(CheckpointHead, log_epoch) == 40);
static_assert(offsetof(CheckpointHead, streams) == 44);
static_assert(offsetof(CheckpointHead, payload_bytes) == 48);
static_assert(offsetof(CheckpointHead, flags) == 52);
static_assert(offsetof(CheckpointHead, check) == 56);
static_assert(sizeof(CheckpointHead) == 64);

/// What all blocks of one file say alike.
struct CheckpointFrame {
  PartitionId partition{};
  LogEpoch log_epoch = 0;
  Offset from = 0;
};

/// Puts entries into one block.
class CheckpointBlock {
 public:
  /// `bytes`: kCheckpointBlockBytes.
  explicit CheckpointBlock(std::span<std::byte> bytes) noexcept;

  /// False: the block is full; nothing was put.
  [[nodiscard]] bool add(const StreamKey& key, const StreamState& state) noexcept;
  /// Head and check: the block is ready to be written.
  void seal(const CheckpointFrame& frame, std::uint32_t number) noexcept;
  /// As the last block of a file with so many streams; `end`: no record from there on is in them.
  void seal_last(const CheckpointFrame& frame, std::uint32_t number, Offset end,
                 std::uint32_t streams) noexcept;

 private:
  void seal(CheckpointHead head) noexcept;

  std::span<std::byte> bytes_;
  std::size_t used_ = sizeof(CheckpointHead);
  std::uint32_t streams_ = 0;
};

/// Head of the block with that number, everything in it good. Errors: Corrupt, WrongVersion.
[[nodiscard]] Result<CheckpointHead> check_block(std::span<const std::byte> block,
                                                 PartitionId partition, std::uint32_t number);
/// Puts the streams of a block that check_block() found good into the index. Error: Corrupt.
[[nodiscard]] Result<void> take_streams(std::span<const std::byte> block, StreamIndex& index);

}  // namespace mallbots::broker
