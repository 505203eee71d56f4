// What a Producer checks before it hands records in to the delay log: nobody can be answered there.
// Pure but for the wall clock; the producer's thread.
#pragma once

#include <span>

#include "clients/internal/topic_memory.h"
#include "clients/producer.h"
#include "shm/concurrent/encode.h"

namespace mallbots::client {

/// When the records are due, in Unix ms. Errors: BadArgument, DelayTooLong.
[[nodiscard]] Result<UnixMillis> due_time(const SendOptions& options, std::int64_t delay_max_ms);
/// They fit into `topic` when they are delivered: never longer there than in the delay log.
/// TooLarge.
[[nodiscard]] Result<void> check_fit(std::span<const shm::RecordInput> inputs,
                                     const TopicMemory& topic);

}  // namespace mallbots::client
