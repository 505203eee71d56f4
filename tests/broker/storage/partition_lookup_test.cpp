#include <gtest/gtest.h>

#include <fstream>

#include "broker/storage/partition_store.h"
#include "tests/broker/storage/store_fixture.h"

namespace mallbots::test {
namespace {

class PartitionLookup : public testing::Test {
 protected:
  TempDir dir;
  std::unique_ptr<broker::Disk> inner = plain_disk(broker::EngineChoice::kUring);
  broker::Disk& disk = *inner;
};

TEST_F(PartitionLookup, FindsSegmentsByOffsetAndTime) {
  StoreBench bench(disk, dir / "p");
  bench.open();
  FakePartition partition(64 << 10);
  // Stamps that step back: the running maximum counts.
  for (Offset i = 0; i < 300; ++i) {
    partition.append({2000}, static_cast<UnixMillis>(1000 + i * 10 - (i % 7 == 0 ? 500 : 0)));
  }
  bench.drain(partition);
  for (Offset offset = 0; offset < 300; offset += 11) {
    const auto* segment = bench.store->locate(offset);
    ASSERT_NE(segment, nullptr);
    EXPECT_LE(segment->base_offset, offset);
    EXPECT_LT(offset, segment->end_offset);
    const auto from = bench.store->seek_offset(*segment, offset);
    ASSERT_TRUE(from);
    EXPECT_LE(from->offset, offset);
  }
  EXPECT_EQ(bench.store->locate(300), nullptr);
  Offset expected = 0;
  UnixMillis maximum = 0;
  for (Offset i = 0; i < 300; ++i) {
    maximum = std::max(maximum, static_cast<UnixMillis>(1000 + i * 10 - (i % 7 == 0 ? 500 : 0)));
    if (i % 13 != 0) continue;
    for (expected = 0;; ++expected) {
      const auto stamp =
          static_cast<UnixMillis>(1000 + expected * 10 - (expected % 7 == 0 ? 500 : 0));
      if (stamp >= maximum) break;
    }
    EXPECT_EQ(bench.store->offset_at_time(maximum).value(), expected);
  }
  EXPECT_EQ(bench.store->offset_at_time(1'000'000).value(), kNoOffset);
  EXPECT_EQ(bench.store->offset_at_time(0).value(), 0U);
  bench.close();
}

TEST_F(PartitionLookup, ADamagedFooterCostsTheIndexAndNoRecord) {
  StoreBench bench(disk, dir / "p");
  bench.open();
  FakePartition partition(64 << 10);
  for (int i = 0; i < 300; ++i) partition.append({1000}, 1000 + i);
  bench.drain(partition);
  bench.close();
  const broker::SegmentInfo& segment = bench.store->segments().front();
  ASSERT_GT(bench.store->seek_offset(segment, 60)->offset, segment.base_offset);
  const std::string path = dir / "p/" + broker::segment_file_name(segment.number);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(path) - shm::kBlockBytes + 40));
  file.put('x');
  file.close();
  const auto from = bench.store->seek_offset(segment, 60);
  ASSERT_TRUE(from) << from.error().sentence();
  EXPECT_EQ(from->offset, segment.base_offset);
  EXPECT_EQ(from->byte, shm::kBlockBytes);
  EXPECT_EQ(bench.store->offset_at_time(1060).value(), 60U);
}

TEST_F(PartitionLookup, DropsTheOldestAndKeepsTheRest) {
  StoreBench bench(disk, dir / "p");
  bench.open();
  FakePartition partition(64 << 10);
  for (int i = 0; i < 300; ++i) partition.append({3000});
  bench.drain(partition);
  bench.close();
  const auto before = bench.store->segments().size();
  ASSERT_GT(before, 3U);
  const Offset start = bench.store->segments()[2].base_offset;
  ASSERT_TRUE(bench.store->drop_oldest(2));
  EXPECT_EQ(bench.store->segments().size(), before - 2);
  EXPECT_EQ(bench.store->start_offset(), start);
  EXPECT_EQ(bench.store->locate(0), nullptr);
  const auto recovered = bench.recover();
  EXPECT_EQ(recovered.start_offset, start);
  EXPECT_EQ(recovered.end.offset, 300U);
  EXPECT_TRUE(recovered.findings.empty());
}

}  // namespace
}  // namespace mallbots::test
