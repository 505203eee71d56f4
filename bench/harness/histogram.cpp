#include "bench/harness/histogram.h"

#include <cmath>
#include <type_traits>

namespace mallbots::bench {

static_assert(std::is_trivially_copyable_v<Histogram>, "lies in memory that processes share");
static_assert(Histogram::bucket_of(~std::uint64_t{0}) == Histogram::kBuckets - 1);
static_assert(Histogram::upper_edge(Histogram::kBuckets - 1) == ~std::uint64_t{0});

void Histogram::merge(const Histogram& other) noexcept {
  for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  largest_ = std::max(largest_, other.largest_);
}

std::uint64_t Histogram::percentile(double percent) const noexcept {
  if (count_ == 0) return 0;
  const double share = std::clamp(percent, 0.0, 100.0) / 100.0;
  // The small number undoes what binary fractions add: 99.9 % of 1000 is the 999th, not the 1000th.
  const double exact = share * static_cast<double>(count_);
  auto rank = static_cast<std::uint64_t>(std::ceil(exact - exact * 1e-12));
  rank = std::clamp<std::uint64_t>(rank, 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += counts_[i];
    if (seen >= rank) return std::min(upper_edge(i), largest_);
  }
  return largest_;
}

}  // namespace mallbots::bench
