// Positions of consumer groups as pure functions: what a reader cell says, what of it may go to
// disk, what is left of it after a power cut, how far a group is behind, where a seek leads.
//
// Called by the coordinator and by the broker's control thread; no state, no I/O, no clock.
// Offsets count records; a position names the next record to read, so `end` (one past the last
// record) is a legal position. Nothing here fails: what a client wrote is data, and what does not
// make sense is passed over. Source of the rules: protocol sections 4, 7 and 8.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "shm/base/ids.h"
#include "shm/base/result.h"
#include "shm/layout/control.h"

namespace mallbots::broker {

/// What the log of one partition holds now. start <= durable <= end; on topics without disk
/// durable is end.
struct LogState {
  LogEpoch epoch = 0;
  Offset start = 0;    ///< first record kept
  Offset durable = 0;  ///< first record not durable
  Offset end = 0;      ///< first record not committed
  /// Nobody knows the end, and nothing can be read: positions stay.
  bool quarantined = false;
};

/// One half of a reader cell as read from a session page (shm::PositionHalf).
struct CellHalf {
  std::uint32_t group_generation = 0;
  LogEpoch log_epoch = 0;
  Offset offset = 0;
  std::uint64_t store = 0;  ///< 0: never filled
};

/// Both halves, read so that neither store number changed meanwhile.
using CellHalves = std::array<CellHalf, 2>;

/// The position that the holder of `generation` stored last: the half with the higher store number
/// among those of that generation whose position lies in the log. Read `log` after the halves: a
/// position can only name records that were committed before it was stored.
[[nodiscard]] std::optional<Position> committed_position(const CellHalves& halves,
                                                         std::uint32_t generation,
                                                         const LogState& log) noexcept;

/// True if `next` may follow `now` within one group generation: forward, same or newer log epoch.
[[nodiscard]] bool moves_forward(const std::optional<Position>& now, Position next) noexcept;

/// The part of `position` that may be persisted: never above the durable position.
[[nodiscard]] Position persistable(Position position, const LogState& log) noexcept;

/// A start that took records back: records of this epoch begin at `first_offset`; what stood there
/// before is gone.
struct EpochStart {
  LogEpoch epoch = 0;
  Offset first_offset = 0;
};

/// A persisted position as it holds in today's log. `truncated` if it lay beyond records that a
/// start took back, or beyond the end: it was set back to the last record that survived.
struct SettledPosition {
  Position position;
  bool truncated = false;
};
[[nodiscard]] SettledPosition settle_position(Position position, const LogState& log,
                                              std::span<const EpochStart> epochs) noexcept;

/// The topic setting `reset`: where to begin without a position, or with one that retention has
/// overtaken.
enum class ResetTo : std::uint8_t { kStart = 1, kEnd, kFail };

/// Where a member begins. nullopt: the topic says `reset=fail`; the consumer reports BadPosition
/// until somebody seeks. `read_durable` decides which end `reset=end` means.
[[nodiscard]] std::optional<Position> first_position(const std::optional<Position>& known,
                                                     const LogState& log, ResetTo reset,
                                                     bool read_durable) noexcept;

/// How far behind a group is on one partition.
struct Lag {
  std::uint64_t records = 0;
  std::int64_t time_ms = 0;  ///< age of the oldest unread record; 0 if there is none
};
/// `oldest_unread_ms`: time stamp of the record at the position (or of the first one kept, if
/// retention has overtaken the position); nullopt if the caller found none. `end` is the end that
/// the group's readers see: durable or committed. A stamp ahead of the clock counts as age 0.
[[nodiscard]] Lag lag_of(const std::optional<Position>& position, const LogState& log, Offset end,
                         std::optional<UnixMillis> oldest_unread_ms, UnixMillis now_ms) noexcept;

/// BadArgument: no seek can be like that.
[[nodiscard]] Result<void> check_seek(const shm::SeekGroup& request);

/// Where a seek leads, clamped to what the log holds durably. `from`: the position before it,
/// kNoOffset counts as the start. `value`: records for kForward and kBackward; for kTime the offset
/// that the time was found at.
[[nodiscard]] Offset seek_target(shm::SeekTo to, std::uint64_t value, Offset from,
                                 const LogState& log) noexcept;

}  // namespace mallbots::broker
