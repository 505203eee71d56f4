#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <random>

#include "tests/broker/storage/recovery_fixture.h"

namespace mallbots::test {
namespace {

using broker::EngineChoice;
using broker::SegmentFacts;
using broker::SegmentState;
using broker::SegmentVerdict;
using Header = SegmentFacts::Header;

TEST(RecoveryTable, EveryCombinationHasItsVerdict) {
  const struct {
    Header header;
    int footer, side, named, newest;  // 2: either; footer 1 is proven, 3: there, not proven
    SegmentVerdict verdict;
  } table[] = {
      // header          footer side named newest
      {Header::kGood, 2, 1, 1, 2, SegmentVerdict::kUseSide},
      {Header::kGood, 2, 1, 0, 1, SegmentVerdict::kUseSide},
      {Header::kGood, 1, 0, 1, 2, SegmentVerdict::kUseFooter},
      {Header::kGood, 1, 0, 0, 1, SegmentVerdict::kUseFooter},
      {Header::kGood, 0, 0, 1, 2, SegmentVerdict::kScanToNamed},
      {Header::kGood, 0, 0, 0, 1, SegmentVerdict::kScanToEnd},
      {Header::kGood, 3, 0, 1, 2, SegmentVerdict::kScanToNamed},
      {Header::kGood, 3, 0, 0, 1, SegmentVerdict::kScanToEnd},
      {Header::kGood, 2, 2, 0, 0, SegmentVerdict::kStray},
      {Header::kUnborn, 0, 0, 2, 2, SegmentVerdict::kUnborn},
      {Header::kUnborn, 1, 2, 2, 2, SegmentVerdict::kHeaderFromFooter},
      {Header::kUnborn, 3, 2, 2, 2, SegmentVerdict::kHeaderFromFooter},
      {Header::kUnborn, 0, 1, 2, 2, SegmentVerdict::kHeaderFromFooter},
      {Header::kBad, 0, 0, 2, 2, SegmentVerdict::kQuarantine},
      {Header::kBad, 1, 2, 2, 2, SegmentVerdict::kHeaderFromFooter},
      {Header::kBad, 3, 2, 2, 2, SegmentVerdict::kHeaderFromFooter},
      {Header::kBad, 0, 1, 2, 2, SegmentVerdict::kHeaderFromFooter},
  };
  for (const Header header : {Header::kGood, Header::kUnborn, Header::kBad}) {
    for (int bits = 0; bits < 24; ++bits) {
      const int side = bits & 1, named = bits >> 1 & 1, newest = bits >> 2 & 1;
      const int footer = bits >> 3 == 2 ? 3 : bits >> 3;
      int rows = 0;
      const auto fits = [](int cell, int value) { return cell == 2 || cell == value; };
      for (const auto& row : table) {
        if (row.header != header || !fits(row.footer, footer) || !fits(row.side, side) ||
            !fits(row.named, named) || !fits(row.newest, newest)) {
          continue;
        }
        ++rows;
        EXPECT_EQ(broker::decide({.header = header,
                                  .has_footer = footer != 0,
                                  .footer_proven = footer == 1,
                                  .has_side = side == 1,
                                  .named_as_end = named == 1,
                                  .is_newest = newest == 1}),
                  row.verdict)
            << verdict_name(row.verdict);
      }
      EXPECT_EQ(rows, 1) << "a combination has one verdict";
    }
  }
}

TEST_F(Recovery, AnEmptyFolderIsAnEmptyLog) {
  std::filesystem::create_directory(dir / "p");
  const auto recovered = recover(dir / "p");
  EXPECT_EQ(recovered.end.offset, 0U);
  EXPECT_EQ(recovered.next_number, 1U);
  EXPECT_TRUE(recovered.findings.empty());
  EXPECT_EQ(recover(dir / "absent").end.offset, 0U);
}

TEST_F(Recovery, TornTailAtEveryByteOfTheLastTwoRecordsLeavesWholeBatchesOnly) {
  std::uint64_t first_byte = 0;
  std::uint64_t end_byte = 0;
  {
    StoreBench bench(*disk, dir / "p");
    bench.open();
    FakePartition partition(64 << 10);
    partition.append({100, 200});
    bench.drain(partition);
    first_byte = bench.store->durable().byte;
    partition.append({333});       // one batch
    partition.append({150, 470});  // and one of two records
    bench.drain(partition);
    end_byte = bench.store->durable().byte;
  }
  const std::string path = dir / "p/0000000001.seg";
  const auto whole = load(path);
  const std::uint64_t third =
      first_byte + shm::record_units(shm::kRecordHeaderBytes + 333) * shm::kUnitBytes;
  // The zeros that align the next record are no loss: 3 behind the third, 10 behind the last.
  const std::uint64_t needed = end_byte - 10;
  for (const int how : {0, 1, 2}) {  // zeros, garbage, end of file
    for (std::uint64_t cut = first_byte; cut <= end_byte; ++cut) {
      auto torn = whole;
      if (how == 2) torn.resize(cut);
      for (std::uint64_t at = cut; at < torn.size(); ++at) {
        torn[at] = how == 1 && at < end_byte ? static_cast<char>(0x5A + at % 7) : 0;
      }
      save(path, torn);
      std::filesystem::remove(dir / "p/0000000001.side");
      const auto recovered = recover(dir / "p");
      const Offset expected = cut < third - 3 ? 2 : cut < needed ? 3 : 5;
      // A file that ends inside those zeros may lose the record: no file system ends there.
      const bool edge = how == 2 && (cut >= needed ? recovered.end.offset == 3
                                                   : cut >= third - 3 && cut < third &&
                                                         recovered.end.offset == 2);
      EXPECT_TRUE(recovered.end.offset == expected || edge || (how == 1 && cut < end_byte))
          << "how " << how << " cut " << cut << " gives " << recovered.end.offset;
      Offset next = 0;
      bool inside_batch = false;
      for (const ReadBack& record : read_back(*disk, dir / "p", recovered.segments)) {
        EXPECT_FALSE(record.damaged);
        EXPECT_EQ(record.payload, payload_of(next++, 1, record.payload.size()));
        inside_batch = !record.last_of_batch;
      }
      EXPECT_EQ(next, recovered.end.offset);
      EXPECT_FALSE(inside_batch) << "no batch is half there";
    }
  }
}

TEST_F(Recovery, OneFlippedBitInAClosedSegmentCostsAtMostOneRecordAndTheRestIsReadable) {
  std::vector<broker::SegmentInfo> segments;
  {
    StoreBench bench(*disk, dir / "p");
    bench.open();
    FakePartition partition(64 << 10);
    for (int i = 0; i < 220; ++i) partition.append({1000, 50});
    bench.drain(partition);
    bench.close();
    segments.assign(bench.store->segments().begin(), bench.store->segments().end());
  }
  ASSERT_GE(segments.size(), 2U);
  const std::string path = dir / "p/0000000001.seg";
  const auto whole = load(path);
  std::mt19937_64 dice(42);
  for (int i = 0; i < rounds(250); ++i) {
    auto bytes = whole;
    const std::uint64_t at = dice() % bytes.size();
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << dice() % 8));
    save(path, bytes);
    const auto recovered = recover(dir / "p");
    ASSERT_EQ(recovered.end.offset, 440U) << "byte " << at;
    ASSERT_EQ(recovered.segments.size(), segments.size()) << "byte " << at;
    Offset next = 0;
    Offset lost = 0;
    for (const ReadBack& record : read_back(*disk, dir / "p", recovered.segments)) {
      ASSERT_EQ(record.first, next);
      next = record.end;
      if (record.damaged) {
        lost += record.end - record.first;
      } else {
        ASSERT_EQ(record.payload, payload_of(record.first, 1, record.payload.size()));
      }
    }
    EXPECT_LE(lost, 1U) << "byte " << at;
    // The end of the last damaged stretch is the footer's to tell.
    EXPECT_TRUE(next == 440U || next + 1 == recovered.segments[0].end_offset) << "byte " << at;
    std::filesystem::remove(dir / "p/0000000001.side");
  }
  save(path, whole);
}

