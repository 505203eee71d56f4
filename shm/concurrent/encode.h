// Putting records into slot memory. Pure; no atomics. Used by producers inside the section (so:
// noexcept, no allocation) and by whoever writes record bytes elsewhere (tests, the persister's
// pads).
#pragma once

#include <cstring>
#include <span>

#include "shm/layout/record.h"

namespace mallbots::shm {

/// What the caller wants appended. Spans must stay valid during the call.
struct RecordInput {
  std::span<const std::byte> payload{};
  std::span<const std::byte> key{};
  std::span<const std::byte> attributes{};  ///< as in record.h: {u16 id, u16 size, bytes} ...
  RecordType type = RecordType::kData;
  std::uint8_t flags = 0;  ///< kInternalEvent only; the rest is set by the append
};

/// Header, attributes, key and payload.
[[nodiscard]] inline std::uint64_t record_bytes(const RecordInput& input) noexcept {
  return kRecordHeaderBytes + input.attributes.size() + input.key.size() + input.payload.size();
}

[[nodiscard]] inline std::uint64_t body_hash(const RecordInput& input) noexcept {
  std::uint64_t seed = 0;
  if (!input.attributes.empty()) seed = xxh3(input.attributes);
  if (!input.key.empty()) seed = xxh3(input.key, seed);
  return xxh3(input.payload, seed);
}

/// Who appends, for the headers of all records of one producer.
struct Author {
  std::uint64_t producer_id = 0;
  std::uint16_t producer_epoch = 0;
  bool hash_bodies = true;
};

/// All of the header that is known before the section: no offset, time, sequence or check yet.
/// Fills it where it will stay: a copy of fields just stored would wait for each of them.
inline void fill_header(RecordHeader& header, const RecordInput& input,
                        const Author& author) noexcept {
  header = RecordHeader{};
  header.length = static_cast<std::uint32_t>(record_bytes(input));
  header.type = input.type;
  header.flags = static_cast<std::uint8_t>((input.flags & kInternalEvent) |
                                           (author.hash_bodies ? kHasBodyHash : 0));
  header.attribute_bytes = static_cast<std::uint16_t>(input.attributes.size());
  header.producer_id = author.producer_id;
  header.body_hash = author.hash_bodies ? body_hash(input) : 0;
  header.producer_epoch = author.producer_epoch;
  header.key_bytes = static_cast<std::uint32_t>(input.key.size());
}

[[nodiscard]] inline RecordHeader prepare_header(const RecordInput& input,
                                                 const Author& author) noexcept {
  RecordHeader header;
  fill_header(header, input, author);
  return header;
}

/// Copies a header whose fields were just stored, word by word: wider loads would wait until all
/// the stores they cover are through, and a string instruction takes as long as a hash to start.
inline void put_header(std::byte* at, const RecordHeader& header) noexcept {
  const auto* const from = reinterpret_cast<const std::byte*>(&header);
  for (std::size_t i = 0; i < sizeof header; i += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, from + i, sizeof word);
    asm("" : "+r"(word));  // or the compiler makes wide loads of these again
    std::memcpy(at + i, &word, sizeof word);
  }
}

/// Copies a non-empty span; returns the byte behind it. Pages of slots are never null, empty spans
/// may be, and memcpy forbids null even for 0 bytes.
inline std::byte* put(std::byte* at, std::span<const std::byte> bytes) noexcept {
  if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
  return at + bytes.size();
}

/// Writes one record at `at` (16-byte aligned, room for its units) and the zeros up to 16 bytes.
/// The header's offset, sequence, time and flags must be final but for the check.
inline void put_record(std::byte* at, RecordHeader& header, const RecordInput& input,
                       std::uint64_t seed) noexcept {
  header.header_check = header_check(header, seed);
  std::byte* const end = at + std::size_t{record_units(header.length)} * kUnitBytes;
  put_header(at, header);
  std::byte* next = put(at + sizeof header, input.attributes);
  next = put(next, input.key);
  next = put(next, input.payload);
  while (next != end) *next++ = std::byte{0};
}

}  // namespace mallbots::shm
