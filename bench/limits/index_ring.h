// The second bare ring: no word in the slots; the writer publishes how many records there are, the
// reader how many it is done with. Payloads stand shoulder to shoulder. Same use as BareRing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "bench/harness/clock.h"

namespace mallbots::bench {

class IndexRing {
 public:
  static constexpr std::size_t kHead = 256;  ///< two positions, each on a line pair of its own

  static constexpr std::size_t slot_bytes(std::size_t payload) { return payload; }
  static constexpr std::size_t memory_for(std::size_t payload, std::size_t slots) {
    return kHead + slots * payload;
  }

  IndexRing(std::span<std::byte> memory, std::size_t payload)
      : written_(*reinterpret_cast<std::atomic<std::uint64_t>*>(memory.data())),
        read_(*reinterpret_cast<std::atomic<std::uint64_t>*>(memory.data() + 128)),
        slots_(memory.data() + kHead),
        stride_(payload),
        count_((memory.size() - kHead) / payload) {}

  /// Writer: where the next record goes; publish it with commit().
  std::byte* next() {
    while (next_ - other_ == count_) {
      other_ = read_.load(std::memory_order_acquire);  // SYNC bench_read
      if (next_ - other_ == count_) spin_pause();
    }
    return slots_ + index_ * stride_;
  }
  // SYNC bench_written: release in IndexRing commit, acquire in IndexRing front.
  void commit() {
    written_.store(++next_, std::memory_order_release);  // SYNC bench_written
    index_ = index_ + 1 == count_ ? 0 : index_ + 1;
  }

  /// Reader: the oldest record, valid until pop().
  const std::byte* front() {
    while (other_ == next_)
      other_ = written_.load(std::memory_order_acquire);  // SYNC bench_written
    return slots_ + index_ * stride_;
  }
  // SYNC bench_read: release in IndexRing pop, acquire in IndexRing next.
  void pop() {
    ++next_;
    index_ = index_ + 1 == count_ ? 0 : index_ + 1;
    if (next_ - told_ >= count_ / 8 + 1) {
      told_ = next_;
      read_.store(told_, std::memory_order_release);  // SYNC bench_read
    }
  }

 private:
  std::atomic<std::uint64_t>& written_;
  std::atomic<std::uint64_t>& read_;
  std::byte* slots_;
  std::size_t stride_;
  std::size_t count_;
  std::size_t index_ = 0;
  std::uint64_t next_ = 0;   ///< records passed through this end
  std::uint64_t other_ = 0;  ///< the other end's position, as last seen
  std::uint64_t told_ = 0;   ///< reader: what it has published
};

}  // namespace mallbots::bench
