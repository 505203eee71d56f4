#include "broker/storage/epoch_log.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/broker/storage/store_fixture.h"

namespace mallbots::test {
namespace {

using broker::EpochLog;
constexpr PartitionId kP{1};
constexpr PartitionId kQ{2};

class Epochs : public testing::Test {
 protected:
  TempDir dir;
  std::string path = dir / "epochs";
  std::unique_ptr<broker::Disk> disk = plain_disk(broker::EngineChoice::kThread);
  EpochLog load() { return EpochLog::load(*disk, path).value(); }
  static Result<void> raise(EpochLog& log, broker::Disk& disk, Offset p, Offset q) {
    const std::pair<PartitionId, Offset> firsts[] = {{kP, p}, {kQ, q}};
    return log.raise(disk, 0, firsts);
  }
};

TEST_F(Epochs, BeginsAtOneAndRisesWithEveryUncleanStart) {
  auto log = load();
  EXPECT_EQ(log.current(), 1U);
  ASSERT_TRUE(raise(log, *disk, 10, 20));
  EXPECT_EQ(log.current(), 2U);
  EXPECT_EQ(load().current(), 2U);
  ASSERT_TRUE(log.raise(*disk, 9, {}));
  EXPECT_EQ(load().current(), 10U) << "above every epoch seen in a segment";
}

TEST_F(Epochs, APositionAboveALaterEpochsFirstOffsetIsTruncated) {
  auto log = load();
  ASSERT_TRUE(raise(log, *disk, 10, 20));
  const auto check = [&](const EpochLog& one) {
    EXPECT_EQ(one.truncated_to(kP, {1, 11}), Offset{10});
    EXPECT_EQ(one.truncated_to(kP, {1, 10}), std::nullopt);
    EXPECT_EQ(one.truncated_to(kP, {2, 11}), std::nullopt) << "of the new epoch";
    EXPECT_EQ(one.truncated_to(kQ, {1, 11}), std::nullopt);
    EXPECT_EQ(one.truncated_to(PartitionId{3}, {1, 99}), std::nullopt);
  };
  check(log);
  check(load());
}

TEST_F(Epochs, TheSmallestLaterFirstOffsetCounts) {
  auto log = load();
  ASSERT_TRUE(raise(log, *disk, 10, 0));
  ASSERT_TRUE(raise(log, *disk, 30, 0));
  ASSERT_TRUE(raise(log, *disk, 20, 0));
  EXPECT_EQ(log.truncated_to(kP, {1, 25}), Offset{10});
  EXPECT_EQ(log.truncated_to(kP, {2, 25}), Offset{20});
  EXPECT_EQ(log.truncated_to(kP, {3, 25}), Offset{20});
  EXPECT_EQ(log.truncated_to(kP, {4, 25}), std::nullopt);
}

TEST_F(Epochs, ADamagedFileIsCorruptNotEpochOne) {
  auto log = load();
  ASSERT_TRUE(raise(log, *disk, 10, 20));
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(20);
  file.put('!');
  file.close();
  const auto damaged = EpochLog::load(*disk, path);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::kCorrupt);
}

TEST_F(Epochs, ManyUncleanStartsDoNotGrowTheFileForEver) {
  auto log = load();
  for (Offset i = 0; i < 600; ++i) ASSERT_TRUE(raise(log, *disk, i, 5));
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  EXPECT_LT(file.tellg(), 8192);
  EXPECT_EQ(load().truncated_to(kP, {600, 5000}), Offset{599});
}

}  // namespace
}  // namespace mallbots::test
