#include "shm/segment/footer.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>

namespace mallbots::shm {
namespace {

SegmentHeader sample_header() {
  SegmentHeader header{};
  header.log_epoch = 2;
  header.topic_id = 0x1111;
  header.partition_id = 0x2222;
  header.number = 7;
  header.base_offset = 1000;
  header.base_timestamp_ms = 5;
  header.predecessor = 6;
  header.predecessor_end = 8192;
  header.predecessor_end_offset = 1000;
  header.write_limit_bytes = 1 << 20;
  return header;
}

SegmentFooter sample_footer() {
  SegmentFooter footer;
  footer.trailer.partition_id = 0x2222;
  footer.trailer.number = 7;
  footer.trailer.base_offset = 1000;
  footer.trailer.end_offset = 1300;
  footer.runs = {{4096, 9000, 1000, 3}, {12288, 20000, 1200, 4}};
  footer.index = {{1000, 4096, 10}, {1100, 7000, 20}, {1200, 12288, 30}};
  return footer;
}

TEST(SegmentHeader, ComesBackAsItWasWrittenInOneBlock) {
  const auto block = encode_segment_header(sample_header());
  ASSERT_EQ(block.size(), kBlockBytes);
  const auto header = parse_segment_header(block);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->number, 7U);
  EXPECT_EQ(header->predecessor_end, 8192U);
  EXPECT_EQ(header->version, kSegmentVersion);
  EXPECT_FALSE(is_unborn(block));
}

TEST(SegmentHeader, EveryFlippedBitIsSeen) {
  const auto block = encode_segment_header(sample_header());
  for (std::size_t bit = 0; bit < sizeof(SegmentHeader) * 8; ++bit) {
    auto damaged = block;
    damaged[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    const auto header = parse_segment_header(damaged);
    ASSERT_FALSE(header) << bit;
    EXPECT_EQ(header.error().code, ErrorCode::kCorrupt) << "a flipped bit is no other version";
  }
}

TEST(SegmentHeader, AnotherVersionIsNamed) {
  auto block = encode_segment_header(sample_header());
  SegmentHeader header;
  std::memcpy(&header, block.data(), sizeof(header));
  header.version = 99;
  header.check = xxh3(&header, offsetof(SegmentHeader, check));
  std::memcpy(block.data(), &header, sizeof(header));
  EXPECT_EQ(parse_segment_header(block).error().code, ErrorCode::kWrongVersion);
}

TEST(SegmentHeader, ShortAndZeroBlocksAreNoHeader) {
  const std::vector<std::byte> zeros(kBlockBytes);
  EXPECT_TRUE(is_unborn(zeros));
  EXPECT_FALSE(parse_segment_header(zeros));
  EXPECT_FALSE(parse_segment_header(std::span(zeros).first(10)));
  EXPECT_FALSE(parse_segment_header({}));
}

TEST(SegmentFooter, ComesBackAsItWasWritten) {
  const auto bytes = encode_footer(sample_footer());
  EXPECT_EQ(bytes.size() % kBlockBytes, 0U);
  const auto trailer = parse_trailer(std::span(bytes).last(kBlockBytes), 1 << 20);
  ASSERT_TRUE(trailer);
  EXPECT_EQ(trailer->footer_bytes, bytes.size());
  const auto footer = parse_footer(bytes);
  ASSERT_TRUE(footer);
  EXPECT_EQ(footer->runs.size(), 2U);
  EXPECT_EQ(footer->index.size(), 3U);
  EXPECT_EQ(footer->index[1].byte, 7000U);
}

TEST(SegmentFooter, EveryFlippedBitIsSeen) {
  const auto whole = encode_footer(sample_footer());
  for (std::size_t bit = 0; bit < whole.size() * 8; bit += 3) {
    auto bytes = whole;
    bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    ASSERT_FALSE(parse_footer(bytes)) << bit;
  }
}

RC_GTEST_PROP(SegmentFooter, AnyBytesAreParsedWithoutHarm, (std::vector<std::uint8_t> noise)) {
  auto bytes = encode_footer(sample_footer());
  for (std::size_t i = 0; i < noise.size() && i < bytes.size(); ++i) {
    bytes[bytes.size() - 1 - i] ^= static_cast<std::byte>(noise[i]);
  }
  (void)parse_footer(bytes);
  // Counts that lie, under a check that holds.
  SegmentTrailer trailer;
  std::memcpy(&trailer, bytes.data() + bytes.size() - sizeof(trailer), sizeof(trailer));
  trailer.magic = kTrailerMagic;
  trailer.version = kSegmentVersion;
  trailer.runs = *rc::gen::arbitrary<std::uint32_t>();
  trailer.index_entries = *rc::gen::arbitrary<std::uint32_t>();
  trailer.check = xxh3(&trailer, offsetof(SegmentTrailer, check));
  std::memcpy(bytes.data() + bytes.size() - sizeof(trailer), &trailer, sizeof(trailer));
  (void)parse_footer(bytes);
}

TEST(SegmentFooter, SeeksToTheEntryAtOrBefore) {
  const SegmentFooter footer = sample_footer();
  EXPECT_EQ(seek_offset(footer, 999).byte, 4096U);
  EXPECT_EQ(seek_offset(footer, 1000).byte, 4096U);
  EXPECT_EQ(seek_offset(footer, 1099).byte, 4096U);
  EXPECT_EQ(seek_offset(footer, 1100).byte, 7000U);
  EXPECT_EQ(seek_offset(footer, 5000).byte, 12288U);
  EXPECT_EQ(seek_time(footer, 10).byte, 4096U);
  EXPECT_EQ(seek_time(footer, 20).byte, 4096U) << "the record that reached 20 may lie before it";
  EXPECT_EQ(seek_time(footer, 21).byte, 7000U);
  EXPECT_EQ(seek_time(footer, 100).byte, 12288U);
}

}  // namespace
}  // namespace mallbots::shm
