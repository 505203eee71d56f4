#include "clients/internal/cold_reader.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "shm/concurrent/encode.h"
#include "shm/region/memory.h"
#include "shm/segment/record_check.h"

namespace mallbots::test {
namespace {

using client::ColdReader;

constexpr std::uint64_t kPartition = 0x1234;
constexpr LogEpoch kEpoch = 7;

/// Records as a segment holds them, from byte 4096 on.
class SegmentBytes {
 public:
  SegmentBytes() : bytes_(4096) {}

  void add(Offset offset, const std::string& text) {
    places_.push_back(bytes_.size());
    const shm::RecordInput input{.payload = std::as_bytes(std::span{text})};
    shm::RecordHeader header = shm::prepare_header(input, {});
    header.offset = offset;
    std::vector<std::byte> record(std::size_t{shm::record_units(header.length)} * 16);
    shm::put_record(record.data(), header, input, seed());
    bytes_.insert(bytes_.end(), record.begin(), record.end());
  }
  void pad(std::uint32_t size_bytes, Offset next) {
    std::vector<std::byte> record(size_bytes);
    const shm::RecordHeader header = shm::pad_header(size_bytes, next, seed());
    std::memcpy(record.data(), &header, sizeof header);
    bytes_.insert(bytes_.end(), record.begin(), record.end());
  }
  static std::uint64_t seed() { return shm::record_seed(PartitionId{kPartition}, kEpoch); }

  [[nodiscard]] ColdReader open(Offset wanted, Offset end, std::size_t buffer = 4096,
                                std::uint64_t start_byte = 4096) const {
    shm::UniqueFd file = std::move(*shm::create_memory("segment", bytes_.size()));
    EXPECT_EQ(pwrite(file.get(), bytes_.data(), bytes_.size(), 0),
              static_cast<ssize_t>(bytes_.size()));
    return {std::move(file),
            {.base_offset = 0,
             .end_offset = end,
             .start_byte = start_byte,
             .end_byte = bytes_.size(),
             .log_epoch = kEpoch,
             .partition_id = kPartition},
            wanted,
            buffer};
  }
  std::vector<std::byte> bytes_;
  std::vector<std::uint64_t> places_;
};

struct Seen {
  std::vector<std::string> records;
  std::vector<std::pair<Offset, Offset>> lost;
};

Seen read_all(ColdReader reader) {
  Seen seen;
  for (;;) {
    const auto step = reader.next();
    switch (step.kind) {
      case ColdReader::Step::kRecord:
        seen.records.emplace_back(reinterpret_cast<const char*>(step.view.payload.data()),
                                  step.view.payload.size());
        break;
      case ColdReader::Step::kDamage:
        seen.lost.emplace_back(step.first, step.end);
        break;
      case ColdReader::Step::kNeedFill:
        EXPECT_TRUE(reader.fill().has_value());
        break;
      case ColdReader::Step::kEnd:
        return seen;
    }
  }
}

TEST(ColdReaderTest, GivesRecordsFromTheWantedOneOnOverPadsAndWindows) {
  SegmentBytes segment;
  std::vector<std::string> expected;
  for (Offset i = 0; i < 200; ++i) {
    segment.add(i, std::to_string(i) + std::string(i * 37 % 300, 'x'));
    if (i % 50 == 0) segment.pad(512, i + 1);
    if (i >= 120) expected.push_back(std::to_string(i) + std::string(i * 37 % 300, 'x'));
  }
  const Seen seen = read_all(segment.open(120, 200));
  EXPECT_EQ(seen.records, expected);
  EXPECT_TRUE(seen.lost.empty());
}

TEST(ColdReaderTest, RecordsLargerThanTheWindowGrowIt) {
  SegmentBytes segment;
  const std::string large(50'000, 'l');
  segment.add(0, "small");
  segment.add(1, large);
  segment.add(2, "small");
  EXPECT_EQ(read_all(segment.open(0, 3)).records,
            (std::vector<std::string>{"small", large, "small"}));
}

TEST(ColdReaderTest, DamageAnywhereIsToldAsARangeAndTheRestIsRead) {
  SegmentBytes segment;
  for (Offset i = 0; i < 30; ++i) segment.add(i, std::to_string(i) + std::string(100, 'x'));
  for (std::size_t at = 4096; at < segment.bytes_.size(); at += 7) {
    SegmentBytes broken = segment;
    broken.bytes_[at] ^= std::byte{0x20};
    const Seen seen = read_all(broken.open(0, 30));
    std::size_t lost = 0;
    for (const auto& [first, end] : seen.lost) lost += end - first;
    EXPECT_EQ(seen.records.size() + lost, 30U) << at;
    EXPECT_LE(lost, 1U) << at;
  }
}

TEST(ColdReaderTest, AnEndThatIsMissingIsLostNotSilent) {
  SegmentBytes segment;
  for (Offset i = 0; i < 10; ++i) segment.add(i, "text");
  segment.bytes_.resize(segment.places_[7] + 20);
  const Seen seen = read_all(segment.open(0, 10));
  EXPECT_EQ(seen.records.size(), 7U);
  EXPECT_EQ(seen.lost, (std::vector<std::pair<Offset, Offset>>{{7, 10}}));
}

TEST(ColdReaderTest, RecordsOfAnotherEpochAreNeverGiven) {
  SegmentBytes segment;
  segment.add(0, "text");
  shm::UniqueFd file = std::move(*shm::create_memory("segment", segment.bytes_.size()));
  ASSERT_GT(pwrite(file.get(), segment.bytes_.data(), segment.bytes_.size(), 0), 0);
  const Seen seen = read_all({std::move(file),
                              {.end_offset = 1,
                               .start_byte = 4096,
                               .end_byte = segment.bytes_.size(),
                               .log_epoch = kEpoch + 1,
                               .partition_id = kPartition},
                              0,
                              4096});
  EXPECT_TRUE(seen.records.empty());
  EXPECT_EQ(seen.lost.size(), 1U);
}

}  // namespace
}  // namespace mallbots::test
