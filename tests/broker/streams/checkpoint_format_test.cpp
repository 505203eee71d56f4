#include "broker/streams/checkpoint_format.h"
#include "tests/support/text_file.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>
#include <vector>

namespace mallbots::broker {
namespace {

constexpr PartitionId kPartition{0x1234};

StreamState some_state(std::uint64_t seed) {
  StreamState state{.version = 1 + seed % 60, .roots = {}};
  for (shm::StreamVersion v = 1; v <= state.version; ++v) state.roots.push(v, seed + v);
  if (seed % 7 == 0) {
    state.deleted = true;
    state.first = state.version + 1;
  } else if (seed % 5 == 0) {
    state.first = 1 + seed % (state.version + 1);
  }
  return state;
}

std::vector<std::byte> full_block(std::uint32_t& streams) {
  std::vector<std::byte> bytes(kCheckpointBlockBytes, std::byte{0xEE});
  CheckpointBlock block{bytes};
  for (streams = 0; block.add(stream_key(std::to_string(streams)), some_state(streams));) ++streams;
  block.seal({kPartition, 3, 77}, 5);
  return bytes;
}

TEST(CheckpointFormat, GivesBackEveryState) {
  std::uint32_t streams = 0;
  const auto bytes = full_block(streams);
  EXPECT_GT(streams, 900U);
  const auto head = check_block(bytes, kPartition, 5);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->from_offset, 77U);
  EXPECT_EQ(head->streams, streams);
  StreamIndex index;
  ASSERT_TRUE(take_streams(bytes, index));
  ASSERT_EQ(index.streams(), streams);
  for (std::uint32_t i = 0; i < streams; ++i) {
    const StreamState expected = some_state(i);
    const StreamState found = index.state_of(stream_key(std::to_string(i)));
    EXPECT_EQ(found.version, expected.version);
    EXPECT_EQ(found.first, expected.first);
    EXPECT_EQ(found.deleted, expected.deleted);
    for (std::size_t k = 0; k < expected.roots.count(); ++k)
      EXPECT_EQ(found.roots.at(k), expected.roots.at(k));
  }
}

TEST(CheckpointFormat, RefusesABlockWithAnyFlippedBit) {
  std::uint32_t streams = 0;
  const auto bytes = full_block(streams);
  EXPECT_TRUE(rc::check("any bit", [&] {
    CheckpointHead head;
    std::memcpy(&head, bytes.data(), sizeof head);
    const auto bit =
        *rc::gen::inRange<std::size_t>(0, (sizeof head + head.payload_bytes) * std::size_t{8});
    auto flipped = bytes;
    flipped[bit / 8] ^= std::byte{1} << (bit % 8);
    RC_ASSERT(!check_block(flipped, kPartition, 5));
  }));
}

TEST(CheckpointFormat, RefusesABlockOfAnotherPlace) {
  std::uint32_t streams = 0;
  const auto bytes = full_block(streams);
  EXPECT_EQ(check_block(bytes, kPartition, 4).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(check_block(bytes, PartitionId{9}, 5).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(check_block(std::span{bytes}.first(4096), kPartition, 5).error().code,
            ErrorCode::kCorrupt);
}

TEST(CheckpointFormat, OfAnyEntriesIsReadWithinThem) {
  EXPECT_TRUE(rc::check("any payload", [](const std::vector<std::uint8_t>& payload) {
    std::vector<std::byte> bytes(kCheckpointBlockBytes);
    CheckpointHead head{};
    head.payload_bytes = static_cast<std::uint32_t>(payload.size());
    head.streams = *rc::gen::inRange(0U, 5U);
    std::memcpy(bytes.data(), &head, sizeof head);
    if (!payload.empty()) std::memcpy(bytes.data() + sizeof head, payload.data(), payload.size());
    StreamIndex index;
    static_cast<void>(take_streams(bytes, index));
  }));
}

TEST(CheckpointFormat, IsTheDocumentsTable) {
  const std::string document = test::text_of("broker/FORMAT.md");
  const auto begin = document.find("`streams`, the checkpoint");
  ASSERT_NE(begin, std::string::npos);
  struct Field {
    const char* name;
    std::size_t offset, size;
  };
#define FIELD(name) \
  Field { #name, offsetof(CheckpointHead, name), sizeof(CheckpointHead::name) }
  for (const Field& field : {FIELD(magic), FIELD(version), FIELD(number), FIELD(partition_id),
                             FIELD(from_offset), FIELD(end_offset), FIELD(log_epoch),
                             FIELD(streams), FIELD(payload_bytes), FIELD(flags), FIELD(check)}) {
    const std::string row = "| " + std::to_string(field.offset) + " | " +
                            std::to_string(field.size) + " | `" + field.name + "` |";
    EXPECT_NE(document.find(row, begin), std::string::npos) << row;
  }
}

}  // namespace
}  // namespace mallbots::broker
