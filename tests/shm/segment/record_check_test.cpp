#include "shm/segment/record_check.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "shm/concurrent/encode.h"

namespace mallbots::shm {
namespace {

constexpr std::uint64_t kSeed = record_seed(PartitionId{0x1122334455667788}, 3);

struct alignas(16) Unit {
  std::byte bytes[kUnitBytes];
};

std::span<const std::byte> text(const std::string& value) {
  return std::as_bytes(std::span(value));
}

std::vector<Unit> one_record(const RecordInput& input, Offset offset) {
  RecordHeader header = prepare_header(input, {.producer_id = 7});
  header.offset = offset;
  header.flags |= kLastOfBatch;
  std::vector<Unit> units(record_units(header.length));
  put_record(units.front().bytes, header, input, kSeed);
  return units;
}

std::span<std::byte> bytes_of(std::vector<Unit>& units) {
  return {units.front().bytes, units.size() * kUnitBytes};
}

RC_GTEST_PROP(RecordCheck, GivesBackWhatAProducerWrote,
              (std::string attributes, std::string key, std::string payload, Offset offset)) {
  RC_PRE(offset < kNoOffset - 1);
  auto units = one_record(
      {.payload = text(payload), .key = text(key), .attributes = text(attributes)}, offset);
  const auto checked = check_record(bytes_of(units), kSeed, BodyCheck::kVerify);
  RC_ASSERT(checked.good());
  RC_ASSERT(checked.bytes == units.size() * kUnitBytes);
  RC_ASSERT(checked.header.offset == offset);
  RC_ASSERT(std::ranges::equal(checked.view.attributes, text(attributes)));
  RC_ASSERT(std::ranges::equal(checked.view.key, text(key)));
  RC_ASSERT(std::ranges::equal(checked.view.payload, text(payload)));
}

RC_GTEST_PROP(RecordCheck, NoFlippedBitOfARecordGoesUnseen,
              (std::string key, std::string payload)) {
  auto units = one_record({.payload = text(payload), .key = text(key)}, 5);
  auto bytes = bytes_of(units);
  const std::size_t length = kRecordHeaderBytes + key.size() + payload.size();
  const auto at = *rc::gen::inRange<std::size_t>(0, length);
  const auto bit = *rc::gen::inRange(0, 8);
  bytes[at] ^= static_cast<std::byte>(1 << bit);
  RC_ASSERT(!check_record(bytes, kSeed, BodyCheck::kVerify).good());
}

RC_GTEST_PROP(RecordCheck, NeverReadsBehindTheBytesWhateverTheySay,
              (std::vector<std::uint8_t> noise)) {
  std::vector<Unit> units(noise.size() / kUnitBytes + 1);
  if (!noise.empty()) std::memcpy(units.front().bytes, noise.data(), noise.size());
  auto bytes = bytes_of(units);
  if (bytes.size() >= kRecordHeaderBytes && *rc::gen::arbitrary<bool>()) {
    // A header that checks out with lengths that lie.
    RecordHeader header;
    std::memcpy(&header, bytes.data(), sizeof(header));
    header.header_check = header_check(header, kSeed);
    std::memcpy(bytes.data(), &header, sizeof(header));
  }
  const auto checked = check_record(bytes, kSeed, BodyCheck::kVerify);
  if (checked.good()) {
    RC_ASSERT(checked.bytes <= bytes.size());
    RC_ASSERT(checked.view.payload.data() + checked.view.payload.size() <=
              bytes.data() + bytes.size());
  }
}

TEST(RecordCheck, AnotherPartitionsOrEpochsRecordNeverChecksOut) {
  const std::string payload = "x";
  auto units = one_record({.payload = text(payload)}, 0);
  for (const auto seed : {record_seed(PartitionId{0x1122334455667788}, 4),
                          record_seed(PartitionId{0x1122334455667789}, 3)}) {
    EXPECT_EQ(check_record(bytes_of(units), seed, BodyCheck::kVerify).fault,
              RecordFault::kHeaderCheck);
  }
}

TEST(RecordCheck, SaysHowMuchMoreItNeeds) {
  const std::string payload(1000, 'x');
  auto units = one_record({.payload = text(payload)}, 0);
  const auto bytes = bytes_of(units);
  for (std::size_t n = 16; n < bytes.size(); n += 16) {
    const auto checked = check_record(bytes.first(n), kSeed, BodyCheck::kVerify);
    EXPECT_EQ(checked.fault, RecordFault::kTruncated);
    EXPECT_GT(checked.bytes, n);
    EXPECT_LE(checked.bytes, bytes.size());
  }
}

TEST(RecordCheck, ALengthNearTheLimitDoesNotWrapToNothing) {
  const std::string payload = "x";
  auto units = one_record({.payload = text(payload)}, 0);
  const auto bytes = bytes_of(units);
  for (const std::uint32_t length : {0xFFFF'FFFFU, 0xFFFF'FFF1U, 0xFFFF'FFF0U}) {
    RecordHeader header;
    std::memcpy(&header, bytes.data(), sizeof(header));
    header.length = length;
    header.header_check = header_check(header, kSeed);
    std::memcpy(bytes.data(), &header, sizeof(header));
    EXPECT_EQ(check_record(bytes, kSeed, BodyCheck::kVerify).fault, RecordFault::kTruncated);
  }
}

TEST(RecordCheck, ZerosAreUnwrittenNotDamaged) {
  const std::vector<Unit> zeros(8);
  EXPECT_EQ(check_record({zeros.front().bytes, 128}, kSeed, BodyCheck::kVerify).fault,
            RecordFault::kUnwritten);
}

TEST(RecordCheck, PadsAndDamagedRecordsCheckOutAndCountTheirOffsets) {
  std::vector<Unit> units(20);
  const auto bytes = bytes_of(units);
  const RecordHeader pad = pad_header(static_cast<std::uint32_t>(bytes.size()), 9, kSeed);
  std::memcpy(bytes.data(), &pad, sizeof(pad));
  auto checked = check_record(bytes, kSeed, BodyCheck::kVerify);
  ASSERT_TRUE(checked.good());
  EXPECT_EQ(offsets_of(checked.header), 0U);
  EXPECT_EQ(checked.bytes, bytes.size());
  const RecordHeader damaged = damaged_header(64, 9, 12, kSeed);
  std::memcpy(bytes.data(), &damaged, sizeof(damaged));
  checked = check_record(bytes, kSeed, BodyCheck::kVerify);
  ASSERT_TRUE(checked.good());
  EXPECT_EQ(offsets_of(checked.header), 3U);
}

TEST(RecordCheck, FindsTheNextRecordWithinTheOffsetsThatAreDue) {
  const std::string payload = "payload";
  std::vector<Unit> units(4, Unit{});
  for (auto& unit : units) std::memset(unit.bytes, 0xAB, sizeof(unit.bytes));
  const auto record = one_record({.payload = text(payload)}, 20);
  units.insert(units.end(), record.begin(), record.end());
  const auto bytes = bytes_of(units);
  EXPECT_EQ(find_next_record(bytes, kSeed, {16, 20, 20}), 64U);
  EXPECT_EQ(find_next_record(bytes, kSeed, {16, 0, kNoOffset}), 64U);
  EXPECT_EQ(find_next_record(bytes, kSeed, {16, 21, kNoOffset}), bytes.size()) << "an old record";
  EXPECT_EQ(find_next_record(bytes, kSeed, {16, 0, 19}), bytes.size()) << "one that cannot be";
  EXPECT_EQ(find_next_record(bytes, kSeed, {80, 0, kNoOffset}), bytes.size());
}

}  // namespace
}  // namespace mallbots::shm
