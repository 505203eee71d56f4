#include "tests/clients/cli/segment_maker.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "shm/layout/record.h"

namespace mallbots::test {
namespace {

constexpr UnixMillis kFirstMs = 1'769'850'300'000;

}  // namespace

SegmentMaker::SegmentMaker(shm::SegmentNumber number, Offset base_offset) : next_(base_offset) {
  header_.log_epoch = 3;
  header_.topic_id = 0x4be1;
  header_.partition_id = 0x1234'5678'9abc'def0;
  header_.number = number;
  header_.base_offset = base_offset;
  header_.base_timestamp_ms = shm::kNoTimestamp;
  header_.created_ms = kFirstMs;
  header_.write_limit_bytes = 1 << 20;
  footer_.runs.push_back({shm::kBlockBytes, 0, base_offset, 0});
  shm::SegmentTrailer& trailer = footer_.trailer;
  trailer.partition_id = header_.partition_id;
  trailer.number = number;
  trailer.base_offset = base_offset;
  trailer.end_offset = base_offset;
  trailer.data_end = shm::kBlockBytes;
  trailer.min_timestamp_ms = shm::kNoTimestamp;
  trailer.running_max_ms = shm::kNoTimestamp;
  trailer.closed_ms = kFirstMs;
  trailer.log_epoch = header_.log_epoch;
}

std::uint64_t SegmentMaker::add(const std::string& key, const std::string& payload) {
  shm::RecordHeader record{};
  record.length = static_cast<std::uint32_t>(shm::kRecordHeaderBytes + key.size() + payload.size());
  record.type = shm::RecordType::kData;
  record.flags = shm::kLastOfBatch | shm::kHasBodyHash;
  record.offset = next_++;
  record.timestamp_ms = kFirstMs + static_cast<UnixMillis>(record.offset);
  record.key_bytes = static_cast<std::uint32_t>(key.size());
  const std::uint64_t seed = key.empty() ? 0 : xxh3(key.data(), key.size());
  record.body_hash = xxh3(payload.data(), payload.size(), seed);
  record.header_check = shm::header_check(
      record, shm::record_seed(PartitionId{header_.partition_id}, header_.log_epoch));
  const std::uint64_t byte = shm::kBlockBytes + bytes_.size();
  footer_.index.push_back({record.offset, byte, footer_.trailer.running_max_ms});

  const std::size_t at = bytes_.size();
  bytes_.resize(at + shm::record_units(record.length) * std::size_t{shm::kUnitBytes});
  std::memcpy(&bytes_[at], &record, sizeof record);
  std::memcpy(&bytes_[at + sizeof record], key.data(), key.size());
  std::memcpy(&bytes_[at + sizeof record + key.size()], payload.data(), payload.size());

  shm::SegmentTrailer& trailer = footer_.trailer;
  trailer.end_offset = next_;
  trailer.data_end = shm::kBlockBytes + bytes_.size();
  ++trailer.records;
  if (trailer.min_timestamp_ms == shm::kNoTimestamp) trailer.min_timestamp_ms = record.timestamp_ms;
  trailer.running_max_ms = record.timestamp_ms;
  footer_.runs.back().end_byte = trailer.data_end;
  return byte;
}

std::vector<std::byte> SegmentMaker::open() const {
  std::vector<std::byte> file = shm::encode_segment_header(header_);
  file.insert(file.end(), bytes_.begin(), bytes_.end());
  file.resize(shm::block_ceil(file.size()));
  return file;
}

std::vector<std::byte> SegmentMaker::closed() const {
  std::vector<std::byte> file = open();
  const std::vector<std::byte> footer = shm::encode_footer(footer_);
  file.insert(file.end(), footer.begin(), footer.end());
  return file;
}

void write_file(const std::string& path, const std::vector<std::byte>& bytes) {
  std::filesystem::create_directories(std::filesystem::path{path}.parent_path());
  std::ofstream file{path, std::ios::binary | std::ios::trunc};
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

}  // namespace mallbots::test
