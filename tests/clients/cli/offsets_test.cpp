#include "clients/cli/offsets.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>

namespace mallbots::client::cli {
namespace {

constexpr UnixMillis kNow = 1'769'850'300'250;
using Start = StartPoint::Kind;
using Seek = SeekPoint::Kind;

TEST(Offsets, EveryFormOfAStartPoint) {
  EXPECT_EQ(parse_start_point("start", kNow), StartPoint{Start::kStart});
  EXPECT_EQ(parse_start_point("end", kNow), StartPoint{Start::kEnd});
  EXPECT_EQ(parse_start_point("0", kNow), (StartPoint{Start::kOffset, 0}));
  EXPECT_EQ(parse_start_point("-10", kNow), (StartPoint{Start::kBack, 10}));
  EXPECT_EQ(parse_start_point("100:200", kNow), (StartPoint{Start::kRange, 100, 200}));
  EXPECT_EQ(parse_start_point("7:7", kNow), (StartPoint{Start::kRange, 7, 7}));
  EXPECT_EQ(parse_start_point("@-1h", kNow),
            (StartPoint{Start::kTime, 0, kNoOffset, kNow - 3'600'000}));
  EXPECT_EQ(parse_start_point("@2026-01-31T09:05:00.250Z", kNow),
            (StartPoint{Start::kTime, 0, kNoOffset, kNow}));
}

TEST(Offsets, AnythingElseIsRefusedAndNamed) {
  for (const std::string text : {"", "begin", "Start", "+5", "--5", "-", "5:", ":5", "9:5", "5-9",
                                 "1 ", "1:2:3", "@", "@never", "18446744073709551615"}) {
    const auto point = parse_start_point(text, kNow);
    ASSERT_FALSE(point) << text;
    EXPECT_EQ(point.error().code, ErrorCode::kBadArgument) << text;
  }
}

TEST(Offsets, EveryFormOfASeekPoint) {
  EXPECT_EQ(parse_seek_point("start", kNow), SeekPoint{Seek::kStart});
  EXPECT_EQ(parse_seek_point("end", kNow), SeekPoint{Seek::kEnd});
  EXPECT_EQ(parse_seek_point("@0", kNow), (SeekPoint{Seek::kTime, 0}));
  EXPECT_EQ(parse_seek_point("+5", kNow), (SeekPoint{Seek::kForward, 5}));
  EXPECT_EQ(parse_seek_point("-5", kNow), (SeekPoint{Seek::kBackward, 5}));
  for (const char* text : {"", "5", "+", "-x", "+-5", "@", "1:2", "+9223372036854775808"})
    EXPECT_FALSE(parse_seek_point(text, kNow)) << text;
}

TEST(Offsets, ParsersTakeAnyText) {
  rc::check([](const std::string& text) {
    (void)parse_start_point(text, kNow);
    (void)parse_seek_point(text, kNow);
  });
  rc::check("a range reads back", [](std::uint32_t from, std::uint32_t size) {
    const Offset until = Offset{from} + size;
    const auto point = parse_start_point(std::to_string(from) + ":" + std::to_string(until), kNow);
    RC_ASSERT(point.has_value());
    RC_ASSERT((*point == StartPoint{Start::kRange, from, until}));
  });
}

}  // namespace
}  // namespace mallbots::client::cli
