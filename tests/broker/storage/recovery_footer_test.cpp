// Which end of a segment is believed: a footer, what looks like one, or the records.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "shm/base/hash.h"
#include "shm/segment/footer.h"
#include "tests/broker/storage/recovery_fixture.h"

namespace mallbots::test {
namespace {

using broker::SegmentState;

/// What a producer may write as its payload: the bytes of a footer, to the end of a block.
std::string like_a_footer(std::uint64_t number, std::uint64_t data_end, Offset end_offset) {
  shm::SegmentFooter footer;
  footer.trailer.partition_id = static_cast<std::uint64_t>(kIdentity.partition);
  footer.trailer.number = number;
  footer.trailer.end_offset = end_offset;
  footer.trailer.data_end = data_end;
  footer.trailer.log_epoch = 1;
  const auto bytes = shm::encode_footer(std::move(footer));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Puts a record behind the others, as the one that ends the file; its offset is `next`.
void end_with(std::vector<char>& bytes, std::uint64_t at, Offset next, const std::string& ending) {
  const std::uint64_t end =
      shm::block_ceil(at + shm::kRecordHeaderBytes + ending.size()) + shm::kBlockBytes;
  std::string payload(end - at - shm::kRecordHeaderBytes - ending.size(), 'p');
  payload += ending;
  shm::RecordInput input;
  input.payload = std::as_bytes(std::span(payload));
  shm::RecordHeader header = shm::prepare_header(input, {});
  header.offset = next;
  header.flags |= shm::kLastOfBatch;
  bytes.resize(at);
  bytes.resize(end);
  shm::put_record(reinterpret_cast<std::byte*>(bytes.data()) + at, header, input,
                  shm::record_seed(kIdentity.partition, 1));
}

/// Leaves an open segment with two records; where they end.
std::uint64_t two_records(broker::Disk& disk, const std::string& folder) {
  StoreBench bench(disk, folder);
  bench.open();
  FakePartition partition(64 << 10);
  partition.append({100, 200});
  bench.drain(partition);
  return bench.store->durable().byte;
}

TEST_F(Recovery, APayloadThatLooksLikeAFooterEndsNoSegment) {
  const std::string path = dir / "p/0000000001.seg";
  const std::uint64_t at = two_records(*disk, dir / "p");
  const auto whole = load(path);
  // Ends at once, or where the payload itself begins to look so.
  for (const bool fits : {false, true}) {
    auto bytes = whole;
    end_with(bytes, at, 2, like_a_footer(1, shm::kBlockBytes, 0));
    const std::uint64_t data_end = fits ? bytes.size() - shm::kBlockBytes : shm::kBlockBytes;
    end_with(bytes, at, 2, like_a_footer(1, data_end, fits ? 2 : 0));
    save(path, bytes);
    const auto recovered = recover(dir / "p");
    EXPECT_EQ(recovered.end.offset, 3U);
    EXPECT_EQ(recovered.end.byte, bytes.size());
    EXPECT_EQ(recovered.findings.size(), 1U) << "somebody tried";
    // And once a newer segment names the end.
    StoreBench bench(*disk, dir / "p");
    FakePartition partition(64 << 10, 1, 3);
    bench.open(recovered, {0, 0, 3});
    partition.append({500});
    bench.drain(partition);
    settle(*disk);
    std::filesystem::remove(dir / "p/0000000001.side");
    const auto again = recover(dir / "p");
    EXPECT_EQ(again.end.offset, 4U);
    ASSERT_EQ(again.segments.size(), 2U);
    EXPECT_EQ(again.segments[0].end_offset, 3U);
    EXPECT_EQ(read_back(*disk, dir / "p", again.segments).size(), 4U);
    std::filesystem::remove(dir / "p/0000000001.side");
    std::filesystem::remove(dir / "p/0000000002.seg");
    std::filesystem::remove(dir / "p/0000000002.side");
  }
}

TEST_F(Recovery, TheNewestFooterIsUsedUnreadAfterACleanStopAndReadAfterAnyOther) {
  {
    StoreBench bench(*disk, dir / "p");
    bench.open();
    FakePartition partition(64 << 10);
    for (int i = 0; i < 200; ++i) partition.append({2000});
    bench.drain(partition);
    bench.close();
  }
  const auto clean = recover(dir / "p", true);
  EXPECT_EQ(clean.scanned_bytes, 0U);
  EXPECT_EQ(clean.segments.back().state, SegmentState::kClosed);
  const auto unclean = recover(dir / "p");
  EXPECT_GT(unclean.scanned_bytes, 0U);
  EXPECT_TRUE(unclean.findings.empty()) << unclean.findings[0].sentence;
  EXPECT_EQ(unclean.segments.back().state, SegmentState::kSide);
  EXPECT_EQ(unclean.end.offset, clean.end.offset);
  EXPECT_EQ(unclean.end.byte, clean.end.byte);
  EXPECT_EQ(unclean.segments.back().records, clean.segments.back().records);
  EXPECT_EQ(recover(dir / "p").scanned_bytes, 0U) << "once";
}

TEST_F(Recovery, AFooterIsBelievedWhereverItsRecordsEnd) {
  for (std::size_t units = 0; units < 256; ++units) {
    const std::string folder = dir / std::to_string(units);
    StoreBench bench(*disk, folder);
    bench.open();
    FakePartition partition(64 << 10);
    partition.append({100, 16 * units});
    bench.drain(partition);
    bench.close();
    const auto clean = recover(folder, true);
    ASSERT_EQ(clean.scanned_bytes, 0U) << units;
    ASSERT_TRUE(clean.findings.empty()) << units;
    const auto kept = broker::recover_partition(
        *disk, {.folder = folder, .identity = kIdentity, .cut_at = Offset{2}});
    ASSERT_EQ(kept->scanned_bytes, 0U) << units;
    const auto noted = broker::recover_partition(
        *disk, {.folder = folder,
                .identity = kIdentity,
                .cut_at = Offset{2},
                .note = broker::NoteValue{.point = clean.end, .records = 2}});
    ASSERT_EQ(noted->scanned_bytes, 0U) << units;
    ASSERT_EQ(noted->segments.back().state, SegmentState::kClosed) << units;
    const auto unclean = recover(folder);
    ASSERT_TRUE(unclean.findings.empty()) << units << unclean.findings[0].sentence;
    ASSERT_EQ(unclean.end.offset, 2U) << units;
    ASSERT_EQ(unclean.end.byte, clean.end.byte) << units;
  }
}

TEST_F(Recovery, APayloadThatLooksLikeAFooterIsReadInKeptMemoryAndOnceMoreAfterACleanStop) {
  const std::string path = dir / "p/0000000001.seg";
  const std::uint64_t at = two_records(*disk, dir / "p");
  // Who appends with an expected offset knows where the log will end. All of the file but its
  // header would be the footer; the sum fits also where it wraps.
  const auto whole = load(path);
  for (const std::uint64_t data_end : {shm::kBlockBytes, ~std::uint64_t{15}}) {
    auto bytes = whole;
    std::string ending = like_a_footer(1, data_end, 3);
    end_with(bytes, at, 2, ending);
    shm::SegmentTrailer said{};
    char* const trailer = ending.data() + ending.size() - sizeof said;
    std::memcpy(&said, trailer, sizeof said);
    said.footer_bytes = static_cast<std::uint32_t>(bytes.size() - shm::kBlockBytes);
    said.check = xxh3(&said, offsetof(shm::SegmentTrailer, check));
    std::memcpy(trailer, &said, sizeof said);
    end_with(bytes, at, 2, ending);
    save(path, bytes);
    const auto kept = broker::recover_partition(
        *disk, {.folder = dir / "p",
                .identity = kIdentity,
                .cut_at = Offset{3},
                .note = broker::NoteValue{.point = {3, 1, bytes.size(), 0}, .records = 3}});
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->end.offset, 3U);
    EXPECT_EQ(kept->end.byte, bytes.size());
    const auto later = recover(dir / "p", true);
    EXPECT_EQ(later.end.byte, bytes.size()) << "the side file has fixed the end";
    std::filesystem::remove(dir / "p/0000000001.side");
  }
}

TEST_F(Recovery, DamageAtTheEndOfAClosedSegmentCutsNothing) {
  std::uint64_t end_byte = 0;
  std::string path;
  {
    StoreBench bench(*disk, dir / "p");
    bench.open();
    FakePartition partition(64 << 10);
    for (int i = 0; i < 20; ++i) partition.append({2000});
    bench.drain(partition);
    bench.close();
    end_byte = bench.store->durable().byte;
    path = bench.store->path_of(bench.store->segments().back());
  }
  auto bytes = load(path);
  const auto sector = static_cast<std::ptrdiff_t>(end_byte - end_byte % 512 - 512);
  std::fill(bytes.begin() + sector, bytes.begin() + sector + 512, 0);  // reads as torn
  save(path, bytes);
  const auto recovered = recover(dir / "p");
  EXPECT_EQ(recovered.end.offset, 20U);
  EXPECT_EQ(recovered.end.byte, end_byte);
}

TEST_F(Recovery, ASegmentWhoseFirstBlocksAreGoneIsKeptAndReported) {
  {
    StoreBench bench(*disk, dir / "p");
    bench.open();
    FakePartition partition(64 << 10);
    for (int i = 0; i < 20; ++i) partition.append({2000});
    bench.drain(partition);
  }
  const std::string path = dir / "p/0000000001.seg";
  auto bytes = load(path);
  std::fill(bytes.begin(), bytes.begin() + 8192, 0);
  save(path, bytes);
  const auto recovered = recover(dir / "p");
  EXPECT_TRUE(recovered.unborn.empty());
  EXPECT_EQ(recovered.findings.size(), 1U);
}

}  // namespace
}  // namespace mallbots::test
