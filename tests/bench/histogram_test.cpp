#include "bench/harness/histogram.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

namespace mallbots::bench {
namespace {

/// The percentile by its definition: sort, take the rank.
std::uint64_t by_sorting(std::vector<std::uint64_t> values, double percent) {
  std::ranges::sort(values);
  const double exact = percent / 100.0 * static_cast<double>(values.size());
  const auto rank = static_cast<std::size_t>(std::ceil(exact - exact * 1e-12));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

std::unique_ptr<Histogram> histogram_of(const std::vector<std::uint64_t>& values) {
  auto histogram = std::make_unique<Histogram>();
  for (const std::uint64_t value : values) histogram->record(value);
  return histogram;
}

bool close_above(std::uint64_t told, std::uint64_t truth) {
  return told >= truth && told - truth <= truth / 256;
}

/// Values of all magnitudes: the usual generator's are nearly all huge.
rc::Gen<std::vector<std::uint64_t>> any_values() {
  return rc::gen::nonEmpty(rc::gen::container<std::vector<std::uint64_t>>(
      rc::gen::apply([](std::uint64_t bits, int shift) { return bits >> shift; },
                     rc::gen::arbitrary<std::uint64_t>(), rc::gen::inRange(0, 64))));
}

constexpr double kPercents[] = {0, 1, 10, 50, 90, 99, 99.9, 99.99};

TEST(Histogram, PercentileIsNeverBelowTheTruthAndAtMostA256thAboveIt) {
  EXPECT_TRUE(rc::check([] {
    const auto values = *any_values();
    const auto histogram = histogram_of(values);
    for (const double percent : kPercents) {
      RC_ASSERT(close_above(histogram->percentile(percent), by_sorting(values, percent)));
    }
    RC_ASSERT(histogram->percentile(100) == std::ranges::max(values));
    RC_ASSERT(histogram->max() == std::ranges::max(values));
    RC_ASSERT(histogram->count() == values.size());
  }));
}

TEST(Histogram, MergeEqualsRecordingEverythingInOne) {
  EXPECT_TRUE(rc::check([] {
    const auto first = *any_values();
    const auto second = *any_values();
    auto merged = histogram_of(first);
    merged->merge(*histogram_of(second));
    auto all = first;
    all.insert(all.end(), second.begin(), second.end());
    const auto direct = histogram_of(all);
    for (const double percent : kPercents) {
      RC_ASSERT(merged->percentile(percent) == direct->percentile(percent));
    }
    RC_ASSERT(merged->count() == direct->count());
    RC_ASSERT(merged->max() == direct->max());
  }));
}

TEST(Histogram, EveryValueLiesInTheBucketWhoseEdgesHoldIt) {
  EXPECT_TRUE(rc::check([](std::uint64_t bits) {
    const std::uint64_t value = bits >> *rc::gen::inRange(0, 64);
    const std::size_t bucket = Histogram::bucket_of(value);
    RC_ASSERT(bucket < Histogram::kBuckets);
    RC_ASSERT(value <= Histogram::upper_edge(bucket));
    if (bucket > 0) RC_ASSERT(value > Histogram::upper_edge(bucket - 1));
  }));
}

TEST(Histogram, SmallValuesAreExact) {
  const auto histogram = histogram_of({80, 80, 90, 150, 511});
  EXPECT_EQ(histogram->percentile(50), 90U);
  EXPECT_EQ(histogram->percentile(40), 80U);
  EXPECT_EQ(histogram->percentile(80), 150U);
  EXPECT_EQ(histogram->percentile(81), 511U);
}

TEST(Histogram, NineHundredNinetyNineOfAThousandIsNotTheWorst) {
  std::vector<std::uint64_t> values(999, 7);
  values.push_back(500);
  EXPECT_EQ(histogram_of(values)->percentile(99.9), 7U);
}

TEST(Histogram, EmptyOneIsZeroEverywhere) {
  const Histogram empty;
  EXPECT_EQ(empty.percentile(50), 0U);
  EXPECT_EQ(empty.max(), 0U);
  EXPECT_EQ(empty.mean(), 0.0);
}

TEST(Histogram, ManyAtOnceCountAsMany) {
  Histogram histogram;
  histogram.record(10, 99);
  histogram.record(400, 1);
  EXPECT_EQ(histogram.count(), 100U);
  EXPECT_EQ(histogram.percentile(99), 10U);
  EXPECT_DOUBLE_EQ(histogram.mean(), 13.9);
}

}  // namespace
}  // namespace mallbots::bench
