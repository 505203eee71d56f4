#include "clients/internal/appending.h"

#include <algorithm>

namespace mallbots::client {
namespace {

using shm::AppendStatus;

constexpr std::int64_t kDefaultTimeoutMs = 30'000;
constexpr BootNanos kPause = 5 * kMillisecond;

ErrorCode readonly_code(const TopicMemory& topic, PartitionIndex partition) noexcept {
  const std::uint64_t code = topic.board(partition).readonly.load();
  return code == 0 || code > 0xFFFF ? ErrorCode::kIo : static_cast<ErrorCode>(code);
}

}  // namespace

Deadline deadline_of(const SendOptions& options) noexcept {
  return options.deadline ? *options.deadline : Deadline::after_ms(kDefaultTimeoutMs);
}

Deadline attempt_of(Deadline deadline) noexcept {
  return deadline.remaining_ns() > kAttemptMs * kMillisecond ? Deadline::after_ms(kAttemptMs)
                                                             : deadline;
}

bool may_retry(AppendStatus status) noexcept {
  switch (status) {
    case AppendStatus::kTimeout:
    case AppendStatus::kUnmapped:
    case AppendStatus::kClosed:
    case AppendStatus::kRevoked:  // an idle session may have been ended; a new one is made
    case AppendStatus::kDamaged:  // the broker seals such a slot
      return true;
    default:
      return false;
  }
}

ErrorCode append_code(const TopicMemory& topic, PartitionIndex partition,
                      AppendStatus status) noexcept {
  switch (status) {
    case AppendStatus::kAppended:
    case AppendStatus::kDuplicate:
      return ErrorCode::kNone;
    case AppendStatus::kConflict:
      return ErrorCode::kConflict;
    case AppendStatus::kOutOfSequence:
      return ErrorCode::kOutOfSequence;
    case AppendStatus::kTooLarge:
      return ErrorCode::kTooLarge;
    case AppendStatus::kTimeout:
      return ErrorCode::kTimeout;
    case AppendStatus::kUnmapped:
      return topic.link().is_attached() ? ErrorCode::kTimeout : ErrorCode::kConnectionLost;
    case AppendStatus::kRevoked:
      return ErrorCode::kRevoked;
    case AppendStatus::kLeaseLost:
      return ErrorCode::kLeaseLost;
    case AppendStatus::kClosed:
      return topic.link().is_attached() ? ErrorCode::kDraining : ErrorCode::kConnectionLost;
    case AppendStatus::kGone:
      return ErrorCode::kTopicGone;
    case AppendStatus::kReadOnly:
      return readonly_code(topic, partition);
    case AppendStatus::kDamaged:
      return ErrorCode::kCorrupt;
    case AppendStatus::kBusy:
      return ErrorCode::kBusy;
    case AppendStatus::kNameTaken:
      return ErrorCode::kNameTaken;
  }
  return ErrorCode::kCorrupt;
}

Error append_error(const TopicMemory& topic, PartitionIndex partition,
                   const shm::AppendOutcome& outcome) {
  Error error{append_code(topic, partition, outcome.status), topic.place(partition)};
  switch (outcome.status) {
    case AppendStatus::kReadOnly:
      if (const auto served = topic.check_served(partition); !served) return served.error();
      break;
    case AppendStatus::kConflict:
      error.detail += ": the next offset is " + std::to_string(outcome.offset);
      break;
    case AppendStatus::kOutOfSequence:
      error.detail += ": the last sequence accepted is " + std::to_string(outcome.offset);
      break;
    case AppendStatus::kTooLarge:
      error.detail += ": record.max is " + std::to_string(topic.header().record_max_bytes) +
                      " bytes for a record or a batch, headers included";
      break;
    case AppendStatus::kTimeout:
      error.detail += ": no room in memory, or another producer is inside";
      break;
    case AppendStatus::kUnmapped:
      error.detail += ": the slot to write could not be mapped";
      break;
    case AppendStatus::kDamaged:
      error.detail += ": the open slot contradicts itself";
      break;
    default:
      break;
  }
  return error;
}

std::unexpected<Error> in_doubt(const TopicMemory& topic, PartitionIndex partition) {
  return fail(ErrorCode::kInDoubt, topic.place(partition));
}

void pause_before_retry(const TopicMemory& topic, PartitionIndex partition,
                        Deadline deadline) noexcept {
  // A broker that takes over knocks on every eventcount.
  std::atomic<std::uint32_t>& room = topic.room_word(partition);
  const std::uint32_t key = shm::prepare_wait(room);
  shm::wait(room, key, deadline.remaining_ns() < kPause ? deadline : Deadline::after_ns(kPause));
}

Result<shm::NameProducerReply> take_name(TopicMemory& topic, const std::string& name,
                                         Deadline deadline,
                                         const std::function<Result<void>()>& refresh) {
  return topic.link().ride_out(deadline, [&]() -> Result<shm::NameProducerReply> {
    if (topic.is_stale()) MALLBOTS_TRY(refresh());
    return topic.link().ask_on<shm::NameProducerReply>(
        topic.attachment(), shm::NameProducer{topic.topic_id(), name}, deadline);
  });
}

Result<void> wait_until_durable(TopicMemory& topic, const Receipt& receipt, Deadline deadline,
                                const std::function<void()>& refresh) {
  if (topic.has(shm::TopicFlag::kMemoryOnly))
    return fail(ErrorCode::kUnsupported, "topic " + topic.name() + " has storage=memory");
  if (receipt.records == 0 || receipt.offset == kNoOffset) return {};
  MALLBOTS_TRY(topic.check_partition(receipt.partition));
  for (;;) {
    const shm::PartitionBoard& board = topic.board(receipt.partition);
    if (board.log_epoch != receipt.log_epoch) {
      const auto end = topic.end_of_epoch(receipt.partition, receipt.log_epoch, deadline);
      if (end && receipt.last_offset() < *end) return {};
      if (end)
        return fail(ErrorCode::kTruncated,
                    topic.place(receipt.partition) + ": the memory was lost before offset " +
                        std::to_string(receipt.offset) + " was flushed; it is not in the log");
      const ErrorCode code = end.error().code;
      const bool is_away = code == ErrorCode::kConnectionLost || code == ErrorCode::kTimeout ||
                           code == ErrorCode::kDraining;
      if (!is_away) return std::unexpected(end.error());
      if (deadline.has_passed())
        return fail(ErrorCode::kNotDurable,
                    topic.place(receipt.partition) + ": the memory was lost, and no broker says " +
                        "whether offset " + std::to_string(receipt.last_offset()) + " is on disk");
      refresh();
      continue;
    }
    if (board.durable_offset.load() > receipt.last_offset()) return {};
    if (topic.state() == shm::BoardState::kGone) return fail(ErrorCode::kTopicGone, topic.name());
    MALLBOTS_TRY(topic.check_served(receipt.partition));
    if (deadline.has_passed())
      return fail(ErrorCode::kNotDurable, topic.place(receipt.partition) + ": offset " +
                                              std::to_string(receipt.last_offset()) +
                                              ", durable up to " +
                                              std::to_string(board.durable_offset.load()));
    std::atomic<std::uint32_t>& durable = topic.durable_word(receipt.partition);
    const std::uint32_t key = shm::prepare_wait(durable);
    if (board.durable_offset.load() > receipt.last_offset()) return {};
    topic.ask_for_flush(receipt.partition);
    shm::wait(durable, key, attempt_of(deadline));
    refresh();
  }
}

}  // namespace mallbots::client
