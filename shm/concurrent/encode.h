// Putting records into slot memory. Pure; no atomics. Used by producers inside the section (so:
// noexcept, no allocation) and by whoever writes record bytes elsewhere (tests, the persister's
// pads).
#pragma once

#include <bit>
#include <cstring>
#include <iterator>
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
  if (input.attributes.empty() && input.key.empty()) return xxh3(input.payload);
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

/// What the section adds to a record of the log.
struct RecordPlace {
  Offset offset = 0;
  std::uint64_t sequence = 0;
  UnixMillis timestamp_ms = 0;
  std::uint32_t batch_position = 0;
  bool ends_batch = true;
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

/// Copies a span; returns the byte behind it. Pages of slots are never null, empty spans may be,
/// and memcpy forbids null even for 0 bytes. Small ones without a call.
inline std::byte* put(std::byte* at, std::span<const std::byte> bytes) noexcept {
  constexpr std::size_t kStep = 16;
  constexpr std::size_t kWithoutCall = 256;
  const std::byte* from = bytes.data();
  std::size_t left = bytes.size();
  if (left == 0) return at;  // of a plain record two of three are
  if (left > kWithoutCall) {
    std::memcpy(at, from, left);
    return at + left;
  }
  for (; left >= 4 * kStep; left -= 4 * kStep, from += 4 * kStep, at += 4 * kStep) {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4 * kStep; i += kStep) std::memcpy(at + i, from + i, kStep);
    asm("" : "+r"(at));  // or the compiler makes a call of the loop
  }
  for (; left >= kStep; left -= kStep, from += kStep, at += kStep) {
    std::memcpy(at, from, kStep);
    asm("" : "+r"(at));
  }
  for (; left != 0; --left) *at++ = *from++;
  return at;
}

/// Writes one record at `at` (16-byte aligned, room for its units), with the zeros up to 16 bytes;
/// returns the byte behind it. The header is made in registers, eight bytes at a time, hashed there
/// and stored once: a narrow store that is loaded wider at once costs as much as the hash.
[[gnu::always_inline]] inline std::byte* write_record(std::byte* at, const RecordInput& input,
                                                      const Author& author, std::uint64_t body_hash,
                                                      const RecordPlace& place,
                                                      std::uint64_t seed) noexcept {
  static_assert(std::endian::native == std::endian::little && sizeof(RecordHeader) == 64);
  const std::uint64_t length = record_bytes(input);
  const std::uint64_t flags = (input.flags & kInternalEvent) |
                              static_cast<std::uint64_t>(author.hash_bodies ? kHasBodyHash : 0) |
                              static_cast<std::uint64_t>(place.ends_batch ? kLastOfBatch : 0);
  // As RecordHeader has them.
  std::uint64_t words[] = {length | static_cast<std::uint64_t>(input.type) << 32 | flags << 40 |
                               std::uint64_t{input.attributes.size()} << 48,
                           place.offset,
                           author.producer_id,
                           place.sequence,
                           static_cast<std::uint64_t>(place.timestamp_ms),
                           body_hash,
                           author.producer_epoch | std::uint64_t{place.batch_position} << 16 |
                               std::uint64_t{input.key.size()} << 32,
                           0};
  words[7] = xxh3(words, offsetof(RecordHeader, header_check), seed);
#pragma GCC unroll 8
  for (std::size_t i = 0; i < std::size(words); ++i) {
    std::uint64_t value = words[i];
    asm("" : "+r"(value));  // or the compiler joins stores, and loads of what it has just stored
    std::memcpy(at + i * sizeof value, &value, sizeof value);
  }
  at += sizeof words;
  at = put(at, input.attributes);
  at = put(at, input.key);
  at = put(at, input.payload);
  for (std::size_t end = length; end % kUnitBytes != 0; ++end) *at++ = std::byte{0};
  return at;
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
