#include "broker/groups/positions.h"

#include <algorithm>

namespace mallbots::broker {

std::optional<Position> committed_position(const CellHalves& halves, std::uint32_t generation,
                                           const LogState& log) noexcept {
  const CellHalf* last = nullptr;
  for (const CellHalf& half : halves) {
    const bool counts = half.store != 0 && half.group_generation == generation &&
                        half.log_epoch == log.epoch && half.offset <= log.end;
    if (counts && (last == nullptr || half.store > last->store)) last = &half;
  }
  if (last == nullptr) return std::nullopt;
  return Position{last->log_epoch, last->offset};
}

bool moves_forward(const std::optional<Position>& now, Position next) noexcept {
  return !now || (next.log_epoch >= now->log_epoch && next.offset >= now->offset);
}

Position persistable(Position position, const LogState& log) noexcept {
  return {position.log_epoch, std::min(position.offset, log.durable)};
}

SettledPosition settle_position(Position position, const LogState& log,
                                std::span<const EpochStart> epochs) noexcept {
  // Every later start may have taken records back: the lowest border counts, not the last.
  Offset survived = position.offset;
  for (const EpochStart& start : epochs) {
    if (start.epoch > position.log_epoch) survived = std::min(survived, start.first_offset);
  }
  if (!log.quarantined) survived = std::min(survived, log.end);
  return {{log.epoch, survived}, survived < position.offset};
}

std::optional<Position> first_position(const std::optional<Position>& known, const LogState& log,
                                       ResetTo reset, bool read_durable) noexcept {
  if (known && known->offset >= log.start) return Position{log.epoch, known->offset};
  switch (reset) {
    case ResetTo::kStart:
      return Position{log.epoch, log.start};
    case ResetTo::kEnd:
      return Position{log.epoch, read_durable ? log.durable : log.end};
    case ResetTo::kFail:
      break;
  }
  return std::nullopt;
}

Lag lag_of(const std::optional<Position>& position, const LogState& log, Offset end,
           std::optional<UnixMillis> oldest_unread_ms, UnixMillis now_ms) noexcept {
  const Offset next = std::max(position ? position->offset : log.start, log.start);
  if (next >= end) return {};
  Lag lag{end - next, 0};
  if (oldest_unread_ms && *oldest_unread_ms < now_ms) lag.time_ms = now_ms - *oldest_unread_ms;
  return lag;
}

Result<void> check_seek(const shm::SeekGroup& request) {
  if (request.to < shm::SeekTo::kStart || request.to > shm::SeekTo::kBackward)
    return fail(ErrorCode::kBadArgument, "no such kind of target");
  if (request.value < 0 && request.to != shm::SeekTo::kTime)
    return fail(ErrorCode::kBadArgument, "the number of records is negative");
  return {};
}

Offset seek_target(shm::SeekTo to, std::uint64_t value, Offset from, const LogState& log) noexcept {
  const Offset end = std::max(log.start, log.durable);
  const Offset current = from == kNoOffset ? log.start : std::clamp(from, log.start, end);
  switch (to) {
    case shm::SeekTo::kStart:
      return log.start;
    case shm::SeekTo::kEnd:
      return end;
    case shm::SeekTo::kTime:
      return std::clamp<Offset>(value, log.start, end);
    case shm::SeekTo::kForward:
      return current + std::min<Offset>(value, end - current);
    case shm::SeekTo::kBackward:
      return current - std::min<Offset>(value, current - log.start);
  }
  return current;
}

}  // namespace mallbots::broker
