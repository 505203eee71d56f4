#include "broker/sequencer/entry.h"

#include <cstring>
#include <optional>

#include "shm/concurrent/slot_word.h"

namespace mallbots::broker {
namespace {

constexpr std::size_t kAlign = 16;
constexpr std::size_t kTraceContextBytes = 55;
constexpr std::uint16_t kFirstFreeAttribute = 0x8000;

std::size_t aligned(std::size_t bytes) noexcept { return (bytes + kAlign - 1) / kAlign * kAlign; }

/// Well-formed UTF-8, without overlong forms and surrogates (RFC 3629).
bool is_utf8(std::span<const std::byte> text) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<unsigned>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned lead = at(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4 || more >= text.size() - i) return false;
    const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (at(i + 1) < low || at(i + 1) > high) return false;
    for (std::size_t k = 2; k <= more; ++k)
      if (at(i + k) < 0x80 || at(i + k) > 0xBF) return false;
    i += more + 1;
  }
  return true;
}

ErrorCode check_attribute(std::uint16_t id, std::span<const std::byte> value) noexcept {
  if (id >= kFirstFreeAttribute) return ErrorCode::kNone;
  switch (static_cast<shm::AttributeId>(id)) {
    case shm::AttributeId::kHeader: {
      if (value.empty()) return ErrorCode::kBadMessage;
      const auto name_bytes = static_cast<std::size_t>(value.front());
      if (name_bytes > value.size() - 1) return ErrorCode::kBadMessage;
      return is_utf8(value.subspan(1, name_bytes)) ? ErrorCode::kNone : ErrorCode::kBadMessage;
    }
    case shm::AttributeId::kTraceContext:
      return value.size() == kTraceContextBytes && is_utf8(value) ? ErrorCode::kNone
                                                                  : ErrorCode::kBadMessage;
    default:
      return ErrorCode::kNotPermitted;
  }
}

ErrorCode check_attributes(std::span<const std::byte> rest) noexcept {
  while (!rest.empty()) {
    std::uint16_t id = 0;
    std::uint16_t size = 0;
    if (rest.size() < sizeof id + sizeof size) return ErrorCode::kBadMessage;
    std::memcpy(&id, rest.data(), sizeof id);
    std::memcpy(&size, rest.data() + sizeof id, sizeof size);
    rest = rest.subspan(sizeof id + sizeof size);
    if (size > rest.size()) return ErrorCode::kBadMessage;
    if (const ErrorCode code = check_attribute(id, rest.first(size)); code != ErrorCode::kNone)
      return code;
    rest = rest.subspan(size);
  }
  return ErrorCode::kNone;
}

/// One record from the front of `rest`, which is moved behind it; nothing: it does not fit.
std::optional<shm::RecordInput> take_record(std::span<const std::byte>& rest) noexcept {
  shm::IngestRecord header{};
  if (rest.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, rest.data(), sizeof header);
  const auto type = static_cast<shm::RecordType>(header.type);
  if (type != shm::RecordType::kData && type != shm::RecordType::kTombstone) return std::nullopt;
  if ((header.flags & ~shm::kInternalEvent) != 0 || header.reserved != 0) return std::nullopt;
  const std::uint64_t bytes = std::uint64_t{sizeof header} + header.attribute_bytes +
                              header.key_bytes + header.payload_bytes;
  if (bytes > rest.size() || aligned(bytes) > rest.size()) return std::nullopt;
  shm::RecordInput record;
  record.attributes = rest.subspan(sizeof header, header.attribute_bytes);
  record.key = rest.subspan(sizeof header + header.attribute_bytes, header.key_bytes);
  record.payload =
      rest.subspan(sizeof header + header.attribute_bytes + header.key_bytes, header.payload_bytes);
  record.type = type;
  record.flags = header.flags;
  rest = rest.subspan(aligned(bytes));
  return record;
}

bool makes_sense(const EntryFields& fields) noexcept {
  if ((fields.flags & ~shm::kAwaitDurable) != 0) return false;
  // A record takes 16 bytes at the least: no memory is taken for a count that is a lie.
  if (fields.records > shm::kMaxBatchRecords ||
      std::uint64_t{fields.records} * sizeof(shm::IngestRecord) > fields.data_bytes)
    return false;
  if (fields.records != 0 && fields.sequence == 0) return false;
  switch (static_cast<shm::IngestKind>(fields.kind)) {
    case shm::IngestKind::kAppend:
      return fields.records != 0 && fields.request_bytes == 0;
    case shm::IngestKind::kFlush:
      return fields.data_bytes == 0;
    default:
      return fields.kind >= static_cast<std::uint16_t>(shm::IngestKind::kFirstOfTopic);
  }
}

}  // namespace

bool lies_within(const EntryFields& fields, std::size_t area_bytes) noexcept {
  return fields.data_at % kAlign == 0 && fields.data_at <= area_bytes &&
         fields.data_bytes <= area_bytes - fields.data_at;
}

ErrorCode check_entry(const EntryFields& fields, std::span<const std::byte> data,
                      std::size_t record_max_bytes, EntryParts& parts) {
  parts.records.clear();
  parts.request = {};
  if (!makes_sense(fields) || data.size() != fields.data_bytes) return ErrorCode::kBadMessage;
  const std::size_t behind_request = aligned(fields.request_bytes);
  if (behind_request > data.size()) return ErrorCode::kBadMessage;
  parts.request = data.first(fields.request_bytes);
  std::span<const std::byte> rest = data.subspan(behind_request);
  std::uint64_t log_bytes = 0;
  for (std::uint32_t i = 0; i < fields.records; ++i) {
    const auto record = take_record(rest);
    if (!record) return ErrorCode::kBadMessage;
    if (const ErrorCode code = check_attributes(record->attributes); code != ErrorCode::kNone)
      return code;
    log_bytes += aligned(shm::record_bytes(*record));
    parts.records.push_back(*record);
  }
  if (!rest.empty()) return ErrorCode::kBadMessage;
  return log_bytes > record_max_bytes ? ErrorCode::kTooLarge : ErrorCode::kNone;
}

ErrorCode EntryCopy::take(const shm::IngestRing& ring, std::span<const std::byte> data_area,
                          std::uint64_t number, std::size_t record_max_bytes) {
  const shm::IngestEntry& entry = ring.entries[number % shm::kIngestEntries];
  fields_.data_at = entry.data_at;
  fields_.data_bytes = entry.data_bytes;
  fields_.request_bytes = entry.request_bytes;
  fields_.records = entry.records;
  fields_.kind = entry.kind;
  fields_.flags = entry.flags;
  fields_.sequence = entry.sequence;
  fields_.expected = entry.expected;
  for (std::size_t i = 0; i < shm::kIngestArguments; ++i) fields_.arguments[i] = entry.arguments[i];
  asm volatile("" ::: "memory");  // what was read is not read again behind our back
  if (!lies_within(fields_, data_area.size())) return ErrorCode::kBadMessage;
  const auto data = data_area.subspan(fields_.data_at, fields_.data_bytes);
  if (data_.size() < data.size()) data_.resize(data.size());
  if (!data.empty()) std::memcpy(data_.data(), data.data(), data.size());
  asm volatile("" ::: "memory");
  return check_entry(fields_, {data_.data(), data.size()}, record_max_bytes, parts_);
}

}  // namespace mallbots::broker
