// What every shared page begins with, and the version that client and broker must share.
// LAYOUT.md is the picture; tests/shm/layout_test.cpp holds both to each other.
#pragma once

#include <atomic>
#include <cstdint>

namespace mallbots::shm {

/// Raised with every change of any struct in shm/layout. v0 until queues and event store are in.
inline constexpr std::uint32_t kLayoutVersion = 0x0000'0004;

inline constexpr std::size_t kPageBytes = 4096;
inline constexpr std::size_t kLineBytes = 64;
/// Two neighbouring lines: x86 prefetches the neighbour of a missed line, so a line that must not
/// be disturbed needs the pair (Intel optimisation manual, "spatial prefetcher").
inline constexpr std::size_t kLinePairBytes = 128;

inline constexpr std::uint32_t kMaxPartitions = 4096;
inline constexpr std::uint32_t kMaxSlots = 64;
/// Of one instance at a time. The word's 14 bits for its owner could tell four times as many.
inline constexpr std::uint32_t kMaxSessions = 4096;

/// First 16 bytes of board, knock page, session page, ingest ring and registry (a slot says the
/// same in line 4); written once, before the descriptor is passed.
struct PageHeader {
  std::uint32_t magic;
  std::uint32_t layout_version;
  std::uint64_t size_bytes;
};
static_assert(sizeof(PageHeader) == 16);

inline constexpr std::uint32_t kSlotMagic = 0x544C'534D;      // "MSLT"
inline constexpr std::uint32_t kBoardMagic = 0x4452'424D;     // "MBRD"
inline constexpr std::uint32_t kKnockMagic = 0x4B4E'4B4D;     // "MKNK"
inline constexpr std::uint32_t kSessionMagic = 0x5353'454D;   // "MESS"
inline constexpr std::uint32_t kRegistryMagic = 0x4745'524D;  // "MREG"
inline constexpr std::uint32_t kIngestMagic = 0x474E'494D;    // "MING"

static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<std::uint64_t>) == 8);

}  // namespace mallbots::shm
