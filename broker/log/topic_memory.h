// Where a partition is in the shared pages of its topic. Pure; the mappings are those of the topic.
#pragma once

#include <cstddef>

#include "broker/log/settings.h"
#include "shm/base/clock.h"
#include "shm/layout/board.h"
#include "shm/layout/knock.h"
#include "shm/region/memory.h"

namespace mallbots::broker {

[[nodiscard]] inline shm::PartitionBoard& board_of(const shm::Mapping& board,
                                                   PartitionIndex index) noexcept {
  return *reinterpret_cast<shm::PartitionBoard*>(board.data() + sizeof(shm::BoardHeader) +
                                                 index * sizeof(shm::PartitionBoard));
}

[[nodiscard]] inline shm::KnockLine& knock_of(const shm::Mapping& knock,
                                              PartitionIndex index) noexcept {
  return *reinterpret_cast<shm::KnockLine*>(knock.data() + sizeof(shm::KnockHeader) +
                                            index * sizeof(shm::KnockLine));
}

/// The settings on the board that may be altered.
inline void tell_times(shm::BoardHeader& board, const TopicSettings& settings) {
  board.stall_limit_ns = settings.stall_limit_ms * kMillisecond;
  board.flush_interval_ns = settings.flush_interval_ms * kMillisecond;
}

}  // namespace mallbots::broker
