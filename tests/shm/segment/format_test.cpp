// broker/FORMAT.md is held to the code: its offset tables, and the bytes of its worked example.
#include "shm/segment/format.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "shm/concurrent/encode.h"
#include "shm/segment/footer.h"
#include "shm/segment/record_check.h"
#include "tests/support/text_file.h"

namespace mallbots::shm {
namespace {

std::string document() { return test::text_of("broker/FORMAT.md"); }

struct Field {
  const char* name;
  std::size_t offset;
  std::size_t size;
};
#define FIELD(type, name) {#name, offsetof(type, name), sizeof(type::name)}

/// Every field has its row, in order, under the heading.
void expect_table(const std::string& heading, const std::vector<Field>& fields) {
  const std::string text = document();
  const auto begin = text.find("### " + heading + "\n");
  ASSERT_NE(begin, std::string::npos) << heading;
  const std::string part = text.substr(begin, text.find("\n##", begin + 4) - begin);
  std::size_t at = 0;
  for (const Field& field : fields) {
    const std::string row = "| " + std::to_string(field.offset) + " | " +
                            std::to_string(field.size) + " | `" + field.name + "` |";
    const auto found = part.find(row, at);
    ASSERT_NE(found, std::string::npos) << heading << " lacks " << row;
    at = found;
  }
}

TEST(Format, TheDocumentsOffsetsAreTheCodes) {
  expect_table("Record header",
               {FIELD(RecordHeader, length), FIELD(RecordHeader, type), FIELD(RecordHeader, flags),
                FIELD(RecordHeader, attribute_bytes), FIELD(RecordHeader, offset),
                FIELD(RecordHeader, producer_id), FIELD(RecordHeader, sequence),
                FIELD(RecordHeader, timestamp_ms), FIELD(RecordHeader, body_hash),
                FIELD(RecordHeader, producer_epoch), FIELD(RecordHeader, batch_position),
                FIELD(RecordHeader, key_bytes), FIELD(RecordHeader, header_check)});
  expect_table("Header block",
               {FIELD(SegmentHeader, magic), FIELD(SegmentHeader, version),
                FIELD(SegmentHeader, log_epoch), FIELD(SegmentHeader, topic_id),
                FIELD(SegmentHeader, partition_id), FIELD(SegmentHeader, number),
                FIELD(SegmentHeader, base_offset), FIELD(SegmentHeader, base_timestamp_ms),
                FIELD(SegmentHeader, predecessor), FIELD(SegmentHeader, predecessor_end),
                FIELD(SegmentHeader, predecessor_end_offset), FIELD(SegmentHeader, created_ms),
                FIELD(SegmentHeader, write_limit_bytes), FIELD(SegmentHeader, partition_index),
                FIELD(SegmentHeader, reserved), FIELD(SegmentHeader, check)});
  expect_table("Run entry", {FIELD(RunEntry, byte), FIELD(RunEntry, end_byte),
                             FIELD(RunEntry, first_offset), FIELD(RunEntry, slot_gen)});
  expect_table("Index entry", {FIELD(IndexEntry, offset), FIELD(IndexEntry, byte),
                               FIELD(IndexEntry, running_max_ms)});
  expect_table("Damage entry", {FIELD(DamageEntry, byte), FIELD(DamageEntry, end_byte),
                                FIELD(DamageEntry, first_offset), FIELD(DamageEntry, end_offset)});
  expect_table("Trailer",
               {FIELD(SegmentTrailer, magic),          FIELD(SegmentTrailer, version),
                FIELD(SegmentTrailer, flags),          FIELD(SegmentTrailer, partition_id),
                FIELD(SegmentTrailer, number),         FIELD(SegmentTrailer, base_offset),
                FIELD(SegmentTrailer, end_offset),     FIELD(SegmentTrailer, data_end),
                FIELD(SegmentTrailer, records),        FIELD(SegmentTrailer, min_timestamp_ms),
                FIELD(SegmentTrailer, running_max_ms), FIELD(SegmentTrailer, closed_ms),
                FIELD(SegmentTrailer, log_epoch),      FIELD(SegmentTrailer, runs),
                FIELD(SegmentTrailer, index_entries),  FIELD(SegmentTrailer, damages),
                FIELD(SegmentTrailer, footer_bytes),   FIELD(SegmentTrailer, reserved),
                FIELD(SegmentTrailer, body_check),     FIELD(SegmentTrailer, check)});
}

/// The file of the worked example: one record, closed at once.
std::vector<std::byte> example() {
  constexpr PartitionId kPartition{0x0123456789ABCDEF};
  constexpr std::uint64_t kSeed = record_seed(kPartition, 1);
  SegmentHeader header{};
  header.log_epoch = 1;
  header.topic_id = 0x00000000000000AA;
  header.partition_id = static_cast<std::uint64_t>(kPartition);
  header.number = 1;
  header.base_timestamp_ms = kNoTimestamp;
  header.created_ms = 1'700'000'000'000;
  header.write_limit_bytes = 10'616'832;
  std::vector<std::byte> file = encode_segment_header(header);

  const std::string key = "till-1";
  const std::string payload = "hello";
  const RecordInput input{.payload = std::as_bytes(std::span(payload)),
                          .key = std::as_bytes(std::span(key))};
  RecordHeader record = prepare_header(input, {.producer_id = 9});
  record.timestamp_ms = 1'700'000'000'123;
  record.sequence = 1;
  record.flags |= kLastOfBatch;
  file.resize(2 * kBlockBytes);
  put_record(file.data() + kBlockBytes, record, input, kSeed);
  const RecordHeader pad = pad_header(4016, 1, kSeed);
  std::memcpy(file.data() + kBlockBytes + 80, &pad, sizeof(pad));

  SegmentFooter footer;
  footer.trailer.partition_id = header.partition_id;
  footer.trailer.number = 1;
  footer.trailer.end_offset = 1;
  footer.trailer.data_end = kBlockBytes + 80;
  footer.trailer.records = 1;
  footer.trailer.min_timestamp_ms = footer.trailer.running_max_ms = record.timestamp_ms;
  footer.trailer.closed_ms = 1'700'000'000'200;
  footer.trailer.log_epoch = 1;
  footer.runs = {{kBlockBytes, kBlockBytes + 80, 0, 0}};
  footer.index = {{0, kBlockBytes, kNoTimestamp}};
  const auto end = encode_footer(std::move(footer));
  file.insert(file.end(), end.begin(), end.end());
  return file;
}

std::string hex_line(const std::vector<std::byte>& file, std::size_t at) {
  char text[128];
  int n = std::snprintf(text, sizeof(text), "%08zx ", at);
  for (std::size_t i = 0; i < 16; ++i) {
    n += std::snprintf(text + n, sizeof(text) - static_cast<std::size_t>(n), " %02x",
                       static_cast<unsigned>(file[at + i]));
  }
  return text;
}

TEST(Format, TheWorkedExamplesBytesAreTheCodes) {
  const auto file = example();
  const std::string text = document();
  std::string missing;
  for (std::size_t at = 0; at < file.size(); at += 16) {
    const bool zero = std::all_of(file.begin() + static_cast<std::ptrdiff_t>(at),
                                  file.begin() + static_cast<std::ptrdiff_t>(at + 16),
                                  [](std::byte b) { return b == std::byte{0}; });
    if (zero) continue;
    const std::string line = hex_line(file, at);
    if (text.find(line) == std::string::npos) missing += line + "\n";
  }
  EXPECT_EQ(missing, "") << "the document must show these lines";
}

}  // namespace
}  // namespace mallbots::shm
