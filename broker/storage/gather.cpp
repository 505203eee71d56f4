#include "broker/storage/gather.h"

#include <algorithm>
#include <cstring>

#include "shm/base/check.h"

namespace mallbots::broker {

void Gather::begin(std::uint64_t file_byte, std::span<const std::byte> prefix) {
  CHECK(file_byte % kIoAlign == 0 && prefix.size() < kIoAlign);
  clear();
  file_byte_ = file_byte;
  copy(prefix);
}

void Gather::clear() {
  if (chunks_.size() > 1) chunks_.resize(1);
  chunk_ = 0;
  chunk_used_ = 0;
  block_ = nullptr;
  bytes_ = 0;
  copied_ = 0;
  pieces_.clear();
}

std::span<std::byte> Gather::room() {
  const std::size_t inside = bytes_ % kIoAlign;
  if (inside == 0) {
    if (chunk_used_ == kChunkBytes) {
      ++chunk_;
      chunk_used_ = 0;
    }
    if (chunk_ == chunks_.size()) chunks_.emplace_back(kChunkBytes);
    block_ = chunks_[chunk_].data() + chunk_used_;
    chunk_used_ += kIoAlign;
  }
  CHECK(block_ != nullptr);
  return {block_ + inside, kIoAlign - inside};
}

void Gather::put(const void* memory, std::size_t bytes) {
  auto* at = static_cast<std::byte*>(const_cast<void*>(memory));
  if (!pieces_.empty()) {
    iovec& last = pieces_.back();
    if (static_cast<std::byte*>(last.iov_base) + last.iov_len == at) {
      last.iov_len += bytes;
      bytes_ += bytes;
      return;
    }
  }
  pieces_.push_back({at, bytes});
  bytes_ += bytes;
}

void Gather::copy(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto into = room();
    const std::size_t n = std::min(into.size(), bytes.size());
    std::memcpy(into.data(), bytes.data(), n);
    put(into.data(), n);
    copied_ += n;
    bytes = bytes.subspan(n);
  }
}

void Gather::zeros(std::uint64_t count) {
  while (count > 0) {
    const auto into = room();
    const std::size_t n = std::min<std::uint64_t>(into.size(), count);
    std::memset(into.data(), 0, n);
    put(into.data(), n);
    count -= n;
  }
}

void Gather::direct(std::span<const std::byte> bytes) {
  const std::size_t inside = bytes_ % kIoAlign;
  const std::size_t head = inside == 0 ? 0 : std::min(bytes.size(), kIoAlign - inside);
  copy(bytes.first(head));
  bytes = bytes.subspan(head);
  const std::size_t whole = bytes.size() / kIoAlign * kIoAlign;
  const bool aligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % kIoAlign == 0;
  if (whole > 0 && aligned) {
    put(bytes.data(), whole);
    bytes = bytes.subspan(whole);
  }
  copy(bytes);
}

std::span<const std::byte> Gather::finish() {
  const std::size_t inside = bytes_ % kIoAlign;
  if (inside == 0) return {};
  zeros(kIoAlign - inside);
  return {block_, inside};
}

}  // namespace mallbots::broker
