// Memory that a benchmark's processes share: anonymous, mapped before the fork, so it has no name
// and leaves nothing behind after any crash.
//
// Each process must call populate() on what it is going to touch before it is timed: page tables of
// a shared mapping are not copied by fork, and each first touch of a page costs about 1 us (the p99
// of a 64 B round trip is 6 times higher without it). run_roles does that for the blocks named to
// it.
//
// Error: kIo when the kernel refuses the memory (the size is in the detail).
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "shm/base/result.h"

namespace mallbots::bench {

class SharedBlock {
 public:
  [[nodiscard]] static Result<SharedBlock> create(std::size_t size_bytes);

  SharedBlock(SharedBlock&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  SharedBlock& operator=(SharedBlock&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  SharedBlock(const SharedBlock&) = delete;
  SharedBlock& operator=(const SharedBlock&) = delete;
  ~SharedBlock();

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }

 private:
  explicit SharedBlock(std::span<std::byte> bytes) noexcept : bytes_(bytes) {}
  std::span<std::byte> bytes_;
};

/// Faults `bytes` (page-aligned) into this process, writable.
void populate(std::span<std::byte> bytes) noexcept;

/// One T in memory of its own. Its destructor never runs: the processes outlive each other in any
/// order.
template <class T>
class Shared {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  [[nodiscard]] static Result<Shared> create() {
    auto block = SharedBlock::create(sizeof(T));
    if (!block) return std::unexpected(std::move(block).error());
    return Shared{std::move(*block)};
  }
  T* operator->() const noexcept { return value_; }
  T& operator*() const noexcept { return *value_; }
  [[nodiscard]] T* get() const noexcept { return value_; }
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return block_.bytes(); }

 private:
  explicit Shared(SharedBlock block)
      : block_(std::move(block)), value_(new(block_.bytes().data()) T{}) {}
  SharedBlock block_;
  T* value_;
};

}  // namespace mallbots::bench
