// The numbers that name things. Plain integers where arithmetic is their job, enums where it is
// not.
#pragma once

#include <cstdint>

namespace mallbots {

/// Position of a record in its partition; dense from 0.
using Offset = std::uint64_t;
/// Partition number within its topic, 0 .. partitions-1.
using PartitionIndex = std::uint32_t;
/// Milliseconds since 1970-01-01 UTC.
using UnixMillis = std::int64_t;
/// Rises at each start that lost records with the memory (protocol section 7; storage=memory).
using LogEpoch = std::uint32_t;
/// Number of a slot of a partition: 0, 1, 2 ... without end. It is the slot's generation.
using SlotGen = std::uint64_t;
/// Names one piece of slot memory (one memfd), unique within a broker's life, kept over restarts.
enum class SlotId : std::uint64_t {};
/// Random 64 bits, given when the topic is created.
enum class TopicId : std::uint64_t {};
/// Random 64 bits, given when the topic is created; seeds the header checks of its records.
enum class PartitionId : std::uint64_t {};
/// Place of a session in the registry, 0 .. kMaxSessions-1; re-issued only after the process that
/// had it is proven dead.
using SessionIndex = std::uint16_t;

inline constexpr Offset kNoOffset = ~Offset{0};

/// A position that is valid across unclean starts: an offset alone may name another record later.
struct Position {
  LogEpoch log_epoch = 0;
  Offset offset = 0;
  friend bool operator==(const Position&, const Position&) = default;
};

}  // namespace mallbots
