// XXH3, the one checksum of MallBots (xxhash.com, "XXH3 64-bit with seed"). Inlined: a record
// header is 56 bytes, and a call would cost as much as the hash.
#pragma once

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace mallbots {

[[nodiscard]] inline std::uint64_t xxh3(const void* data, std::size_t size_bytes,
                                        std::uint64_t seed = 0) noexcept {
  return XXH3_64bits_withSeed(data, size_bytes, seed);
}

[[nodiscard]] inline std::uint64_t xxh3(std::span<const std::byte> bytes,
                                        std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

/// The same as with seed 0, in fewer instructions.
[[nodiscard]] inline std::uint64_t xxh3(std::span<const std::byte> bytes) noexcept {
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace mallbots
