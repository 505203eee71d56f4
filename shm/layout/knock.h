// The knock page of a topic: the only words anybody sleeps on. LAYOUT.md, "Knock page".
// Written by the broker, by whoever may produce directly, and by the broker's own user.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "shm/layout/layout.h"

namespace mallbots::shm {

/// Bit 0: somebody may sleep. Upper 31 bits: an epoch that every wake raises (folly EventCount and
/// Vyukov's eventcount; proof in tests/models).
inline constexpr std::uint32_t kSleeperBit = 1;

/// What the broker does, so that a client knows whether to write the eventfd.
enum class BrokerSleep : std::uint32_t {
  kAwake = 0,
  kParkedWithTimer = 1,  ///< wakes by itself within flush.interval
  kParked = 2,           ///< every append must wake it
};

struct KnockLine {
  alignas(kLinePairBytes) std::atomic<std::uint32_t> data;  ///< a commit or a roll happened
  std::atomic<std::uint32_t> room;                          ///< a slot became READY
  alignas(kLineBytes) std::atomic<std::uint32_t> durable;   ///< the durable position moved
};
static_assert(offsetof(KnockLine, data) == 0);
static_assert(offsetof(KnockLine, room) == 4);
static_assert(offsetof(KnockLine, durable) == 64);
static_assert(sizeof(KnockLine) == 128);

struct KnockHeader {
  PageHeader page;
  alignas(kLinePairBytes) std::atomic<std::uint32_t> broker;  ///< BrokerSleep
};
static_assert(offsetof(KnockHeader, broker) == 128);
static_assert(sizeof(KnockHeader) == 256);

/// Followed by one KnockLine per partition.
[[nodiscard]] constexpr std::size_t knock_bytes(std::uint32_t partitions) noexcept {
  return sizeof(KnockHeader) + partitions * sizeof(KnockLine);
}

}  // namespace mallbots::shm