TEST_F(Recovery, DamageFarBehindTheEndOfAnOpenSegmentIsQuarantinedNotCut) {
  {
    StoreBench bench(*disk, dir / "p", 64 << 10, 8 << 20);
    bench.options.round_bytes = 16 << 10;  // so that little can have been in flight
    bench.options.slot_bytes = 64 << 10;
    bench.open();
    FakePartition partition(64 << 10);
    for (int i = 0; i < 1500; ++i) partition.append({900});
    bench.drain(partition);
  }
  const std::string path = dir / "p/0000000001.seg";
  auto bytes = load(path);
  // A whole block of zeros near the front looks torn, but was flushed long ago.
  std::fill(bytes.begin() + 40960, bytes.begin() + 45056, 0);
  bytes[100'000] = static_cast<char>(bytes[100'000] ^ 4);
  save(path, bytes);
  const auto recovered = recover(dir / "p");
  EXPECT_EQ(recovered.end.offset, 1500U);
  ASSERT_GE(recovered.findings.size(), 2U);
  EXPECT_EQ(recovered.findings.back().end_offset - recovered.findings.back().first_offset, 1U);
  EXPECT_EQ(recovered.segments[0].state, SegmentState::kSide);
  // The next recovery reads the side file, not the records.
  EXPECT_EQ(recover(dir / "p").scanned_bytes, 0U);
}

