#include "clients/cli/verify.h"

#include <gtest/gtest.h>

#include "tests/clients/cli/segment_maker.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace mallbots::client::cli {
namespace {

using test::SegmentMaker;

class VerifyTest : public testing::Test {
 protected:
  VerifyTest() {
    test::write_file(dir_ / "MALLBOTS", {});
    test::write_file(segment(2), segment_of(2).closed());
    test::write_file(segment(10), segment_of(10).closed());
  }
  static SegmentMaker segment_of(int partition) {
    SegmentMaker maker;
    for (int i = 0; i < partition; ++i) maker.add("k", "value");
    return maker;
  }
  std::string segment(int partition) {
    return dir_ / ("topics/4be1/" + std::to_string(partition) + "/0000000001.seg");
  }
  test::TempDir dir_;
};

TEST_F(VerifyTest, ReadsEverySegmentInOrder) {
  const auto files = verify({dir_.path(), true});
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].partition, "2");
  EXPECT_EQ((*files)[1].partition, "10");
  EXPECT_EQ((*files)[1].records, 10u);
  EXPECT_EQ((*files)[1].state, "ok");
}

TEST_F(VerifyTest, DamageNamesPlaceAndOffsetsAndTheRestIsRead) {
  std::vector<std::byte> bytes = segment_of(10).closed();
  bytes[4096 + 3 * 80 + 69] ^= std::byte{4};
  test::write_file(segment(10), bytes);
  test::write_file(dir_ / "topics/4be1/11/0000000001.seg",
                   std::vector<std::byte>(5000, std::byte{1}));
  const auto files = verify({dir_.path(), true});
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 3u);
  EXPECT_FALSE((*files)[0].damaged);
  EXPECT_TRUE((*files)[1].damaged);
  EXPECT_NE((*files)[1].state.find("offsets 3 to 3 lost"), std::string::npos) << (*files)[1].state;
  EXPECT_EQ((*files)[1].records, 9u);
  EXPECT_TRUE((*files)[2].damaged);
}

TEST_F(VerifyTest, ADirectoryWithoutMarkerIsRefused) {
  const test::TempDir other;
  EXPECT_EQ(verify({other.path(), false}).error().code, ErrorCode::kNoMarker);
  EXPECT_EQ(verify({other / "none", false}).error().code, ErrorCode::kIo);
}

TEST_F(VerifyTest, TheCommandEndsWithSixOnDamageOnly) {
  const std::vector<std::string> line = {test::binary("mallbots"), "verify", "--deep", "--data-dir",
                                         dir_.path()};
  const auto whole = test::run(line);
  EXPECT_EQ(whole.ended.exit_code, 0) << whole.errors;
  EXPECT_EQ(whole.output.substr(0, 23), "2 segments, 12 records,");
  std::vector<std::byte> bytes = segment_of(2).closed();
  bytes[4096 + 69] ^= std::byte{4};
  test::write_file(segment(2), bytes);
  const auto damaged = test::run(line);
  EXPECT_EQ(damaged.ended.exit_code, 6);
  EXPECT_NE(damaged.output.find("0000000001.seg"), std::string::npos);
}

}  // namespace
}  // namespace mallbots::client::cli
