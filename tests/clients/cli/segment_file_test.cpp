#include "clients/cli/segment_file.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/clients/cli/segment_maker.h"
#include "tests/support/temp_dir.h"

namespace mallbots::client::cli {
namespace {

using test::SegmentMaker;

class SegmentFileTest : public testing::Test {
 protected:
  SegmentFindings scan(const std::vector<std::byte>& bytes,
                       shm::BodyCheck body = shm::BodyCheck::kVerify) {
    const std::string path = dir_ / "0000000001.seg";
    test::write_file(path, bytes);
    const auto file = open_segment(path);
    EXPECT_TRUE(file) << file.error().sentence();
    const auto findings = scan_segment(*file, body, {});
    EXPECT_TRUE(findings);
    return *findings;
  }
  SegmentMaker hundred() {
    SegmentMaker maker;
    for (int i = 0; i < 100; ++i) maker.add("key" + std::to_string(i), std::string(40, 'p'));
    return maker;
  }
  test::TempDir dir_;
};

TEST_F(SegmentFileTest, AWholeClosedSegmentIsFoundWhole) {
  const SegmentFindings findings = scan(hundred().closed());
  EXPECT_FALSE(findings.damaged());
  EXPECT_EQ(findings.records, 100u);
  EXPECT_EQ(findings.end_offset, 100u);
  EXPECT_FALSE(findings.torn_at);
}

TEST_F(SegmentFileTest, AnOpenSegmentIsReadUpToWhatIsWhole) {
  SegmentMaker maker = hundred();
  const std::uint64_t last = maker.add("k", std::string(600, 'x'));
  std::vector<std::byte> bytes = maker.open();
  EXPECT_FALSE(scan(bytes).damaged());
  EXPECT_EQ(scan(bytes).records, 101u);
  bytes.resize(last + 80);
  const SegmentFindings torn = scan(bytes);
  EXPECT_FALSE(torn.damaged());
  EXPECT_EQ(torn.records, 100u);
  EXPECT_EQ(torn.torn_at, last);
}

TEST_F(SegmentFileTest, WhatTheNextSegmentsHeaderCoversMustBeWhole) {
  SegmentMaker maker = hundred();
  const std::uint64_t last = maker.add("k", "v");
  std::vector<std::byte> bytes = maker.open();
  bytes[last + 8] ^= std::byte{1};
  SegmentMaker next{2, 101};
  next.header().predecessor = 1;
  next.header().predecessor_end = maker.trailer().data_end;
  next.header().predecessor_end_offset = 101;
  test::write_file(dir_ / "0000000002.seg", next.open());
  EXPECT_TRUE(scan(bytes).damaged());
}

TEST_F(SegmentFileTest, OneFlippedBitAnywhereInTheRecordsIsFound) {
  const SegmentMaker maker = hundred();
  const std::vector<std::byte> whole = maker.closed();
  const std::uint64_t data_end = SegmentMaker{maker}.trailer().data_end;
  std::mt19937_64 random{20261121};
  for (int i = 0; i < 300; ++i) {
    std::vector<std::byte> bytes = whole;
    const std::uint64_t at = shm::kBlockBytes + random() % (data_end - shm::kBlockBytes);
    bytes[at] ^= std::byte{static_cast<unsigned char>(1 << random() % 8)};
    const SegmentFindings findings = scan(bytes);
    EXPECT_TRUE(findings.damaged()) << at;
    EXPECT_GE(findings.records, 98u) << at;
  }
}

TEST_F(SegmentFileTest, OneFlippedBitBesideTheRecordsIsFoundAndNoRecordIsLost) {
  const SegmentMaker maker = hundred();
  const std::vector<std::byte> whole = maker.closed();
  const std::uint64_t data_end = SegmentMaker{maker}.trailer().data_end;
  // The rest of the header block, the gap before the footer, and the trailer's magic number.
  for (const std::uint64_t at : {std::uint64_t{1000}, shm::kBlockBytes - 1, data_end, data_end + 99,
                                 whole.size() - sizeof(shm::SegmentTrailer) + 3}) {
    std::vector<std::byte> bytes = whole;
    bytes[at] ^= std::byte{16};
    const SegmentFindings findings = scan(bytes);
    EXPECT_TRUE(findings.damaged()) << at;
    EXPECT_EQ(findings.records, 100u) << at;
    EXPECT_TRUE(findings.damages.empty()) << at;
  }
}

TEST_F(SegmentFileTest, PayloadsCountOnlyWhenAskedFor) {
  SegmentMaker maker = hundred();
  const std::uint64_t byte = maker.add("key", "payload");
  std::vector<std::byte> bytes = maker.closed();
  bytes[byte + 64 + 5] ^= std::byte{1};
  EXPECT_FALSE(scan(bytes, shm::BodyCheck::kSkip).damaged());
  const SegmentFindings deep = scan(bytes);
  ASSERT_EQ(deep.damages.size(), 1u);
  EXPECT_EQ(deep.damages[0].first_offset, 100u);
  EXPECT_EQ(deep.damages[0].end_offset, 101u);
  EXPECT_EQ(deep.damages[0].fault, shm::RecordFault::kBodyHash);
}

TEST_F(SegmentFileTest, AFooterThatDisagreesWithTheRecordsIsFound) {
  SegmentMaker wrong_index = hundred();
  wrong_index.index()[50].offset += 1;
  EXPECT_TRUE(scan(wrong_index.closed()).damaged());
  SegmentMaker nowhere = hundred();
  nowhere.index()[50].byte += 16;
  EXPECT_TRUE(scan(nowhere.closed()).damaged());
  SegmentMaker wrong_count = hundred();
  wrong_count.trailer().records = 99;
  EXPECT_TRUE(scan(wrong_count.closed()).damaged());
  SegmentMaker wrong_end = hundred();
  wrong_end.trailer().end_offset = 101;
  EXPECT_TRUE(scan(wrong_end.closed()).damaged());
}

TEST_F(SegmentFileTest, ADamagedFooterIsAFindingAndTheRecordsAreStillRead) {
  std::vector<std::byte> bytes = hundred().closed();
  bytes[bytes.size() - 20] ^= std::byte{1};
  const SegmentFindings findings = scan(bytes);
  EXPECT_TRUE(findings.damaged());
  EXPECT_EQ(findings.records, 100u);
}

TEST_F(SegmentFileTest, RecordsLargerThanTheWindowAreRead) {
  SegmentMaker maker;
  maker.add("small", "x");
  maker.add("large", std::string(9 << 20, 'x'));
  maker.add("small", "x");
  const SegmentFindings findings = scan(maker.closed());
  EXPECT_FALSE(findings.damaged());
  EXPECT_EQ(findings.records, 3u);
}

TEST_F(SegmentFileTest, WhatIsNoSegmentIsRefusedByName) {
  test::write_file(dir_ / "x.seg", std::vector<std::byte>(4096, std::byte{7}));
  EXPECT_EQ(open_segment(dir_ / "x.seg").error().code, ErrorCode::kCorrupt);
  test::write_file(dir_ / "short.seg", std::vector<std::byte>(10, std::byte{7}));
  EXPECT_EQ(open_segment(dir_ / "short.seg").error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(open_segment(dir_ / "none.seg").error().code, ErrorCode::kIo);
  EXPECT_EQ(open_segment(dir_.path()).error().code, ErrorCode::kIo);
  test::write_file(dir_ / "spare.seg", std::vector<std::byte>(8192));
  EXPECT_TRUE(open_segment(dir_ / "spare.seg")->unborn);
  test::write_file(dir_ / "empty.seg", {});
  EXPECT_TRUE(open_segment(dir_ / "empty.seg")->unborn);
  std::vector<std::byte> used(2 * shm::kBlockBytes);
  used[shm::kBlockBytes] = std::byte{1};
  test::write_file(dir_ / "used.seg", used);
  EXPECT_EQ(open_segment(dir_ / "used.seg").error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace mallbots::client::cli
