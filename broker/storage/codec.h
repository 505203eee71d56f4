// Small state files: little-endian fields in an envelope {magic, version, length, payload, check}.
// Reader: bytes of a disk are data; every length is checked, a short file gives zeros and ok()
// false. Plain values; any thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shm/base/hash.h"
#include "shm/base/result.h"

namespace mallbots::broker {

class ByteWriter {
 public:
  template <class T>
  void put(T value) {
    static_assert(std::is_integral_v<T> || std::is_enum_v<T>);
    const auto* raw = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), raw, raw + sizeof(T));
  }
  void put_text(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    const auto* raw = reinterpret_cast<const std::byte*>(text.data());
    bytes_.insert(bytes_.end(), raw, raw + text.size());
  }
  [[nodiscard]] std::vector<std::byte>& bytes() noexcept { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) noexcept : rest_(bytes) {}

  template <class T>
  [[nodiscard]] T get() noexcept {
    T value{};
    if (!has(sizeof(T))) return value;
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_ = rest_.subspan(sizeof(T));
    return value;
  }
  [[nodiscard]] std::string get_text() {
    const auto size = get<std::uint32_t>();
    if (!has(size)) return {};
    std::string text(reinterpret_cast<const char*>(rest_.data()), size);
    rest_ = rest_.subspan(size);
    return text;
  }
  /// A count of things that take at least `each` bytes: 0 and not ok if they cannot fit.
  [[nodiscard]] std::uint32_t get_count(std::size_t each) noexcept {
    const auto count = get<std::uint32_t>();
    return has(std::uint64_t{count} * each) ? count : 0;
  }
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

 private:
  [[nodiscard]] bool has(std::uint64_t bytes) noexcept {
    if (bytes > rest_.size()) ok_ = false;
    return ok_;
  }
  std::span<const std::byte> rest_;
  bool ok_ = true;
};

inline constexpr std::size_t kEnvelopeBytes = 8 + 4 + 4 + 8;

[[nodiscard]] inline std::vector<std::byte> seal(std::uint64_t magic, std::uint32_t version,
                                                 std::span<const std::byte> payload) {
  ByteWriter out;
  out.put(magic);
  out.put(version);
  out.put(static_cast<std::uint32_t>(payload.size()));
  out.bytes().insert(out.bytes().end(), payload.begin(), payload.end());
  out.put(xxh3(out.bytes()));
  return std::move(out.bytes());
}

/// The payload. Errors: Corrupt, WrongVersion (in this order: a flipped bit is damage).
[[nodiscard]] inline Result<std::span<const std::byte>> unseal(std::uint64_t magic,
                                                               std::uint32_t version,
                                                               std::span<const std::byte> bytes) {
  ByteReader in(bytes);
  const auto found_magic = in.get<std::uint64_t>();
  const auto found_version = in.get<std::uint32_t>();
  const auto size = in.get<std::uint32_t>();
  if (!in.ok() || found_magic != magic || bytes.size() != kEnvelopeBytes + size) {
    return fail(ErrorCode::kCorrupt, "it is not such a file, or not all of it");
  }
  const auto covered = bytes.first(bytes.size() - sizeof(std::uint64_t));
  if (ByteReader(bytes.subspan(covered.size())).get<std::uint64_t>() != xxh3(covered)) {
    return fail(ErrorCode::kCorrupt, "its checksum does not match");
  }
  if (found_version != version) {
    return fail(ErrorCode::kWrongVersion, "it has format version " + std::to_string(found_version) +
                                              ", this build reads " + std::to_string(version));
  }
  return covered.subspan(16);
}

}  // namespace mallbots::broker
