// Gather: turns a sequence of bytes into the block-aligned pieces of one write. Whole blocks of
// aligned source memory are named where they lie; the rest (first and last block, pads, damaged
// records) goes through private blocks. The bytes must lie in the file at the same distance from a
// block border as in their source, or they are copied.
//
// One per partition store, re-used; broker's thread. The pieces stay valid until clear().
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "broker/io/disk.h"

namespace mallbots::broker {

class Gather {
 public:
  /// Starts a write at file_byte, a block border, with a copy of `prefix` (less than a block).
  void begin(std::uint64_t file_byte, std::span<const std::byte> prefix);

  void copy(std::span<const std::byte> bytes);
  void zeros(std::uint64_t count);
  /// Whole blocks are not copied: the memory must keep still until the write is done.
  void direct(std::span<const std::byte> bytes);
  /// Fills the last block with zeros. Returns its content up to the last byte that was put: empty
  /// if the sequence ended at a border.
  std::span<const std::byte> finish();

  /// Next byte's place in the file.
  [[nodiscard]] std::uint64_t file_byte() const noexcept { return file_byte_ + bytes_; }
  [[nodiscard]] std::uint64_t first_byte() const noexcept { return file_byte_; }
  [[nodiscard]] std::span<const iovec> pieces() const noexcept { return pieces_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::uint64_t copied_bytes() const noexcept { return copied_; }

  /// Forgets the pieces; keeps a little memory for the next write.
  void clear();

 private:
  /// A stretch of private memory from the current place to the end of its block.
  [[nodiscard]] std::span<std::byte> room();
  void put(const void* memory, std::size_t bytes);

  static constexpr std::size_t kChunkBytes = 16 * 1024;
  std::vector<AlignedBuffer> chunks_;
  std::size_t chunk_ = 0;       ///< index of the chunk in use
  std::size_t chunk_used_ = 0;  ///< whole blocks of it
  std::byte* block_ = nullptr;  ///< private block that the current place is in
  std::uint64_t file_byte_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t copied_ = 0;
  std::vector<iovec> pieces_;
};

}  // namespace mallbots::broker
