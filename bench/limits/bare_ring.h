// The bare ring: the least that moves records from one process to another without losing any. Each
// slot has a commit word before its payload; the writer waits for room, the reader for the word.
// No checksums, no retention, no second writer, no recovery, no sleeping.
//
// One writer and one reader process, each with a BareRing of its own over the same zeroed memory.
// next() and front() spin for ever; the watchdog of run_roles ends what hangs.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "bench/harness/clock.h"

namespace mallbots::bench {

class BareRing {
 public:
  static constexpr std::size_t kStart = 128;  ///< before it: the reader's position
  static constexpr std::size_t kHeader = 8;   ///< the commit word

  static constexpr std::size_t slot_bytes(std::size_t payload) {
    return (payload + kHeader + 15) / 16 * 16;
  }
  static constexpr std::size_t memory_for(std::size_t payload, std::size_t slots) {
    return kStart + slots * slot_bytes(payload);
  }
  BareRing(std::span<std::byte> memory, std::size_t payload)
      : memory_(memory.data()),
        stride_(slot_bytes(payload)),
        count_((memory.size() - kStart) / stride_) {}

  /// Writer: where the next record goes; publish it with commit().
  std::byte* next() {
    while (next_ - freed_ == count_) {
      freed_ = word(0).load(std::memory_order_acquire);  // SYNC bench_freed
      if (next_ - freed_ == count_) spin_pause();
    }
    return memory_ + slot() + kHeader;
  }
  // SYNC bench_commit: release in BareRing commit, acquire in BareRing front.
  void commit() {
    word(slot()).store(next_ + 1, std::memory_order_release);  // SYNC bench_commit
    advance();
  }
  /// Reader: the oldest record, valid until pop().
  const std::byte* front() {
    while (word(slot()).load(std::memory_order_acquire) != next_ + 1) {  // SYNC bench_commit
    }
    return memory_ + slot() + kHeader;
  }
  // SYNC bench_freed: release in BareRing pop, acquire in BareRing next.
  void pop() {
    advance();
    if (next_ - freed_ < count_ / 8 + 1) return;  // seldom, or the position's line would bounce
    freed_ = next_;
    word(0).store(freed_, std::memory_order_release);  // SYNC bench_freed
  }

 private:
  std::size_t slot() const { return kStart + index_ * stride_; }
  std::atomic<std::uint64_t>& word(std::size_t at) const {
    return *reinterpret_cast<std::atomic<std::uint64_t>*>(memory_ + at);
  }
  void advance() {
    ++next_;
    index_ = index_ + 1 == count_ ? 0 : index_ + 1;
  }
  std::byte* memory_;
  std::size_t stride_, count_;
  std::size_t index_ = 0;               ///< next_ modulo count_, without a division
  std::uint64_t next_ = 0, freed_ = 0;  ///< records passed; the reader's position as known here
};

}  // namespace mallbots::bench
