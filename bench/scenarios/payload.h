// What the scenarios put into records, and how they read it: a number in the first eight bytes (so
// that a gap is seen), and one load of every line of the payload, as the bare rings do.
#pragma once

#include <fmt/core.h>

#include <array>
#include <cstring>
#include <span>

#include "shm/base/result.h"

namespace mallbots::bench {

inline constexpr std::size_t kLargestPayload = 16384;

/// Bytes to send from; aligned, so that no line more than needed is touched.
struct alignas(64) PayloadBuffer {
  std::array<std::byte, kLargestPayload> bytes{};

  [[nodiscard]] std::span<const std::byte> first(std::size_t size) const noexcept {
    return std::span{bytes}.first(size);
  }
};

inline void put_number(std::byte* at, std::uint64_t number) noexcept {
  std::memcpy(at, &number, sizeof number);
}

[[nodiscard]] inline std::uint64_t number_in(std::span<const std::byte> payload) noexcept {
  std::uint64_t number = 0;
  if (payload.size() >= sizeof number) std::memcpy(&number, payload.data(), sizeof number);
  return number;
}

[[nodiscard]] inline std::uint64_t touch_lines(std::span<const std::byte> payload) noexcept {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i + 8 <= payload.size(); i += 64) sum += number_in(payload.subspan(i));
  return sum;
}

[[nodiscard]] inline Result<void> expect_number(std::uint64_t expected, std::uint64_t found) {
  if (expected == found) return {};
  return fail(ErrorCode::kCorrupt, fmt::format("record {} came where {} was due", found, expected));
}

}  // namespace mallbots::bench