TEST_F(Recovery, ABitFlippedNearTheEndOfAnOpenSegmentIsNotTakenForATornWrite) {
  {
    StoreBench bench(*disk, dir / "p");
    bench.open();
    FakePartition partition(64 << 10);
    for (int i = 0; i < 10; ++i) partition.append({900});
    bench.drain(partition);
  }
  const std::string path = dir / "p/0000000001.seg";
  auto bytes = load(path);
  bytes[shm::kBlockBytes + 5 * 976 + 300] ^= 1;
  save(path, bytes);
  const auto recovered = recover(dir / "p");
  EXPECT_EQ(recovered.end.offset, 10U) << "what was acknowledged behind it stays";
  ASSERT_EQ(recovered.findings.size(), 1U);
  EXPECT_EQ(recovered.findings[0].first_offset, 5U);
  EXPECT_EQ(recovered.findings[0].end_offset, 6U);
}

TEST_F(Recovery, CutAppendCutAgainBringsNoOldRecordBack) {
  // The same offsets and sizes in each life; the second and third cut fall at the same places.
  for (const std::size_t keep : {std::size_t{0}, std::size_t{1}, std::size_t{3}}) {
    const std::string folder = dir / ("p" + std::to_string(keep));
    Offset start = 0;
    for (LogEpoch epoch = 1; epoch <= 3; ++epoch) {
      StoreBench bench(*disk, folder);
      auto recovered = recover(folder);
      start = recovered.end.offset;
      bench.options.log_epoch = epoch;
      FakePartition partition(64 << 10, epoch, start);
      bench.open(std::move(recovered), {0, 0, start});
      std::uint64_t cut = shm::kBlockBytes;
      for (std::size_t i = 0; i < 5; ++i) {
        partition.append({500});
        bench.drain(partition);
        if (i + 1 == keep) cut = bench.store->durable().byte;
      }
      const std::string path =
          folder + "/" + broker::segment_file_name(bench.store->segments().back().number);
      settle(*disk);
      bench.store.reset();
      auto bytes = load(path);
      // Only this life's own last write is taken back; the tail behind it keeps good old records.
      std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(cut),
                bytes.begin() + static_cast<std::ptrdiff_t>(cut + 64), 0);
      save(path, bytes);
    }
    const auto recovered = recover(folder);
    EXPECT_EQ(recovered.end.offset, 3 * keep);
    for (const ReadBack& record : read_back(*disk, folder, recovered.segments)) {
      EXPECT_EQ(record.epoch, keep == 0 ? 0 : 1 + record.first / keep);
      EXPECT_EQ(record.payload, payload_of(record.first, record.epoch, 500));
    }
  }
}

TEST_F(Recovery, ALostHeaderIsReplacedByTheFooter) {
  {
    StoreBench bench(*disk, dir / "p");
    bench.open();
    FakePartition partition(64 << 10);
    for (int i = 0; i < 200; ++i) partition.append({2000});
    bench.drain(partition);
    bench.close();
  }
  for (const char* name : {"p/0000000001.seg", "p/0000000002.seg"}) {
    const auto whole = load(dir / name);
    for (const bool zero : {false, true}) {
      auto bytes = whole;
      std::fill(bytes.begin(), bytes.begin() + 512, zero ? 0 : 0x55);
      save(dir / name, bytes);
      const auto recovered = recover(dir / "p");
      EXPECT_EQ(recovered.end.offset, 200U) << name;
      EXPECT_EQ(recovered.start_offset, 0U) << name;
      ASSERT_EQ(recovered.findings.size(), 1U) << name;
      EXPECT_EQ(recovered.findings[0].first_offset, recovered.findings[0].end_offset);
    }
    save(dir / name, whole);
  }
}

TEST_F(Recovery, ASegmentThatIsGoneIsReportedAndNothingElseIsTouched) {
  {
    StoreBench bench(*disk, dir / "p");
    bench.open();
    FakePartition partition(64 << 10);
    for (int i = 0; i < 300; ++i) partition.append({2000});
    bench.drain(partition);
    bench.close();
  }
  std::filesystem::remove(dir / "p/0000000002.seg");
  const auto recovered = recover(dir / "p");
  EXPECT_EQ(recovered.end.offset, 300U);
  EXPECT_EQ(recovered.start_offset, 0U);
  ASSERT_EQ(recovered.findings.size(), 1U);
  EXPECT_EQ(recovered.findings[0].first_offset, recovered.segments[0].end_offset);
  EXPECT_EQ(recovered.findings[0].end_offset, recovered.segments[1].base_offset);
  EXPECT_TRUE(std::filesystem::exists(dir / "p/0000000001.seg"));
}

