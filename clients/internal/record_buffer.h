// RecordBuffer: turns the caller's Records into what shm/ appends, with the attribute blocks of all
// of them in one buffer that is re-used. One per producer, its thread only.
#pragma once

#include <span>
#include <vector>

#include "clients/producer.h"
#include "shm/base/result.h"
#include "shm/concurrent/encode.h"

namespace mallbots::client {

class RecordBuffer {
 public:
  RecordBuffer();

  /// Valid until the next call; points into the records. TooLarge: headers that no record can
  /// carry.
  /// `front`: attributes that come before those of each record.
  [[nodiscard]] Result<std::span<const shm::RecordInput>> encode(
      std::span<const Record> records, std::span<const std::byte> front = {});
  /// Of record `i` of the last encode(): it shows in what that returned.
  void set_flags(std::size_t i, std::uint8_t flags) noexcept { inputs_[i].flags = flags; }
  /// As encode() for one record without allocation; null: it does not fit into 1 KiB.
  [[nodiscard]] const shm::RecordInput* try_encode(const Record& record) noexcept {
    fill(inputs_[0], record);
    return is_plain(record) ? &inputs_[0] : try_encode_headers(record);
  }

 private:
  /// Field by field where it stays: a copy of what was just stored would wait for the stores.
  static void fill(shm::RecordInput& input, const Record& record) noexcept {
    input.payload = record.payload;
    input.key = record.key;
    input.attributes = {};
    input.type = record.is_tombstone ? shm::RecordType::kTombstone : shm::RecordType::kData;
    input.flags = 0;
  }
  [[nodiscard]] static bool is_plain(const Record& record) noexcept {
    return record.headers.empty() && record.trace_context.empty();
  }
  [[nodiscard]] const shm::RecordInput* try_encode_headers(const Record& record) noexcept;

  std::vector<std::byte> attributes_;
  std::vector<std::size_t> ends_;
  std::vector<shm::RecordInput> inputs_;
};

}  // namespace mallbots::client
