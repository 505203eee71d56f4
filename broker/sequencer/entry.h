// What stands in an ingest ring, copied and checked: the only code that reads what a client wrote
// there. Every byte is read once, into memory of the broker, and then judged.
//
// Sequencer thread; check_entry is pure (tests/fuzz). Refusals: BadMessage (numbers, lengths or
// attributes that make no sense), TooLarge (more than record.max in the log), NotPermitted
// (attributes that only the broker may set).
#pragma once

#include <vector>

#include "broker/sequencer/admission.h"
#include "shm/layout/ingest.h"

namespace mallbots::broker {

/// The fields of an entry but for its state, as values.
struct EntryFields {
  std::uint32_t data_at = 0;
  std::uint32_t data_bytes = 0;
  std::uint32_t request_bytes = 0;
  std::uint32_t records = 0;
  std::uint16_t kind = 0;
  std::uint16_t flags = 0;
  std::uint64_t sequence = 0;
  std::uint64_t expected = 0;
  std::uint64_t arguments[shm::kIngestArguments] = {};
};

/// What checked data is made of. Points into the data.
struct EntryParts {
  std::span<const std::byte> request;
  std::vector<shm::RecordInput> records;
};

/// True if the entry names bytes that lie in a data area of that size.
[[nodiscard]] bool lies_within(const EntryFields& fields, std::size_t area_bytes) noexcept;
/// `data` is what the entry named, in memory that nobody else writes.
[[nodiscard]] ErrorCode check_entry(const EntryFields& fields, std::span<const std::byte> data,
                                    std::size_t record_max_bytes, EntryParts& parts);

/// A copy of one entry at a time; its memory is used again.
class EntryCopy {
 public:
  /// Copies entry `number` of the ring and checks it; kNone: entry() is valid until the next
  /// take().
  [[nodiscard]] ErrorCode take(const shm::IngestRing& ring, std::span<const std::byte> data_area,
                               std::uint64_t number, std::size_t record_max_bytes);
  [[nodiscard]] const EntryFields& fields() const noexcept { return fields_; }
  [[nodiscard]] const EntryParts& parts() const noexcept { return parts_; }
  [[nodiscard]] std::span<shm::RecordInput> records() noexcept { return parts_.records; }

 private:
  EntryFields fields_;
  std::vector<std::byte> data_;
  EntryParts parts_;
};

}  // namespace mallbots::broker
