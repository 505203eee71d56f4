#include "clients/internal/record_buffer.h"

#include <string>

#include "clients/internal/attributes.h"

namespace mallbots::client {
namespace {

constexpr std::size_t kWithoutAllocation = 1024;

}  // namespace

RecordBuffer::RecordBuffer() {
  attributes_.reserve(kWithoutAllocation);
  inputs_.resize(1);
}

const shm::RecordInput* RecordBuffer::try_encode_headers(const Record& record) noexcept {
  const auto bytes = attribute_bytes(record);
  if (!bytes || *bytes > kWithoutAllocation) return nullptr;
  attributes_.clear();
  put_attributes(record, attributes_);
  inputs_[0].attributes = attributes_;
  return &inputs_[0];
}

Result<std::span<const shm::RecordInput>> RecordBuffer::encode(std::span<const Record> records,
                                                               std::span<const std::byte> front) {
  if (inputs_.size() < records.size()) inputs_.resize(records.size());
  attributes_.clear();
  ends_.clear();
  bool all_plain = true;
  for (std::size_t i = 0; i < records.size(); ++i) {
    fill(inputs_[i], records[i]);
    if (front.empty() && is_plain(records[i])) continue;
    all_plain = false;
    const auto bytes = attribute_bytes(records[i]);
    if (!bytes || *bytes + front.size() > UINT16_MAX)
      return fail(ErrorCode::kTooLarge, "the headers of record " + std::to_string(i) +
                                            " of this call; names may have 255 bytes, all headers "
                                            "of a record together 65535");
  }
  if (!all_plain) {
    // The buffer may move while it grows, so the spans are made when it has all.
    for (const Record& record : records) {
      attributes_.insert(attributes_.end(), front.begin(), front.end());
      put_attributes(record, attributes_);
      ends_.push_back(attributes_.size());
    }
    std::size_t begin = 0;
    for (std::size_t i = 0; i < records.size(); ++i) {
      inputs_[i].attributes = std::span{attributes_}.subspan(begin, ends_[i] - begin);
      begin = ends_[i];
    }
  }
  return std::span<const shm::RecordInput>{inputs_.data(), records.size()};
}

}  // namespace mallbots::client
