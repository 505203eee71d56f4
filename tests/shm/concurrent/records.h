// Helpers of the shm tests: text as records and back, and reading all there is. One thread each.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "shm/concurrent/append.h"
#include "shm/concurrent/read.h"
#include "tests/support/fake_broker.h"

namespace mallbots::test {

inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span{text});
}
inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline shm::AppendOutcome append(shm::Appender& appender, const std::string& text,
                                 const shm::AppendOptions& options = {}) {
  return appender.append({.payload = bytes_of(text)}, options);
}

inline shm::AppendOutcome append_batch(shm::Appender& appender,
                                       const std::vector<std::string>& texts,
                                       const shm::AppendOptions& options = {}) {
  std::vector<shm::RecordInput> inputs;
  for (const std::string& text : texts) inputs.push_back({.payload = bytes_of(text)});
  return appender.append_batch(inputs, options);
}

struct Seen {
  Offset offset;
  std::string text;
  friend bool operator==(const Seen&, const Seen&) = default;
};
inline void PrintTo(const Seen& seen, std::ostream* out) {
  *out << seen.offset << ":" << seen.text.substr(0, 40);
}

/// All records from where the reader stands; the reader's last status in `end`.
inline std::vector<Seen> read_all(shm::PartitionReader& reader, shm::ReadStatus* end = nullptr) {
  std::vector<Seen> all;
  shm::RecordView view{};
  shm::ReadStatus status{};
  while ((status = reader.next(view)) == shm::ReadStatus::kRecord)
    all.push_back({view.header->offset, text_of(view.payload)});
  if (end != nullptr) *end = status;
  return all;
}

/// All records still in memory.
inline std::vector<Seen> log_of(FakeBroker& broker, SessionIndex session = 15) {
  shm::PartitionReader reader(broker.memory().parts(session), broker.memory().reader_cell(session),
                              false);
  static_cast<void>(reader.seek_oldest());
  return read_all(reader);
}

/// The same, `count` records from `first` on.
inline std::vector<Seen> numbered(Offset first, std::size_t count) {
  std::vector<Seen> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back({first + i, std::to_string(first + i)});
  return all;
}

}  // namespace mallbots::test
