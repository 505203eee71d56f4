#include "broker/storage/spare_pool.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/broker/storage/store_fixture.h"
#include "tests/support/faulty_disk.h"

namespace mallbots::test {
namespace {

class Spares : public testing::Test {
 protected:
  std::unique_ptr<broker::SparePool> open(BootNanos retry_ns = 1) {
    return std::move(broker::SparePool::open(disk, {.folder = folder,
                                                    .files = 2,
                                                    .zero_bytes = 3 << 20,
                                                    .retry_first_ns = retry_ns,
                                                    .retry_last_ns = retry_ns})
                         .value());
  }
  TempDir dir;
  std::string folder = dir / "spares";
  std::unique_ptr<broker::Disk> inner = plain_disk(broker::EngineChoice::kUring);
  FaultyDisk disk{*inner};
};

TEST_F(Spares, AreMadeAheadAndTakenByRenaming) {
  auto pool = open();
  while (pool->ready() < 2) {
    pool->refill();
    settle(disk);
  }
  pool->refill();
  EXPECT_TRUE(pool->idle()) << "full is full";
  auto taken = pool->take(dir / "segment");
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->zero_bytes, 3U << 20);
  EXPECT_EQ(taken->file.path(), dir / "segment");
  EXPECT_EQ(std::filesystem::file_size(dir / "segment"), 3U << 20);
  EXPECT_EQ(pool->ready(), 1U);
}

TEST_F(Spares, AnEmptyPoolMakesAFileOnTheSpot) {
  auto pool = open();
  auto taken = pool->take(dir / "segment");
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->zero_bytes, 0U);
  EXPECT_TRUE(taken->file);
}

TEST_F(Spares, AStartRemovesWhatALifeBeforeLeft) {
  std::filesystem::create_directory(folder);
  std::ofstream(folder + "/spare-0") << "half made";
  auto pool = open();
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  EXPECT_EQ(pool->ready(), 0U);
}

TEST_F(Spares, AFullDiskLeavesNoRubbish) {
  auto pool = open();
  disk.add({Fault::kWrites, 1, ~0ULL, Fault::kError, ENOSPC});
  pool->refill();
  settle(disk);
  EXPECT_EQ(pool->ready(), 0U);
  EXPECT_TRUE(pool->idle());
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  disk.clear_faults();
  while (pool->ready() == 0) {
    pool->refill();
    settle(disk);
  }
}

TEST_F(Spares, AFailureIsNotTriedAgainAtOnce) {
  auto pool = open(3600 * kSecond);
  disk.add({Fault::kWrites, 1, ~0ULL, Fault::kError, ENOSPC});
  pool->refill();
  settle(disk);
  for (int i = 0; i < 100; ++i) pool->refill();
  EXPECT_TRUE(pool->idle());
  EXPECT_EQ(disk.writes(), 1U);
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

}  // namespace
}  // namespace mallbots::test
