// The bare log: what the log's format and protocol cost, without a library. A header of 64
// bytes with two XXH3-64 before each payload; a word that is taken and given back with the new end
// (two compare-and-swaps, as many writers need them); then a publication line, which the reader
// watches. No offsets of readers, no sequences, no clock, no sleepers, no end of a slot.
//
// Same use as BareRing, but goes round without looking whether the reader follows: only for a game
// of questions and answers. `kAskEarly`: the publication line is asked for before the commit.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "bench/harness/clock.h"
#include "shm/base/hash.h"
#include "shm/concurrent/slot_word.h"

namespace mallbots::bench {

template <bool kAskEarly>
class BareLog {
 public:
  static constexpr std::size_t kStart = 256;  ///< word and publication, each on a line pair
  static constexpr std::size_t kHeader = 64;

  static constexpr std::size_t slot_bytes(std::size_t payload) { return kHeader + payload; }
  static constexpr std::size_t memory_for(std::size_t payload, std::size_t slots) {
    return kStart + slots * slot_bytes(payload);
  }
  BareLog(std::span<std::byte> memory, std::size_t payload)
      : word_(*reinterpret_cast<std::atomic<std::uint64_t>*>(memory.data())),
        publication_(*reinterpret_cast<std::atomic<std::uint64_t>*>(memory.data() + 128)),
        slots_(memory.data() + kStart),
        payload_(payload),
        count_((memory.size() - kStart) / slot_bytes(payload)) {}

  /// Writer: where the next payload goes; publish it with commit().
  std::byte* next() {
    shm::prefetch_record_for_write(record());
    std::uint64_t free = next_;
    word_.compare_exchange_strong(free, next_ | kOwned);
    return record() + kHeader;
  }
  void commit() {
    std::byte* const at = record();
    std::array<std::uint64_t, kHeader / 8> header{next_, slot_bytes(payload_)};
    header[5] = xxh3(at + kHeader, payload_);
    header[7] = xxh3(header.data(), kHeader - 8, 1);
    for (std::size_t i = 0; i < header.size(); ++i) {
      std::uint64_t value = header[i];
      asm("" : "+r"(value));  // or wide loads would wait for these narrow stores
      std::memcpy(at + i * sizeof value, &value, sizeof value);
    }
    if (kAskEarly) shm::prefetch_for_write(&publication_);
    std::uint64_t held = next_ | kOwned;
    word_.compare_exchange_strong(held, next_ + 1);
    pop();
    publication_.store(next_, std::memory_order_release);  // SYNC bench_published
  }
  // SYNC bench_published: release in BareLog commit, acquire in BareLog front.
  /// Reader: the payload of the next record, valid until pop().
  const std::byte* front() {
    for (;; spin_pause()) {
      shm::prefetch_record(record());
      if (publication_.load(std::memory_order_acquire) > next_) break;  // SYNC bench_published
    }
    return record() + kHeader;
  }
  void pop() {
    ++next_;
    index_ = index_ + 1 == count_ ? 0 : index_ + 1;
  }

 private:
  static constexpr std::uint64_t kOwned = std::uint64_t{1} << 63;
  std::byte* record() const { return slots_ + index_ * slot_bytes(payload_); }
  std::atomic<std::uint64_t>&word_, &publication_;
  std::byte* slots_;
  std::size_t payload_, count_;
  std::size_t index_ = 0;  ///< next_ modulo count_
  std::uint64_t next_ = 0;
};

}  // namespace mallbots::bench
