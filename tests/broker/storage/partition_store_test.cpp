#include "broker/storage/partition_store.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "broker/storage/retention.h"
#include "tests/broker/storage/store_fixture.h"
#include "tests/support/faulty_disk.h"

namespace mallbots::test {
namespace {

using broker::EngineChoice;
using broker::PersistVerdict;
using broker::SegmentState;
using broker::StoreHealth;

/// All records from 0 to `end`, each once, in order, whole.
void expect_all(const std::vector<ReadBack>& records, Offset end) {
  Offset next = 0;
  for (const ReadBack& record : records) {
    ASSERT_FALSE(record.damaged) << "at offset " << record.first;
    ASSERT_EQ(record.first, next);
    ASSERT_EQ(record.payload, payload_of(next, record.epoch, record.payload.size()));
    next = record.end;
  }
  EXPECT_EQ(next, end);
}

class PartitionStore : public testing::TestWithParam<EngineChoice> {
 protected:
  TempDir dir;
  std::unique_ptr<broker::Disk> inner = plain_disk(GetParam());
  FaultyDisk disk{*inner};
};
INSTANTIATE_TEST_SUITE_P(Engines, PartitionStore,
                         testing::Values(EngineChoice::kUring, EngineChoice::kThread),
                         [](const auto& info) {
                           return info.param == EngineChoice::kUring ? "Uring" : "Thread";
                         });

TEST_P(PartitionStore, WhatWasCheckedWhileARoundWasOnItsWayIsWrittenAsIfCheckedLater) {
  StoreBench plain(disk, dir / "plain");
  StoreBench ahead(disk, dir / "ahead");
  plain.open();
  ahead.open();
  FakePartition partition(64 << 10);
  FakePartition same(64 << 10);
  std::mt19937_64 dice(3);
  for (int i = 0; i < 600; ++i) {
    std::vector<std::size_t> sizes(1 + dice() % 5);
    for (auto& size : sizes) size = dice() % 3000;
    partition.append(sizes, i);
    same.append(sizes, i);
    ahead.store->check_ahead(same.ranges(ahead.store->cursor()));
    if (i % 7 != 0) continue;
    settle(disk);
    ASSERT_EQ(plain.store->persist(partition.ranges(plain.store->cursor())),
              ahead.store->persist(same.ranges(ahead.store->cursor())));
  }
  settle(disk);
  plain.drain(partition);
  ahead.drain(same);
  plain.close();
  ahead.close();
  expect_all(read_back(disk, ahead.folder, ahead.store->segments()), same.next());
  ASSERT_EQ(plain.store->segments().size(), ahead.store->segments().size());
  EXPECT_GT(ahead.store->segments().size(), 3U);
  for (const auto& segment : ahead.store->segments()) {
    const auto footer = [&](const StoreBench& bench) {
      return broker::read_footer(disk, bench.store->path_of(segment)).value();
    };
    const auto one = footer(plain);
    const auto two = footer(ahead);
    EXPECT_EQ(one.trailer.records, two.trailer.records);
    EXPECT_EQ(one.trailer.data_end, two.trailer.data_end);
    EXPECT_EQ(one.trailer.min_timestamp_ms, two.trailer.min_timestamp_ms);
    EXPECT_EQ(one.trailer.running_max_ms, two.trailer.running_max_ms);
  }
}

TEST_P(PartitionStore, DamageThatACheckAheadMeetsIsJudgedByTheNextRound) {
  StoreBench bench(disk, dir / "p");
  bench.open();
  FakePartition partition(64 << 10);
  partition.append({100});
  (void)bench.store->persist(partition.ranges(bench.store->cursor()));
  partition.append({100});
  const auto good = partition.open().units;
  partition.append({100});
  partition.open().data.data()[good * shm::kUnitBytes + 70] ^= std::byte{4};
  bench.store->check_ahead(partition.ranges(bench.store->cursor()));
  EXPECT_TRUE(bench.heard.blocked.empty()) << "it judges nothing itself";
  settle(disk);
  (void)bench.round(partition);
  EXPECT_EQ(bench.store->durable().offset, 2U);
  ASSERT_EQ(bench.heard.blocked.size(), 1U);
  EXPECT_EQ(bench.heard.blocked[0].from_units, good);
  partition.seal();
  bench.drain(partition);
  ASSERT_EQ(bench.heard.replaced.size(), 1U);
  EXPECT_EQ(bench.store->durable().offset, 3U);
}

TEST_P(PartitionStore, GivesBackWhatWasCommittedOverManySlotsAndSegments) {
  StoreBench bench(disk, dir / "p");
  bench.open();
  FakePartition partition(64 << 10);
  std::mt19937_64 dice(1);
  for (int i = 0; i < 400; ++i) {
    std::vector<std::size_t> sizes(1 + dice() % 5);
    for (auto& size : sizes) size = dice() % 3000;
    partition.append(sizes);
    if (i % 3 == 0) {
      bench.spares->refill();
      (void)bench.round(partition);
    }
  }
  bench.drain(partition);
  EXPECT_EQ(bench.store->durable().offset, partition.next());
  EXPECT_GT(bench.store->segments().size(), 3U);
  expect_all(read_back(disk, bench.folder, bench.store->segments()), partition.next());
  for (const auto& segment : bench.store->segments().first(bench.store->segments().size() - 1)) {
    EXPECT_EQ(segment.state, SegmentState::kClosed);
    EXPECT_LE(segment.end_byte, bench.options.segment_bytes);
  }
  bench.close();
  const auto recovered = bench.recover(true);
  EXPECT_EQ(recovered.end.offset, partition.next());
  EXPECT_EQ(recovered.scanned_bytes, 0U) << "closed segments are not read";
  EXPECT_TRUE(recovered.findings.empty());
}

TEST_P(PartitionStore, OneRoundTakesEverythingCommittedMeanwhile) {
  StoreBench bench(disk, dir / "p");
  bench.open();
  FakePartition partition(64 << 10);
  partition.append({100});
  ASSERT_EQ(bench.store->persist(partition.ranges(bench.store->cursor())),
            PersistVerdict::kStarted);
  for (int i = 0; i < 50; ++i) partition.append({100, 200});
  EXPECT_EQ(bench.store->persist(partition.ranges(bench.store->cursor())), PersistVerdict::kBusy);
  settle(disk);
  EXPECT_EQ(bench.heard.durable, (std::vector<Offset>{1}));
  const auto writes = disk.writes();
  (void)bench.round(partition);
  EXPECT_EQ(bench.heard.durable, (std::vector<Offset>{1, 101}));
  EXPECT_LE(disk.writes() - writes, 2U) << "one write, and perhaps zeros ahead";
  bench.close();
}

TEST_P(PartitionStore, ZerosAheadGrowWithWhatTheSegmentHas) {
  StoreBench bench(disk, dir / "p", 64 << 10, 16 << 20);
  bench.options.zero_ahead_bytes = 1 << 20;
  bench.open();
  FakePartition partition(64 << 10);
  const auto file_bytes = [&] {
    return std::filesystem::file_size(
        bench.folder + "/" + broker::segment_file_name(bench.store->segments().back().number));
  };
  partition.append({100});
  (void)bench.round(partition);
  const std::uint64_t first = file_bytes();
  EXPECT_GE(first, 256U << 10);
  EXPECT_LE(first, (256U << 10) + (128U << 10)) << "little for a partition that has little";
  std::uint64_t most = 0;
  while (bench.store->durable().byte < 4U << 20) {
    partition.append({6000, 6000, 6000, 6000});
    (void)bench.round(partition);
    most = std::max(most, file_bytes() - bench.store->durable().byte);
    EXPECT_LE(most, std::max<std::uint64_t>(2 * bench.store->durable().byte, 384U << 10));
  }
  EXPECT_GT(most, 900U << 10) << "as much as is allowed for one that has much";
  EXPECT_LE(most, (1U << 20) + (256U << 10) + (64U << 10));
  bench.close();
}

TEST_P(PartitionStore, EveryErrorLeavesTheFileAloneAndTheDataReachesAFreshOne) {
  // N-th write or flush fails, for every N that a small run has.
  for (const auto effect : {Fault::kError, Fault::kTornError, Fault::kErrorAfter}) {
    for (const int error : {EIO, ENOSPC}) {
      for (std::uint64_t n = 1; n <= 14; ++n) {
        FaultyDisk faulty{*inner};
        StoreBench bench(faulty, dir / ("p" + std::to_string(n) + "-" + std::to_string(error) +
                                        "-" + std::to_string(effect)));
        bench.open();
        FakePartition partition(16 << 10);
        bench.options.slot_bytes = 16 << 10;
        faulty.add({Fault::kWrites, n, n, effect, error});
        Offset promised = 0;
        for (int i = 0; i < 12; ++i) {
          partition.append({1500, 1500});
          (void)bench.round(partition);
          EXPECT_GE(bench.store->durable().offset, promised) << "durable never steps back";
          promised = bench.store->durable().offset;
        }
        bench.drain(partition);
        bench.close();
        EXPECT_EQ(bench.store->durable().offset, partition.next());
        // Zeros ahead that found no room have lost nothing; their file may go on.
        if (error == EIO) {
          EXPECT_EQ(faulty.flushes_after_failure(), 0U);
        }
        expect_all(read_back(faulty, bench.folder, bench.store->segments()), partition.next());
        const auto recovered = bench.recover();
        EXPECT_EQ(recovered.end.offset, partition.next());
        expect_all(read_back(faulty, bench.folder, recovered.segments), partition.next());
      }
    }
  }
}

TEST_P(PartitionStore, AFailedFlushIsNeverRepeatedNorAcknowledged) {
  StoreBench bench(disk, dir / "p");
  bench.open();
  FakePartition partition(64 << 10);
  partition.append({100});
  (void)bench.round(partition);
  disk.add({Fault::kFlushes, disk.flushes() + 1, disk.flushes() + 1, Fault::kErrorAfter, EIO});
  partition.append({100});
  (void)bench.round(partition);
  EXPECT_EQ(bench.store->durable().offset, 1U);
  EXPECT_EQ(bench.store->health(), StoreHealth::kFailing);
  ASSERT_EQ(bench.heard.errors.size(), 1U);
  EXPECT_EQ(bench.heard.errors[0].code, ErrorCode::kIo);
  EXPECT_NE(bench.heard.errors[0].detail.find("0000000001.seg"), std::string::npos);
  bench.drain(partition);
  EXPECT_EQ(bench.store->durable().offset, 2U);
  EXPECT_EQ(bench.store->health(), StoreHealth::kGood);
  EXPECT_EQ(disk.flushes_after_failure(), 0U);
  EXPECT_EQ(bench.store->segments().size(), 2U);
  bench.close();
  expect_all(read_back(disk, bench.folder, bench.recover().segments), 2);
}

TEST_P(PartitionStore, ASegmentGivenUpIsAsOldAsItsFailureForRetention) {
  StoreBench bench(disk, dir / "p");
  bench.open();
  FakePartition partition(64 << 10);
  partition.append({100});
  (void)bench.round(partition);
  disk.add({Fault::kWrites, disk.writes() + 1, disk.writes() + 1, Fault::kError, EIO});
  partition.append({100});
  const UnixMillis before = wall_now_ms();
  (void)bench.round(partition);
  bench.drain(partition);
  ASSERT_EQ(bench.store->segments().size(), 2U);
  const auto drops = [&](UnixMillis now) {
    return broker::segments_to_drop(bench.store->segments(), {.age_ms = 60'000}, now, true);
  };
  EXPECT_EQ(drops(before + 59'000), 0U) << "its record is durable and perhaps unread";
  EXPECT_EQ(drops(wall_now_ms() + 61'000), 1U);
  bench.close();
}

TEST_P(PartitionStore, AFullDiskIsSaidClearlyAndEndsByItself) {
  StoreBench bench(disk, dir / "p");
  bench.open();
  FakePartition partition(64 << 10);
  partition.append({100});
  disk.add({Fault::kWrites, 1, ~0ULL, Fault::kError, ENOSPC});
  for (int i = 0; i < 5; ++i) (void)bench.round(partition);
  EXPECT_EQ(bench.store->health(), StoreHealth::kFull);
  EXPECT_EQ(bench.heard.errors.at(0).code, ErrorCode::kDiskFull);
  EXPECT_EQ(bench.store->durable().offset, 0U);
  EXPECT_TRUE(std::filesystem::is_empty(bench.folder)) << "attempts leave no files behind";
  disk.clear_faults();
  bench.drain(partition);
  EXPECT_EQ(bench.store->health(), StoreHealth::kGood);
  EXPECT_EQ(bench.store->durable().offset, 1U);
  bench.close();
}

TEST_P(PartitionStore, WaitsBeforeItTriesAgain) {
  StoreBench bench(disk, dir / "p");
  bench.options.retry_first_ns = bench.options.retry_last_ns = 3600 * kSecond;
  bench.open();
  FakePartition partition(64 << 10);
  partition.append({100});
  disk.fail_control(EIO);
  EXPECT_EQ(bench.round(partition), PersistVerdict::kWaiting);
  EXPECT_EQ(bench.heard.healths, (std::vector{StoreHealth::kFailing}));
  disk.fail_control(0);
  EXPECT_EQ(bench.round(partition), PersistVerdict::kWaiting);
  EXPECT_GT(bench.store->retry_at(), boot_now_ns());
}

TEST_P(PartitionStore, ABadRecordStopsTheSlotUntilItIsSealedAndThenBecomesOneDamagedRecord) {
  StoreBench bench(disk, dir / "p");
  bench.open();
  FakePartition partition(64 << 10);
  partition.append({100});
  const std::uint32_t bad_at = partition.open().units;
  partition.append({200});
  partition.append({300});
  partition.open().data.data()[bad_at * shm::kUnitBytes + 70] ^= std::byte{1};
  (void)bench.round(partition);
  EXPECT_EQ(bench.store->durable().offset, 1U) << "the good batch before it is persisted";
  ASSERT_EQ(bench.heard.blocked.size(), 1U);
  EXPECT_EQ(bench.heard.blocked[0].from_units, bad_at);
  EXPECT_EQ(bench.heard.blocked[0].first_offset, 1U);
  EXPECT_EQ(bench.round(partition), PersistVerdict::kBlocked);
  EXPECT_EQ(bench.heard.blocked.size(), 1U) << "said once";
  partition.seal();
  partition.append({400});
  bench.drain(partition);
  EXPECT_EQ(bench.store->durable().offset, 4U);
  ASSERT_EQ(bench.heard.replaced.size(), 1U);
  EXPECT_EQ(bench.heard.replaced[0].first_offset, 1U);
  EXPECT_EQ(bench.heard.replaced[0].end_offset, 2U);
  const auto records = read_back(disk, bench.folder, bench.store->segments());
  ASSERT_EQ(records.size(), 4U);
  EXPECT_FALSE(records[0].damaged);
  EXPECT_TRUE(records[1].damaged);
  EXPECT_EQ(records[2].payload, payload_of(2, 1, 300));
  EXPECT_EQ(records[3].payload, payload_of(3, 1, 400));
  bench.close();
  EXPECT_EQ(bench.recover().end.offset, 4U);
}

TEST_P(PartitionStore, AMadTailOrEndIsDamageNotADeadBroker) {
  StoreBench bench(disk, dir / "p");
  bench.open();
  FakePartition partition(64 << 10);
  partition.append({100});
  partition.append({100});
  bench.drain(partition);
  auto& slot = partition.open();
  const std::uint32_t tail = slot.units;
  slot.units = 3;
  EXPECT_EQ(bench.round(partition), PersistVerdict::kBlocked);
  ASSERT_EQ(bench.heard.blocked.size(), 1U);
  slot.units = 0x7FFF'FFFF;
  EXPECT_EQ(bench.round(partition), PersistVerdict::kBlocked);
  partition.seal();
  slot.end_offset = ~Offset{0} - 1;
  for (int i = 0; i < 3; ++i) (void)bench.round(partition);
  EXPECT_EQ(bench.store->durable().offset, 2U);
  EXPECT_EQ(bench.store->cursor().slot_gen, 1U);
  slot.units = tail;
  partition.append({100});
  bench.drain(partition);
  EXPECT_EQ(bench.store->durable().offset, 3U);
  bench.close();
  EXPECT_EQ(bench.recover().end.offset, 3U);
}

TEST_P(PartitionStore, NoWriteIsLargerThanTheHeaderSays) {
  for (const bool damaged : {false, true}) {
    StoreBench bench(disk, dir / (damaged ? "damaged" : "good"), 64 << 10, 4 << 20);
    bench.open();
    FakePartition partition(64 << 10);
    // Slots of one batch each: no place in a slot where the write could end early.
    for (int i = 0; i < 8; ++i) {
      partition.append({60'000});
      if (damaged) partition.open().data.data()[70] ^= std::byte{1};
      partition.seal();
    }
    std::uint64_t largest = 0;
    while (bench.store->durable().offset < partition.next()) {
      const auto before = bench.store->counters().written_bytes;
      ASSERT_EQ(bench.round(partition), PersistVerdict::kStarted);
      largest = std::max(largest, bench.store->counters().written_bytes - before);
    }
    const auto file = disk.read_file(bench.folder + "/" + broker::segment_file_name(1), 8 << 20);
    ASSERT_TRUE(file);
    const auto header = shm::parse_segment_header(std::span(*file).first(shm::kBlockBytes));
    ASSERT_TRUE(header);
    EXPECT_LE(largest, header->write_limit_bytes) << (damaged ? "damaged" : "good");
    bench.close();
  }
}

TEST_P(PartitionStore, ARunThatStartsInsideASlotKeepsItsRecords) {
  // Every distance from a block border, with the first part persisted by a predecessor.
  for (std::size_t size = 0; size < 4200; size += 16 * 7) {
    StoreBench bench(disk, dir / ("p" + std::to_string(size)));
    bench.open();
    FakePartition partition(64 << 10);
    partition.append({size});
    (void)bench.round(partition);
    const broker::PersistCursor at = bench.store->cursor();
    bench.store.reset();
    auto recovered = broker::recover_partition(
        disk, {bench.folder, kIdentity, Offset{1}, broker::load_note(bench.note)});
    ASSERT_TRUE(recovered) << recovered.error().sentence();
    EXPECT_EQ(recovered->scanned_bytes, 0U) << "the note says where it ends";
    bench.open(std::move(*recovered), at);
    partition.append({50, 60});
    bench.drain(partition);
    bench.close();
    const auto again = bench.recover();
    EXPECT_EQ(again.end.offset, 3U) << size;
    expect_all(read_back(disk, bench.folder, again.segments), 3);
  }
}

TEST_P(PartitionStore, PredecessorsFilesAreNeverWrittenAgain) {
  {
    StoreBench bench(disk, dir / "p");
    bench.open();
    FakePartition partition(64 << 10);
    partition.append({100, 200});
    bench.drain(partition);
  }
  FaultyDisk heirs_disk{*inner};
  StoreBench heir(heirs_disk, dir / "p");
  auto recovered = heir.recover();
  heir.options.log_epoch = 2;
  FakePartition partition(64 << 10, 2, recovered.end.offset);
  heir.open(std::move(recovered), {0, 0, 2});
  for (int i = 0; i < 20; ++i) partition.append({3000});
  heir.drain(partition);
  heir.close();
  EXPECT_EQ(heirs_disk.foreign_writes(), 0U);
  expect_all(read_back(heirs_disk, heir.folder, heir.recover().segments), 22);
}

TEST_P(PartitionStore, AKilledBrokersDelayedWritesDoNotHarmItsHeir) {
  StoreBench first(disk, dir / "p");
  first.open();
  FakePartition partition(64 << 10);
  partition.append({100});
  (void)first.round(partition);
  partition.append({700, 700});
  disk.add({Fault::kWrites, disk.writes() + 1, disk.writes() + 1, Fault::kHold, 0});
  (void)first.store->persist(partition.ranges(first.store->cursor()));
  settle(disk, 1);
  ASSERT_EQ(disk.held(), 1U);

  FaultyDisk heirs_disk{*inner};
  StoreBench heir(heirs_disk, dir / "p");
  auto recovered = heir.recover();
  ASSERT_EQ(recovered.end.offset, 1U);
  heir.options.log_epoch = 2;
  FakePartition second(64 << 10, 2, 1);
  heir.open(std::move(recovered), {0, 0, 1});
  second.append({700, 700});  // the same offsets, the same sizes
  heir.drain(second);
  disk.release();  // the dead one's write lands now
  settle(disk);
  heir.close();
  const auto again = heir.recover();
  EXPECT_EQ(again.end.offset, 3U);
  const auto records = read_back(heirs_disk, heir.folder, again.segments);
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(records[1].payload, payload_of(1, 2, 700)) << "the heir's record, not the dead one's";
  EXPECT_EQ(records[2].payload, payload_of(2, 2, 700));
}

TEST_P(PartitionStore, PassesSlotsThatWereSealedEmpty) {
  StoreBench bench(disk, dir / "p");
  bench.open();
  FakePartition partition(64 << 10);
  partition.seal();
  partition.seal();
  EXPECT_EQ(bench.round(partition), PersistVerdict::kNothing);
  EXPECT_EQ(bench.store->cursor().slot_gen, 2U);
  EXPECT_EQ(bench.store->durable_cursor().slot_gen, 2U);
  EXPECT_TRUE(bench.store->segments().empty()) << "nothing written, no file";
  partition.append({10});
  partition.seal();
  bench.drain(partition);
  EXPECT_EQ(bench.store->durable().offset, 1U);
  bench.close();
}

}  // namespace
}  // namespace mallbots::test
