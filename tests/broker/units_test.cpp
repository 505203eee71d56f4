#include "broker/units.h"

#include <gtest/gtest.h>

namespace mallbots::broker {
namespace {

TEST(Units, SizesArePowersOf1024InAnySpelling) {
  EXPECT_EQ(parse_size("0"), 0);
  EXPECT_EQ(parse_size("512"), 512);
  EXPECT_EQ(parse_size("64K"), 65'536);
  EXPECT_EQ(parse_size("64kib"), 65'536);
  EXPECT_EQ(parse_size("2MiB"), 2 * kMiB);
  EXPECT_EQ(parse_size("1.5M"), kMiB + kMiB / 2);
  EXPECT_EQ(parse_size("7B"), 7);
  EXPECT_EQ(parse_size("1P"), 1ULL << 50);
}

TEST(Units, WhatIsNoSizeIsRefused) {
  for (const char* text : {"", "M", "-1", "1 M", "1MB", "1X", "1.M", ".5M", "1..5M", "1e3",
                           "9000000P", "0x10", "1Ki", "1BiB"})
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
}

TEST(Units, SizesPrintShortAndExact) {
  EXPECT_EQ(format_size(0), "0");
  EXPECT_EQ(format_size(1000), "1000");
  EXPECT_EQ(format_size(64 * kKiB), "64KiB");
  EXPECT_EQ(format_size(3 * kGiB), "3GiB");
  for (const std::uint64_t bytes : {1ULL, 4096ULL, 4097ULL, (1ULL << 50) * 3, 1536ULL})
    EXPECT_EQ(parse_size(format_size(bytes)), bytes);
}

TEST(Units, DurationsAreMillisecondsOrNamed) {
  EXPECT_EQ(parse_duration_ms("0"), 0);
  EXPECT_EQ(parse_duration_ms("1500"), 1500);
  EXPECT_EQ(parse_duration_ms("5ms"), 5);
  EXPECT_EQ(parse_duration_ms("1h30m"), 5'400'000);
  EXPECT_EQ(parse_duration_ms("7d"), 604'800'000);
  EXPECT_EQ(parse_duration_ms("1s500ms"), 1500);
}

TEST(Units, WhatIsNoDurationIsRefused) {
  for (const char* text : {"", "ms", "-1s", "1 s", "30m1h", "1s1s", "1.5s", "1w", "1sm",
                           "99999999999999999999", "9999999999d"})
    EXPECT_EQ(parse_duration_ms(text), std::nullopt) << text;
}

TEST(Units, DurationsPrintAsTheyAreRead) {
  EXPECT_EQ(format_duration_ms(0), "0ms");
  EXPECT_EQ(format_duration_ms(5'400'000), "1h30m");
  for (const std::int64_t value : {1L, 999L, 1000L, 61'001L, 90'061'001L})
    EXPECT_EQ(parse_duration_ms(format_duration_ms(value)), value);
}

}  // namespace
}  // namespace mallbots::broker
