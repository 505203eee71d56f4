// Histogram: counts of unsigned 64-bit values in log-linear buckets, as HdrHistogram has them
// (hdrhistogram.org), so that recording costs two instructions more than an array store and no
// sample is ever thrown away.
//
// Values below 512 have a bucket each; above, every power of two is cut into 256 buckets. A
// percentile is the upper edge of its bucket, never above the largest value recorded: so it is
// never below the truth and at most 1/256 (0.4 %) above it. percentile(100) is exact.
//
// A plain struct of fixed size (115 KiB) without pointers: one may lie in memory that two processes
// share, written by one and read by the other after it has ended. All zeros is a valid empty one.
// The unit is the caller's (the scenarios record clock ticks). Not synchronised.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace mallbots::bench {

class Histogram {
 public:
  static constexpr unsigned kSubBits = 8;
  static constexpr std::size_t kLinear = std::size_t{1} << (kSubBits + 1);
  static constexpr std::size_t kBuckets = kLinear + ((64 - kSubBits - 1) << kSubBits);

  void record(std::uint64_t value, std::uint64_t times = 1) noexcept {
    counts_[bucket_of(value)] += times;
    count_ += times;
    sum_ += static_cast<double>(value) * static_cast<double>(times);
    largest_ = std::max(largest_, value);
  }

  /// Adds what `other` has recorded, as if it had been recorded here.
  void merge(const Histogram& other) noexcept;
  void clear() noexcept { *this = Histogram{}; }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t max() const noexcept { return largest_; }
  [[nodiscard]] double mean() const noexcept {
    return count_ == 0 ? 0.0 : sum_ / static_cast<double>(count_);
  }
  /// The smallest value such that `percent` (0 to 100) of all values are not above it; 0 when
  /// empty.
  [[nodiscard]] std::uint64_t percentile(double percent) const noexcept;

  [[nodiscard]] static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < kLinear) return static_cast<std::size_t>(value);
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kSubBits - 1;
    return (std::size_t{shift} << kSubBits) + static_cast<std::size_t>(value >> shift);
  }
  /// The largest value that falls into `bucket`.
  [[nodiscard]] static constexpr std::uint64_t upper_edge(std::size_t bucket) noexcept {
    if (bucket < kLinear) return bucket;
    const unsigned shift = static_cast<unsigned>(bucket >> kSubBits) - 1;
    const std::uint64_t sub = (bucket & ((std::size_t{1} << kSubBits) - 1)) | (1U << kSubBits);
    return (sub << shift) + ((std::uint64_t{1} << shift) - 1);
  }

 private:
  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t largest_ = 0;
  double sum_ = 0.0;
};

}  // namespace mallbots::bench
