#include "broker/storage/slot_scan.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/broker/storage/store_fixture.h"

namespace mallbots::test {
namespace {

using broker::scan_slot;
using broker::SlotScan;
using broker::SlotScanRequest;

SlotScanRequest request_of(FakePartition& partition, bool sealed = false) {
  auto& slot = partition.open();
  SlotScanRequest request;
  request.slot_data = slot.data.span();
  request.to_units = slot.units;
  request.sealed = sealed;
  request.end_offset = partition.next();
  request.seed = partition.seed();
  request.now_ms = 1'000'000;
  return request;
}

/// What the patches say, laid beside the good records: offsets dense from 0 to `end`.
void expect_dense(const SlotScan& scan, Offset end) {
  EXPECT_TRUE(scan.complete);
  EXPECT_EQ(scan.end_offset, end);
  std::uint64_t patched = 0;
  for (const auto& patch : scan.patches) {
    EXPECT_LE(patch.first_offset, patch.end_offset);
    EXPECT_GE(patch.to_units - patch.from_units, 4U) << "room for a header";
    patched += patch.end_offset - patch.first_offset;
  }
  EXPECT_EQ(scan.records + patched, end);
}

TEST(SlotScan, TakesWholeBatchesAndCountsThem) {
  FakePartition partition(64 << 10);
  partition.append({10, 20, 30}, 500);
  partition.append({40}, 2'000'000);
  const SlotScan scan = scan_slot(request_of(partition));
  expect_dense(scan, 4);
  EXPECT_EQ(scan.records, 4U);
  EXPECT_EQ(scan.min_timestamp_ms, 500);
  EXPECT_EQ(scan.running_max_ms, 2'000'000);
  EXPECT_EQ(scan.future_stamps, 1U);
  ASSERT_EQ(scan.index.size(), 1U);
  EXPECT_EQ(scan.index[0].offset, 0U);
}

TEST(SlotScan, StopsBehindTheBatchThatReachesTheLimit) {
  FakePartition partition(64 << 10);
  for (int i = 0; i < 10; ++i) partition.append({900, 900});
  auto request = request_of(partition);
  request.max_bytes = 3000;
  const SlotScan scan = scan_slot(request);
  EXPECT_FALSE(scan.complete);
  EXPECT_EQ(scan.end_offset, 4U);
  request.from_units = scan.to_units;
  request.expected = scan.end_offset;
  request.max_bytes = ~0ULL;
  EXPECT_EQ(scan_slot(request).end_offset, 20U);
}

TEST(SlotScan, AnOpenSlotStopsBeforeTheBatchOfTheBadRecord) {
  FakePartition partition(64 << 10);
  partition.append({100});
  const auto good_end = partition.open().units;
  partition.append({100, 100});
  partition.append({100});
  partition.open().data.data()[partition.open().units * 16 - 170 - 176] ^= std::byte{4};
  const SlotScan scan = scan_slot(request_of(partition));
  EXPECT_EQ(scan.to_units, good_end);
  EXPECT_EQ(scan.end_offset, 1U);
  EXPECT_EQ(scan.records, 1U);
  ASSERT_TRUE(scan.bad);
  EXPECT_FALSE(scan.complete);
}

TEST(SlotScan, ABatchWithoutItsEndIsNotTakenAndIsOneDamageWhenSealed) {
  FakePartition partition(64 << 10);
  partition.append({100});
  const auto good_end = partition.open().units;
  partition.append({100, 100});
  // The writer forgot the flag of the last record.
  auto* last = partition.open().data.data() + (good_end + 11) * 16;
  shm::RecordHeader header;
  std::memcpy(&header, last, sizeof(header));
  header.flags &= static_cast<std::uint8_t>(~shm::kLastOfBatch);
  header.header_check = shm::header_check(header, partition.seed());
  std::memcpy(last, &header, sizeof(header));
  const SlotScan open = scan_slot(request_of(partition));
  EXPECT_EQ(open.to_units, good_end);
  EXPECT_TRUE(open.bad);
  const SlotScan sealed = scan_slot(request_of(partition, true));
  expect_dense(sealed, 3);
  ASSERT_EQ(sealed.patches.size(), 1U);
  EXPECT_EQ(sealed.patches[0].from_units, good_end);
  EXPECT_EQ(sealed.patches[0].end_offset - sealed.patches[0].first_offset, 2U);
}

TEST(SlotScan, ASealThatCountsMoreOffsetsThanRecordsIsMadeUpFor) {
  FakePartition partition(64 << 10);
  partition.append({100});
  auto request = request_of(partition, true);
  request.end_offset = 5;
  const SlotScan scan = scan_slot(request);
  expect_dense(scan, 5);
  EXPECT_EQ(scan.to_units, request.to_units + 4) << "behind the tail";
}

TEST(SlotScan, AProducerMayNotWriteADamagedRecord) {
  FakePartition partition(64 << 10);
  partition.append({100});
  const auto lie = shm::damaged_header(64, 1, 1'000'000, partition.seed());
  auto& slot = partition.open();
  std::memcpy(slot.data.data() + slot.units * 16, &lie, sizeof(lie));
  slot.units += 4;
  const SlotScan scan = scan_slot(request_of(partition));
  EXPECT_TRUE(scan.bad);
  EXPECT_EQ(scan.end_offset, 1U);
}

RC_GTEST_PROP(SlotScan, AnyDamageToASealedSlotLeavesDenseOffsetsAndGoodRecordsOnly, ()) {
  FakePartition partition(64 << 10);
  const auto batches = *rc::gen::inRange(1, 12);
  for (int i = 0; i < batches; ++i) {
    std::vector<std::size_t> sizes(*rc::gen::inRange<std::size_t>(1, 4));
    for (auto& size : sizes) size = *rc::gen::inRange<std::size_t>(0, 600);
    partition.append(sizes);
  }
  auto& slot = partition.open();
  const auto hits = *rc::gen::inRange(0, 5);
  for (int i = 0; i < hits; ++i) {
    const auto at = *rc::gen::inRange<std::size_t>(0, slot.units * 16);
    const auto size = *rc::gen::inRange<std::size_t>(1, 200);
    for (std::size_t k = at; k < std::min<std::size_t>(at + size, slot.units * 16); ++k) {
      slot.data.data()[k] = *rc::gen::arbitrary<bool>() ? std::byte{0} : std::byte{0xA5};
    }
  }
  const SlotScan scan = scan_slot(request_of(partition, true));
  RC_ASSERT(scan.complete);
  RC_ASSERT(scan.end_offset == partition.next());
  std::uint64_t patched = 0;
  std::uint32_t at = 0;
  for (const auto& patch : scan.patches) {
    RC_ASSERT(patch.from_units >= at);
    RC_ASSERT(patch.to_units >= patch.from_units + 4);
    at = patch.to_units;
    patched += patch.end_offset - patch.first_offset;
  }
  RC_ASSERT(scan.records + patched == partition.next());
  RC_ASSERT(scan.to_units >= slot.units);
  for (const auto& entry : scan.index) {
    for (const auto& patch : scan.patches) {
      RC_ASSERT(entry.byte < std::uint64_t{patch.from_units} * 16 ||
                entry.byte >= std::uint64_t{patch.to_units} * 16);
    }
  }
}

}  // namespace
}  // namespace mallbots::test
