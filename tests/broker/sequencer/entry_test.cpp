#include "broker/sequencer/entry.h"

#include <gtest/gtest.h>

#include <cstring>

#include "shm/concurrent/ingest.h"

namespace mallbots::test {
namespace {

using broker::check_entry;
using broker::EntryFields;
using broker::EntryParts;

constexpr std::size_t kRecordMax = 4096;

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto* from = reinterpret_cast<const std::byte*>(text.data());
  return {from, from + text.size()};
}

std::vector<std::byte> attribute(std::uint16_t id, std::string_view value) {
  std::vector<std::byte> block(4);
  const auto size = static_cast<std::uint16_t>(value.size());
  std::memcpy(block.data(), &id, 2);
  std::memcpy(block.data() + 2, &size, 2);
  const auto text = bytes_of(value);
  block.insert(block.end(), text.begin(), text.end());
  return block;
}

/// One record as a client lays it out.
void put(std::vector<std::byte>& data, std::string_view payload, std::string_view key = {},
         const std::vector<std::byte>& attributes = {}, std::uint8_t type = 2) {
  const shm::IngestRecord header{.payload_bytes = static_cast<std::uint32_t>(payload.size()),
                                 .key_bytes = static_cast<std::uint32_t>(key.size()),
                                 .attribute_bytes = static_cast<std::uint16_t>(attributes.size()),
                                 .type = type};
  const auto* from = reinterpret_cast<const std::byte*>(&header);
  data.insert(data.end(), from, from + sizeof header);
  data.insert(data.end(), attributes.begin(), attributes.end());
  for (const auto& text : {bytes_of(key), bytes_of(payload)})
    data.insert(data.end(), text.begin(), text.end());
  data.resize((data.size() + 15) / 16 * 16);
}

EntryFields append_of(const std::vector<std::byte>& data, std::uint32_t records) {
  return {.data_bytes = static_cast<std::uint32_t>(data.size()),
          .records = records,
          .kind = static_cast<std::uint16_t>(shm::IngestKind::kAppend),
          .sequence = 1};
}

ErrorCode judge(const EntryFields& fields, const std::vector<std::byte>& data) {
  EntryParts parts;
  return check_entry(fields, data, kRecordMax, parts);
}

TEST(Entry, RecordsComeOutAsTheyWentIn) {
  std::vector<std::byte> data;
  const auto header = attribute(1, std::string{"\4name", 5} + "value");
  put(data, "payload", "key", header);
  put(data, "", "", {}, 4);
  EntryParts parts;
  ASSERT_EQ(check_entry(append_of(data, 2), data, kRecordMax, parts), ErrorCode::kNone);
  ASSERT_EQ(parts.records.size(), 2U);
  EXPECT_EQ(std::memcmp(parts.records[0].payload.data(), "payload", 7), 0);
  EXPECT_EQ(parts.records[0].key.size(), 3U);
  EXPECT_EQ(parts.records[0].attributes.size(), header.size());
  EXPECT_EQ(parts.records[1].type, shm::RecordType::kTombstone);
  EXPECT_TRUE(parts.records[1].payload.empty());
}

TEST(Entry, RequestComesBeforeTheRecords) {
  std::vector<std::byte> data = bytes_of("stream-17");
  data.resize(16);
  put(data, "event");
  EntryFields fields = append_of(data, 1);
  fields.kind = 16;
  fields.request_bytes = 9;
  EntryParts parts;
  ASSERT_EQ(check_entry(fields, data, kRecordMax, parts), ErrorCode::kNone);
  EXPECT_EQ(parts.request.size(), 9U);
  EXPECT_EQ(parts.records.size(), 1U);
}

TEST(Entry, LengthsThatDoNotFitAreRefused) {
  std::vector<std::byte> data;
  put(data, "payload", "key");
  EXPECT_EQ(judge(append_of(data, 1), data), ErrorCode::kNone);
  EXPECT_EQ(judge(append_of(data, 2), data), ErrorCode::kBadMessage);
  EXPECT_EQ(judge(append_of(data, 0), data), ErrorCode::kBadMessage);
  EXPECT_EQ(judge(append_of(data, 0xFFFF'FFFF), data), ErrorCode::kBadMessage);
  for (const std::size_t at : {0U, 4U, 8U}) {
    auto longer = data;
    longer[at] = std::byte{0x60};
    longer[at + 1] = std::byte{0xFF};
    EXPECT_EQ(judge(append_of(longer, 1), longer), ErrorCode::kBadMessage) << at;
  }
  auto rest = data;
  rest.resize(data.size() + 16);
  EXPECT_EQ(judge(append_of(rest, 1), rest), ErrorCode::kBadMessage);
  EntryFields fields = append_of(data, 1);
  fields.kind = 16;
  fields.request_bytes = 0xFFFF'FFF8;
  EXPECT_EQ(judge(fields, data), ErrorCode::kBadMessage);
}

TEST(Entry, PlacesOutsideTheDataAreaAreRefused) {
  const auto within = [](std::uint32_t at, std::uint32_t bytes) {
    return broker::lies_within({.data_at = at, .data_bytes = bytes}, 65'536);
  };
  EXPECT_TRUE(within(0, 65'536));
  EXPECT_TRUE(within(65'536, 0));
  EXPECT_FALSE(within(16, 65'536));
  EXPECT_FALSE(within(8, 16));
  EXPECT_FALSE(within(0xFFFF'FFF0, 0x20));
  EXPECT_FALSE(within(0, 0xFFFF'FFFF));
}

TEST(Entry, KindsTypesAndFlagsThatAreNoneAreRefused) {
  std::vector<std::byte> data;
  put(data, "payload");
  for (const std::uint16_t kind : {0, 3, 15}) {
    EntryFields fields = append_of(data, 1);
    fields.kind = kind;
    EXPECT_EQ(judge(fields, data), ErrorCode::kBadMessage) << kind;
  }
  EntryFields flagged = append_of(data, 1);
  flagged.flags = 2;
  EXPECT_EQ(judge(flagged, data), ErrorCode::kBadMessage);
  EntryFields uncounted = append_of(data, 1);
  uncounted.sequence = 0;
  EXPECT_EQ(judge(uncounted, data), ErrorCode::kBadMessage);
  for (const std::uint8_t type : {0, 1, 3, 5, 255}) {
    std::vector<std::byte> other;
    put(other, "payload", {}, {}, type);
    EXPECT_EQ(judge(append_of(other, 1), other), ErrorCode::kBadMessage) << int{type};
  }
  EXPECT_EQ(judge({.kind = 2}, {}), ErrorCode::kNone);
}

TEST(Entry, MoreThanRecordMaxIsTooLarge) {
  std::vector<std::byte> data;
  put(data, std::string(kRecordMax - 64, 'x'));
  EXPECT_EQ(judge(append_of(data, 1), data), ErrorCode::kNone);
  put(data, "");
  EXPECT_EQ(judge(append_of(data, 2), data), ErrorCode::kTooLarge);
}

TEST(Entry, AttributesThatOnlyTheBrokerSetsAreNotPermitted) {
  const auto with = [](const std::vector<std::byte>& attributes) {
    std::vector<std::byte> data;
    put(data, "payload", "key", attributes);
    return judge(append_of(data, 1), data);
  };
  for (std::uint16_t id = 0; id < 0x8000; ++id) {
    if (id == 1 || id == 9) continue;
    ASSERT_EQ(with(attribute(id, "12345678")), ErrorCode::kNotPermitted) << id;
  }
  EXPECT_EQ(with(attribute(0x8000, "own")), ErrorCode::kNone);
  EXPECT_EQ(with(attribute(1, "")), ErrorCode::kBadMessage);
  EXPECT_EQ(with(attribute(1, "\5name")), ErrorCode::kBadMessage);
  EXPECT_EQ(with(attribute(9, "short")), ErrorCode::kBadMessage);
  EXPECT_EQ(with({std::byte{1}, std::byte{0}, std::byte{9}}), ErrorCode::kBadMessage);
}

TEST(Entry, NamesOfHeadersAreUtf8) {
  const auto named = [](std::string_view name) {
    std::vector<std::byte> data;
    put(data, "", "",
        attribute(1, std::string(1, static_cast<char>(name.size())) + std::string{name} +
                         "\xff any value"));
    return judge(append_of(data, 1), data);
  };
  for (const char* good : {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\xa4\x96", "\xed\x9f\xbf"})
    EXPECT_EQ(named(good), ErrorCode::kNone) << good;
  for (const char* bad : {"\x80", "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xe2\x82",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "a\xff"})
    EXPECT_EQ(named(bad), ErrorCode::kBadMessage) << bad;
}

TEST(Entry, IsCopiedBeforeItIsJudged) {
  auto ring = std::make_unique<shm::IngestRing>();
  std::vector<std::byte> area(65'536);
  std::vector<std::byte> data;
  put(data, "payload");
  std::ranges::copy(data, area.begin() + 32);
  shm::IngestEntry& entry = shm::entry_of(*ring, 5);
  entry.data_at = 32;
  entry.data_bytes = static_cast<std::uint32_t>(data.size());
  entry.records = 1;
  entry.kind = 1;
  entry.sequence = 9;
  broker::EntryCopy copy;
  ASSERT_EQ(copy.take(*ring, area, 5, kRecordMax), ErrorCode::kNone);
  std::ranges::fill(area, std::byte{0xFF});
  entry.sequence = 1;
  EXPECT_EQ(copy.fields().sequence, 9U);
  EXPECT_EQ(std::memcmp(copy.records()[0].payload.data(), "payload", 7), 0);
}

}  // namespace
}  // namespace mallbots::test
