// The sequencer's parser under libFuzzer: entries and their data from any bytes, as a hostile
// client may leave them in its ring. A finding is a read outside the data, a record that lies
// outside of it, or more accepted than record.max.
//
// Input: the fields of an entry, then the data area.
#include <cstring>
#include <memory>
#include <vector>

#include "broker/sequencer/entry.h"
#include "shm/base/check.h"

namespace mallbots::broker {
namespace {

constexpr std::size_t kRecordMax = 4096;

void run(std::span<const std::uint8_t> input) {
  struct Fields {
    std::uint32_t data_at, data_bytes, request_bytes, records;
    std::uint16_t kind, flags;
    std::uint32_t whole;  ///< not 0: the entry names all the data there is
  } raw{};
  if (input.size() < sizeof raw) return;
  std::memcpy(&raw, input.data(), sizeof raw);
  input = input.subspan(sizeof raw);
  EntryFields fields{.data_at = raw.data_at,
                     .data_bytes = raw.data_bytes,
                     .request_bytes = raw.request_bytes,
                     .records = raw.records,
                     .kind = raw.kind,
                     .flags = raw.flags,
                     .sequence = 1};
  if (raw.whole != 0) {
    fields.data_at = 0;
    fields.data_bytes = static_cast<std::uint32_t>(input.size());
  }
  if (!lies_within(fields, input.size())) return;
  // A copy of its own, so that a read outside the data is one outside memory.
  const std::unique_ptr<std::byte[]> data{new std::byte[fields.data_bytes]};
  if (fields.data_bytes != 0)
    std::memcpy(data.get(), input.data() + fields.data_at, fields.data_bytes);
  const std::span<const std::byte> bytes{data.get(), fields.data_bytes};
  EntryParts parts;
  if (check_entry(fields, bytes, kRecordMax, parts) != ErrorCode::kNone) return;
  CHECK(parts.records.size() == fields.records);
  std::uint64_t log_bytes = 0;
  for (const shm::RecordInput& record : parts.records) {
    for (const auto& part : {record.attributes, record.key, record.payload})
      CHECK(part.empty() || (part.data() >= bytes.data() &&
                             part.data() + part.size() <= bytes.data() + bytes.size()));
    log_bytes +=
        std::uint64_t{shm::record_units(static_cast<std::uint32_t>(shm::record_bytes(record)))} *
        shm::kUnitBytes;
    static_cast<void>(shm::body_hash(record));
  }
  CHECK(log_bytes <= kRecordMax);
}

}  // namespace
}  // namespace mallbots::broker

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mallbots::broker::run({data, size});
  return 0;
}
