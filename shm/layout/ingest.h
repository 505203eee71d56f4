// An ingest ring: where one producer of a topic with ingest=sequenced hands its records in.
// LAYOUT.md, "Ingest ring".
//
// Written by that client but for the lines marked so; mapped by it and by the broker. Whatever
// stands here the client may have written: the broker reads every byte once, into memory of its
// own, before it looks at it. The algorithms are in shm/concurrent/ingest.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "shm/layout/layout.h"

namespace mallbots::shm {

/// What an entry asks for. From kFirstOfTopic on the topic's type gives the meaning
/// (broker/sequencer/admission.h).
enum class IngestKind : std::uint16_t {
  kAppend = 1,  ///< the records, with the sequence; `expected`: the first one's offset or kNoOffset
  kFlush = 2,   ///< no records: somebody will wait until what was appended before is durable
  kFirstOfTopic = 16,
};

enum IngestFlag : std::uint16_t {
  kAwaitDurable = 1,  ///< somebody will wait until these records are durable
};

/// The lower bits of an entry's state; the upper ones are the entry's number.
enum class IngestState : std::uint8_t {
  kHandedIn = 1,   ///< by the client
  kTaken = 2,      ///< by the broker: from now on the outcome is the broker's to say
  kWithdrawn = 3,  ///< by the client: definitely not appended
};

inline constexpr std::uint32_t kIngestEntries = 128;
inline constexpr std::size_t kIngestArguments = 8;
inline constexpr std::size_t kIngestExtras = 4;

/// Entry number n (0, 1, 2 ... without end) is in place n mod kIngestEntries; a client uses a place
/// again once the entry that had it was answered.
struct alignas(kLinePairBytes) IngestEntry {
  std::atomic<std::uint64_t> state;  ///< {number : 61, IngestState : 3}, stored last
  std::uint32_t data_at;             ///< of the entry's data in the ring's data area, 16-byte steps
  std::uint32_t data_bytes;
  std::uint32_t request_bytes;  ///< of the data: what a kind brings beside records, comes first
  std::uint32_t records;
  std::uint16_t kind;
  std::uint16_t flags;
  std::uint32_t reserved;
  std::uint64_t sequence;  ///< of the first record, by the producer's own count; never 0
  std::uint64_t expected;
  std::uint64_t reserved_more[2];
  std::uint64_t arguments[kIngestArguments];  ///< by kind
};
static_assert(offsetof(IngestEntry, state) == 0);
static_assert(offsetof(IngestEntry, data_at) == 8);
static_assert(offsetof(IngestEntry, data_bytes) == 12);
static_assert(offsetof(IngestEntry, request_bytes) == 16);
static_assert(offsetof(IngestEntry, records) == 20);
static_assert(offsetof(IngestEntry, kind) == 24);
static_assert(offsetof(IngestEntry, flags) == 26);
static_assert(offsetof(IngestEntry, sequence) == 32);
static_assert(offsetof(IngestEntry, expected) == 40);
static_assert(offsetof(IngestEntry, arguments) == 64);
static_assert(sizeof(IngestEntry) == 128);

enum IngestAnswerFlag : std::uint32_t {
  kDuplicateAnswer = 1,  ///< the sequence was accepted before; nothing was appended now
};

/// Written by the broker: the outcome of entry n, in place n mod kIngestEntries.
struct alignas(kLineBytes) IngestAnswer {
  std::atomic<std::uint64_t> number;  ///< n + 1, stored last
  std::uint32_t code;                 ///< ErrorCode; 0: done
  std::uint32_t flags;
  /// Offset of the first record; Conflict: the actual offset or version; OutOfSequence: the last
  /// sequence accepted.
  std::uint64_t value;
  std::int64_t timestamp_ms;
  /// By kind. Of a duplicate, whatever the kind, the first is the end of what the ring has appended
  /// and memory has kept: what was accepted before is durable once that is; 0: it is.
  std::uint64_t extras[kIngestExtras];
};
static_assert(offsetof(IngestAnswer, number) == 0);
static_assert(offsetof(IngestAnswer, code) == 8);
static_assert(offsetof(IngestAnswer, flags) == 12);
static_assert(offsetof(IngestAnswer, value) == 16);
static_assert(offsetof(IngestAnswer, timestamp_ms) == 24);
static_assert(offsetof(IngestAnswer, extras) == 32);
static_assert(sizeof(IngestAnswer) == 64);

/// Before each record in an entry's data; attributes, key and payload follow it, then zeros up to
/// 16 bytes. Smaller than a record of the log, so that what fits record.max fits the data area.
struct IngestRecord {
  std::uint32_t payload_bytes;
  std::uint32_t key_bytes;
  std::uint16_t attribute_bytes;
  std::uint8_t type;   ///< RecordType: data or tombstone
  std::uint8_t flags;  ///< kInternalEvent or 0
  std::uint32_t reserved;
};
static_assert(offsetof(IngestRecord, payload_bytes) == 0);
static_assert(offsetof(IngestRecord, key_bytes) == 4);
static_assert(offsetof(IngestRecord, attribute_bytes) == 8);
static_assert(offsetof(IngestRecord, type) == 10);
static_assert(offsetof(IngestRecord, flags) == 11);
static_assert(sizeof(IngestRecord) == 16);

struct IngestHeader {
  PageHeader page;
  // Written by the broker, once.
  std::uint64_t partition_id;
  std::uint64_t producer_id;
  std::uint32_t data_bytes;
  std::uint32_t reserved;
  /// Written by the client: how many entries it has handed in; for metrics only.
  alignas(kLinePairBytes) std::atomic<std::uint64_t> handed_in;
  // Written by the broker.
  alignas(kLinePairBytes) std::atomic<std::uint64_t> answered;  ///< entries, for its successor
  std::atomic<std::uint64_t> last_sequence;  ///< accepted; stored before the answer
  std::atomic<std::uint32_t> closed;         ///< not 0: what has no answer by now never gets one
  /// Written by both: eventcount of the client that waits for answers.
  alignas(kLinePairBytes) std::atomic<std::uint32_t> answers;
  std::byte reserved_more[kPageBytes - 4 * kLinePairBytes];
};
static_assert(offsetof(IngestHeader, partition_id) == 16);
static_assert(offsetof(IngestHeader, producer_id) == 24);
static_assert(offsetof(IngestHeader, data_bytes) == 32);
static_assert(offsetof(IngestHeader, handed_in) == 128);
static_assert(offsetof(IngestHeader, answered) == 256);
static_assert(offsetof(IngestHeader, last_sequence) == 264);
static_assert(offsetof(IngestHeader, closed) == 272);
static_assert(offsetof(IngestHeader, answers) == 384);
static_assert(sizeof(IngestHeader) == kPageBytes);

/// Followed by `data_bytes` of data, whole pages.
struct IngestRing {
  IngestHeader header;
  IngestEntry entries[kIngestEntries];
  IngestAnswer results[kIngestEntries];
};
static_assert(offsetof(IngestRing, entries) == 4096);
static_assert(offsetof(IngestRing, results) == 4096 + kIngestEntries * 128);
static_assert(sizeof(IngestRing) == 4096 + kIngestEntries * 192);
static_assert(sizeof(IngestRing) % kPageBytes == 0);

/// Small rings have room for some records under way; large ones for one batch of record.max.
inline constexpr std::size_t kSmallestIngestData = 64 * 1024;
[[nodiscard]] constexpr std::size_t ingest_data_bytes(std::size_t record_max_bytes) noexcept {
  const std::size_t whole = (record_max_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  return whole < kSmallestIngestData ? kSmallestIngestData : whole;
}
[[nodiscard]] constexpr std::size_t ingest_ring_bytes(std::size_t data_bytes) noexcept {
  return sizeof(IngestRing) + data_bytes;
}

}  // namespace mallbots::shm
