// What Producer and ExclusiveProducer share: outcomes as errors, the wait for durability, and the
// pause before another attempt. Stateless; from the producer's thread.
#pragma once

#include <functional>

#include "clients/internal/topic_memory.h"
#include "clients/producer.h"
#include "shm/concurrent/append.h"

namespace mallbots::client {

/// Longest time inside one attempt, after which link and board are looked at again.
inline constexpr std::int64_t kAttemptMs = 50;

[[nodiscard]] Deadline deadline_of(const SendOptions& options) noexcept;
/// The deadline or the end of one attempt, whichever comes first.
[[nodiscard]] Deadline attempt_of(Deadline deadline) noexcept;

/// True if another attempt may end otherwise.
[[nodiscard]] bool may_retry(shm::AppendStatus status) noexcept;
/// The code of a status without its text: no allocation.
[[nodiscard]] ErrorCode append_code(const TopicMemory& topic, PartitionIndex partition,
                                    shm::AppendStatus status) noexcept;
[[nodiscard]] Error append_error(const TopicMemory& topic, PartitionIndex partition,
                                 const shm::AppendOutcome& outcome);

/// The record went with the memory, or did not.
[[nodiscard]] std::unexpected<Error> in_doubt(const TopicMemory& topic, PartitionIndex partition);

/// Waits a moment for whatever the status lacks (room, a broker).
void pause_before_retry(const TopicMemory& topic, PartitionIndex partition,
                        Deadline deadline) noexcept;

/// From now on nobody else appends to the topic under that name.
[[nodiscard]] Result<shm::NameProducerReply> take_name(
    TopicMemory& topic, const std::string& name, Deadline deadline,
    const std::function<Result<void>()>& refresh);

/// Waits until the receipt's records are on disk. `refresh` attaches again if the broker was
/// replaced. Errors: NotDurable, Truncated, Unsupported, TopicGone.
[[nodiscard]] Result<void> wait_until_durable(TopicMemory& topic, const Receipt& receipt,
                                              Deadline deadline,
                                              const std::function<void()>& refresh);

}  // namespace mallbots::client
