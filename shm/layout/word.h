// The word of a slot: committed tail, seal, owner and fence epoch in 64 bits, so that one CAS
// commits and unlocks, and one CAS by the broker fences. LAYOUT.md, "The word".
//
//    63            48 47 46 45            32 31 30                              0
//   +----------------+-----+----------------+--+---------------------------------+
//   |  fence epoch   |  0  | owner session+1|S | committed tail, 16-byte units   |
//   +----------------+-----+----------------+--+---------------------------------+
//
// Source of the idea: ownership before reservation as in LTTng-UST 2.15; why not a robust mutex:
// docs/decisions/0003.
#pragma once

#include <cstdint>

#include "shm/base/ids.h"

namespace mallbots::shm {

inline constexpr std::uint32_t kUnitBytes = 16;
inline constexpr std::uint32_t kMaxTailUnits = (1U << 31) - 1;

/// The word as a value. Never changed in place: a new one is made and CASed in.
struct Word {
  static constexpr std::uint64_t kTailMask = 0x7FFF'FFFFULL;
  static constexpr std::uint64_t kSealedBit = 1ULL << 31;
  static constexpr unsigned kOwnerShift = 32;
  static constexpr std::uint64_t kOwnerMask = 0x3FFFULL << kOwnerShift;
  static constexpr unsigned kEpochShift = 48;

  std::uint64_t bits = 0;

  [[nodiscard]] constexpr std::uint32_t tail_units() const noexcept {
    return static_cast<std::uint32_t>(bits & kTailMask);
  }
  [[nodiscard]] constexpr bool sealed() const noexcept { return (bits & kSealedBit) != 0; }
  [[nodiscard]] constexpr bool owned() const noexcept { return (bits & kOwnerMask) != 0; }
  /// Only if owned().
  [[nodiscard]] constexpr SessionIndex owner() const noexcept {
    return static_cast<SessionIndex>(((bits & kOwnerMask) >> kOwnerShift) - 1);
  }
  [[nodiscard]] constexpr bool owned_by(SessionIndex session) const noexcept {
    return (bits & kOwnerMask) == owner_bits(session);
  }
  [[nodiscard]] constexpr std::uint16_t fence_epoch() const noexcept {
    return static_cast<std::uint16_t>(bits >> kEpochShift);
  }

  [[nodiscard]] constexpr Word acquired_by(SessionIndex session) const noexcept {
    return {(bits & ~kOwnerMask) | owner_bits(session)};
  }
  [[nodiscard]] constexpr Word released() const noexcept { return {bits & ~kOwnerMask}; }
  [[nodiscard]] constexpr Word with_tail(std::uint32_t tail_units) const noexcept {
    return {(bits & ~kTailMask) | tail_units};
  }
  [[nodiscard]] constexpr Word with_seal() const noexcept { return {bits | kSealedBit}; }
  /// Any fence and any re-use of a slot raises the epoch, so that a CAS made for the old word
  /// fails.
  [[nodiscard]] constexpr Word with_next_epoch() const noexcept {
    return {bits + (1ULL << kEpochShift)};
  }
  friend constexpr bool operator==(Word, Word) = default;

 private:
  static constexpr std::uint64_t owner_bits(SessionIndex session) noexcept {
    return (static_cast<std::uint64_t>(session) + 1) << kOwnerShift;
  }
};
static_assert(sizeof(Word) == 8);

/// The publication line P as a value: {gen:32, sealed:1, tail:31}. Every value ever stored was a
/// committed tail of that generation; it may lag or step back, never lie ahead.
struct Publication {
  std::uint64_t bits = 0;

  [[nodiscard]] static constexpr Publication of(SlotGen slot_gen, Word word) noexcept {
    return {(slot_gen << 32) | (word.bits & (Word::kTailMask | Word::kSealedBit))};
  }
  [[nodiscard]] constexpr bool is_of(SlotGen slot_gen) const noexcept {
    return (bits >> 32) == (slot_gen & 0xFFFF'FFFFULL);
  }
  [[nodiscard]] constexpr bool sealed() const noexcept { return (bits & Word::kSealedBit) != 0; }
  [[nodiscard]] constexpr std::uint32_t tail_units() const noexcept {
    return static_cast<std::uint32_t>(bits & Word::kTailMask);
  }
};
static_assert(sizeof(Publication) == 8);

}  // namespace mallbots::shm
