#include "shm/segment/record_check.h"

#include <algorithm>
#include <cstring>

namespace mallbots::shm {

namespace {

RecordHeader read_header(std::span<const std::byte> bytes) noexcept {
  RecordHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  return header;
}

bool is_zero(std::span<const std::byte> bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

/// Of the header as read once: the lengths fit into each other.
bool lengths_agree(const RecordHeader& header) noexcept {
  const std::uint64_t inside =
      kRecordHeaderBytes + std::uint64_t{header.attribute_bytes} + std::uint64_t{header.key_bytes};
  const auto type = static_cast<std::uint8_t>(header.type);
  return inside <= header.length && type >= 1 &&
         type <= static_cast<std::uint8_t>(RecordType::kControl) &&
         offsets_of(header) <= kNoOffset - header.offset;
}

/// The same chain as a producer's: attributes, then key, then payload, each seeding the next.
std::uint64_t hash_of(const RecordView& view) noexcept {
  std::uint64_t seed = 0;
  if (!view.attributes.empty()) seed = xxh3(view.attributes);
  if (!view.key.empty()) seed = xxh3(view.key, seed);
  return xxh3(view.payload, seed);
}

}  // namespace

std::string_view fault_name(RecordFault fault) noexcept {
  switch (fault) {
    case RecordFault::kNone:
      return "good";
    case RecordFault::kTruncated:
      return "it ends before its length says";
    case RecordFault::kUnwritten:
      return "nothing was written there";
    case RecordFault::kHeaderCheck:
      return "its header check does not match";
    case RecordFault::kLengths:
      return "its lengths contradict each other";
    case RecordFault::kBodyHash:
      return "its body hash does not match";
  }
  return "unknown";
}

CheckedRecord check_record(std::span<const std::byte> bytes, std::uint64_t seed,
                           BodyCheck body) noexcept {
  CheckedRecord result;
  if (bytes.size() >= kUnitBytes && is_zero(bytes.first(kUnitBytes))) {
    result.fault = RecordFault::kUnwritten;
    return result;
  }
  if (bytes.size() < kRecordHeaderBytes) {
    result.fault = RecordFault::kTruncated;
    result.bytes = kRecordHeaderBytes;
    return result;
  }
  const RecordHeader header = read_header(bytes);
  if (header.header_check != header_check(header, seed)) {
    result.fault = RecordFault::kHeaderCheck;
    return result;
  }
  result.header = header;
  // In 64 bits: the largest lengths wrap to nothing in the header's own 32.
  result.bytes = (std::uint64_t{header.length} + kUnitBytes - 1) / kUnitBytes * kUnitBytes;
  if (!lengths_agree(header)) {
    result.fault = RecordFault::kLengths;
    return result;
  }
  if (result.bytes > bytes.size()) {
    result.fault = RecordFault::kTruncated;
    return result;
  }
  const auto inner = bytes.subspan(kRecordHeaderBytes, header.length - kRecordHeaderBytes);
  result.view.header = reinterpret_cast<const RecordHeader*>(bytes.data());
  result.view.attributes = inner.first(header.attribute_bytes);
  result.view.key = inner.subspan(header.attribute_bytes, header.key_bytes);
  result.view.payload = inner.subspan(std::size_t{header.attribute_bytes} + header.key_bytes);
  if (body == BodyCheck::kVerify && (header.flags & kHasBodyHash) != 0 &&
      header.body_hash != hash_of(result.view)) {
    result.fault = RecordFault::kBodyHash;
  }
  return result;
}

std::uint64_t find_next_record(std::span<const std::byte> bytes, std::uint64_t seed,
                               const Resync& resync) noexcept {
  std::uint64_t at = (resync.from + kUnitBytes - 1) / kUnitBytes * kUnitBytes;
  for (; at + kRecordHeaderBytes <= bytes.size(); at += kUnitBytes) {
    const RecordHeader header = read_header(bytes.subspan(at));
    // Cheap refusals first: this looks at every 16th byte of what may be much damage.
    if (header.length < kRecordHeaderBytes || header.offset < resync.at_least ||
        header.offset > resync.at_most || header.header_check != header_check(header, seed)) {
      continue;
    }
    if (lengths_agree(header)) return at;
  }
  return bytes.size() / kUnitBytes * kUnitBytes;
}

RecordHeader pad_header(std::uint32_t bytes, Offset next, std::uint64_t seed) noexcept {
  RecordHeader header{};
  header.length = bytes;
  header.type = RecordType::kPad;
  header.offset = next;
  header.header_check = header_check(header, seed);
  return header;
}

RecordHeader damaged_header(std::uint32_t bytes, Offset first, Offset end,
                            std::uint64_t seed) noexcept {
  RecordHeader header{};
  header.length = bytes;
  header.type = RecordType::kDamaged;
  header.flags = kLastOfBatch;
  header.offset = first;
  header.sequence = end - first;
  header.header_check = header_check(header, seed);
  return header;
}

}  // namespace mallbots::shm