TEST_F(Recovery, AFooterThatIsGoneIsMadeAnewInASideFile) {
  std::vector<broker::SegmentInfo> before;
  {
    StoreBench bench(*disk, dir / "p");
    bench.open();
    FakePartition partition(64 << 10);
    for (int i = 0; i < 300; ++i) partition.append({2000}, 1000 + i);
    bench.drain(partition);
    bench.close();
    before.assign(bench.store->segments().begin(), bench.store->segments().end());
  }
  for (const auto& segment : before) {
    const std::string path = dir / ("p/" + broker::segment_file_name(segment.number));
    auto bytes = load(path);
    bytes.back() ^= 1;
    save(path, bytes);
  }
  const auto recovered = recover(dir / "p");
  ASSERT_EQ(recovered.segments.size(), before.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(recovered.segments[i].state, SegmentState::kSide);
    EXPECT_EQ(recovered.segments[i].end_offset, before[i].end_offset);
    EXPECT_EQ(recovered.segments[i].end_byte, before[i].end_byte);
    EXPECT_EQ(recovered.segments[i].records, before[i].records);
    EXPECT_EQ(recovered.segments[i].running_max_ms, before[i].running_max_ms);
  }
  for (const auto& finding : recovered.findings) {
    EXPECT_EQ(finding.first_offset, finding.end_offset) << "no record is lost";
  }
}

TEST_F(Recovery, KeptMemoryCutsAtTheDurablePositionWithAndWithoutTheNote) {
  StoreBench bench(*disk, dir / "p");
  bench.open();
  FakePartition partition(64 << 10);
  for (int i = 0; i < 20; ++i) {
    partition.append({700});
    (void)bench.round(partition);
  }
  const auto with_note = broker::recover_partition(
      *disk, {bench.folder, kIdentity, Offset{20}, broker::load_note(bench.note)});
  ASSERT_TRUE(with_note);
  EXPECT_EQ(with_note->end, bench.store->durable());
  EXPECT_EQ(with_note->scanned_bytes, 0U);
  // The board says 15: what the file holds above may not have been flushed.
  const auto without = broker::recover_partition(*disk, {bench.folder, kIdentity, Offset{15}, {}});
  ASSERT_TRUE(without);
  EXPECT_EQ(without->end.offset, 15U);
  EXPECT_EQ(recover(bench.folder).end.offset, 15U) << "the side file has fixed the end";
}

TEST_F(Recovery, ASegmentOfANewerFormatRefusesInsteadOfGuessing) {
  {
    StoreBench bench(*disk, dir / "p");
    bench.open();
    FakePartition partition(64 << 10);
    partition.append({700});
    bench.drain(partition);
  }
  const std::string path = dir / "p/0000000001.seg";
  auto bytes = load(path);
  shm::SegmentHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  header.version += 1;
  header.check = xxh3(&header, offsetof(shm::SegmentHeader, check));
  std::memcpy(bytes.data(), &header, sizeof(header));
  save(path, bytes);
  const auto recovered = broker::recover_partition(*disk, {dir / "p", kIdentity, {}, {}});
  ASSERT_FALSE(recovered);
  EXPECT_EQ(recovered.error().code, ErrorCode::kWrongVersion);
  EXPECT_NE(recovered.error().detail.find(path), std::string::npos);
}

TEST_F(Recovery, AnotherPartitionsFileIsNotTaken) {
  {
    StoreBench bench(*disk, dir / "p");
    bench.open();
    FakePartition partition(64 << 10);
    partition.append({700});
    bench.drain(partition);
    bench.close();
  }
  auto other = kIdentity;
  other.partition = PartitionId{99};
  const auto recovered = broker::recover_partition(*disk, {dir / "p", other, {}, {}});
  ASSERT_TRUE(recovered);
  EXPECT_EQ(recovered->end.offset, 0U);
  ASSERT_EQ(recovered->findings.size(), 1U);
  EXPECT_NE(recovered->findings[0].sentence.find("another partition"), std::string::npos);
  EXPECT_EQ(recovered->next_number, 2U) << "its number is not given again";
}

}  // namespace
}  // namespace mallbots::test
