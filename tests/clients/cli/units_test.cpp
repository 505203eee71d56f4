#include "clients/cli/units.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>

namespace mallbots::client::cli {
namespace {

constexpr UnixMillis kNow = 1'769'850'300'250;  // 2026-01-31T09:05:00.250Z

TEST(Units, SizesArePowersOf1024InAnyCase) {
  const std::pair<const char*, std::uint64_t> kRows[] = {
      {"0", 0},
      {"512", 512},
      {"512B", 512},
      {"1K", 1024},
      {"1k", 1024},
      {"64KiB", 65536},
      {"1.5MiB", 1572864},
      {"2M", 2u << 20},
      {"10G", 10ull << 30},
      {"1Ti", 1ull << 40},
      {"0.5K", 512},
  };
  for (const auto& [text, bytes] : kRows) EXPECT_EQ(parse_size(text), bytes) << text;
}

TEST(Units, ASizeOutsideTheGrammarNamesItself) {
  for (const std::string text : {"", "K", "-1", "1.K", "1KB", "1 K", "1X", "99999999999999999999",
                                 "17179869184G", "1.5.5K"}) {
    const auto size = parse_size(text);
    ASSERT_FALSE(size) << text;
    EXPECT_EQ(size.error().code, ErrorCode::kBadArgument);
    EXPECT_NE(size.error().detail.find("'" + text + "'"), std::string::npos) << text;
  }
}

TEST(Units, ShownSizesAreShortAndReadBackWithinThreeDigits) {
  EXPECT_EQ(format_size(0), "0B");
  EXPECT_EQ(format_size(1023), "1023B");
  EXPECT_EQ(format_size(1024), "1KiB");
  EXPECT_EQ(format_size(1536), "1.5KiB");
  EXPECT_EQ(format_size(64ull << 20), "64MiB");
  EXPECT_EQ(format_size((1ull << 20) - 1), "1MiB");
  rc::check("a size reads back within a tenth of its unit", [](std::uint64_t bytes) {
    const std::string shown = format_size(bytes);
    RC_ASSERT(shown.size() <= 10u);
    const auto back = parse_size(shown);
    RC_ASSERT(back.has_value());
    const double wrong = std::abs(static_cast<double>(*back) - static_cast<double>(bytes));
    RC_ASSERT(wrong <= static_cast<double>(bytes) * 0.051 + 0.5);
  });
}

TEST(Units, DurationsAddUp) {
  EXPECT_EQ(parse_duration_ms("500ms"), 500);
  EXPECT_EQ(parse_duration_ms("1h30m"), 5'400'000);
  EXPECT_EQ(parse_duration_ms("7d"), 604'800'000);
  EXPECT_EQ(parse_duration_ms("0s"), 0);
  for (const char* text : {"", "5", "h", "1x", "-1s", "1h30", "999999999999d", "1.5s"})
    EXPECT_FALSE(parse_duration_ms(text)) << text;
}

TEST(Units, ShownDurationsAreForPeople) {
  EXPECT_EQ(format_duration(0), "0s");
  EXPECT_EQ(format_duration(37), "37ms");
  EXPECT_EQ(format_duration(4'250), "4.2s");
  EXPECT_EQ(format_duration(192'000), "3m12s");
  EXPECT_EQ(format_duration(18'420'000), "5h07m");
  EXPECT_EQ(format_duration(12 * 86'400'000ll + 3 * 3'600'000), "12d03h");
  EXPECT_EQ(format_duration(-37), "-37ms");
}

TEST(Units, TimesAreRfc3339UnixOrBeforeNow) {
  for (const char* text :
       {"2026-01-31T09:05:00.250Z", "2026-01-31T10:05:00.25+01:00", "2026-01-31 09:05:00.250",
        "2026-01-31t04:05:00.2509-05:00", "1769850300250", "-0s"})
    EXPECT_EQ(parse_time(text, kNow), kNow) << text;
  EXPECT_EQ(parse_time("-1h", kNow), kNow - 3'600'000);
  EXPECT_EQ(parse_time("2026-01-31", kNow), kNow - 32'700'250);
  EXPECT_EQ(parse_time("2026-01-31T09:05", kNow), kNow - 250);
  EXPECT_EQ(parse_time("1970-01-01T00:00:00Z", kNow), 0);
  EXPECT_EQ(parse_time("2016-12-31T23:59:60Z", kNow), 1483228799000);
}

TEST(Units, ATimeThatDoesNotExistIsRefused) {
  for (const char* text :
       {"", "now", "2026-02-29", "2026-13-01", "2026-00-10", "2026-1-1", "2026-01-31T24:00:00Z",
        "2026-01-31T09:05:00.Z", "2026-01-31T", "2026-01-31T09:05:00+1:00", "2026-01-31T09:05:00Zx",
        "-", "-1", "-99999d", "99999999999999999999"})
    EXPECT_FALSE(parse_time(text, kNow)) << text;
}

TEST(Units, AShownTimeReadsBackExactly) {
  EXPECT_EQ(format_time(kNow), "2026-01-31T09:05:00.250Z");
  rc::check("parse_time undoes format_time", [] {
    const auto ms = *rc::gen::inRange<UnixMillis>(-62'167'219'200'000, 253'402'300'799'999);
    RC_ASSERT(parse_time(format_time(ms), kNow).value_or(ms + 1) == ms);
  });
}

TEST(Units, ParsersTakeAnyTextWithoutFailingOtherwise) {
  rc::check([](const std::string& text) {
    (void)parse_size(text);
    (void)parse_duration_ms(text);
    (void)parse_time(text, kNow);
  });
}

}  // namespace
}  // namespace mallbots::client::cli
