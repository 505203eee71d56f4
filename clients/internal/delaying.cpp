#include "clients/internal/delaying.h"

#include <algorithm>

#include "shm/base/clock.h"

namespace mallbots::client {

Result<UnixMillis> due_time(const SendOptions& options, std::int64_t delay_max_ms) {
  if (options.deliver_at && options.delay_ms)
    return fail(ErrorCode::kBadArgument, "deliver_at or delay_ms, not both");
  if (options.expected_offset != kNoOffset || options.sequence != 0)
    return fail(ErrorCode::kBadArgument, "a delayed record has no offset and no sequence yet");
  const UnixMillis now_ms = wall_now_ms();
  if (options.delay_ms
          ? *options.delay_ms > delay_max_ms
          : *options.deliver_at > now_ms && *options.deliver_at - now_ms > delay_max_ms)
    return fail(ErrorCode::kDelayTooLong,
                "delay.max is " + std::to_string(delay_max_ms / 1000) + " s");
  return options.delay_ms ? now_ms + std::max<std::int64_t>(*options.delay_ms, 0)
                          : *options.deliver_at;
}

Result<void> check_fit(std::span<const shm::RecordInput> inputs, const TopicMemory& topic) {
  const std::uint64_t most = topic.header().record_max_bytes;
  for (const shm::RecordInput& input : inputs)
    if (shm::record_bytes(input) > most)
      return fail(ErrorCode::kTooLarge,
                  "a delayed record of " + std::to_string(shm::record_bytes(input)) +
                      " bytes; topic " + topic.name() + " takes " + std::to_string(most));
  return {};
}

}  // namespace mallbots::client
