#include "clients/internal/hand_in_producer.h"

#include "clients/internal/appending.h"

namespace mallbots::client {
namespace {

RingRequest ring_request(std::span<const shm::RecordInput> records, const SendOptions& options) {
  return {.records = records,
          .sequence = options.sequence,
          .expected = options.expected_offset,
          .await_durable = options.acks == Acks::kDurable};
}

/// What an answer is in the words of an append; nothing: a refusal that no append knows.
std::optional<shm::AppendOutcome> as_append(const shm::IngestOutcome& answer) noexcept {
  using shm::AppendStatus;
  switch (static_cast<ErrorCode>(answer.code)) {
    case ErrorCode::kNone:
      return (answer.flags & shm::kDuplicateAnswer) != 0
                 ? shm::AppendOutcome{AppendStatus::kDuplicate, answer.value}
                 : shm::AppendOutcome{AppendStatus::kAppended, answer.value, answer.timestamp_ms};
    case ErrorCode::kConflict:
      return shm::AppendOutcome{AppendStatus::kConflict, answer.value};
    case ErrorCode::kOutOfSequence:
      return shm::AppendOutcome{AppendStatus::kOutOfSequence, answer.value};
    case ErrorCode::kTooLarge:
      return shm::AppendOutcome{AppendStatus::kTooLarge};
    case ErrorCode::kTopicGone:
      return shm::AppendOutcome{AppendStatus::kGone};
    default:
      return std::nullopt;
  }
}

/// A receipt behind what was accepted before; of no records if all of that is durable.
Receipt behind_duplicate(PartitionIndex partition, const RingAnswer& answer) noexcept {
  if (answer.extras[0] == 0) return {};
  return {.partition = partition,
          .offset = answer.extras[0] - 1,
          .records = 1,
          .log_epoch = answer.log_epoch};
}

}  // namespace

Result<Receipt> HandInProducer::append(PartitionIndex partition,
                                       std::span<const shm::RecordInput> records,
                                       const SendOptions& options) {
  const bool durable = options.acks == Acks::kDurable;
  if (durable && topic_->has(shm::TopicFlag::kMemoryOnly))
    return fail(ErrorCode::kUnsupported,
                "acks=durable on topic " + topic_->name() + ", which has storage=memory");
  const Deadline deadline = deadline_of(options);
  const auto count = static_cast<std::uint32_t>(records.size());
  for (;;) {
    look_now_and_then();
    if (options.acks == Acks::kNone) {
      MALLBOTS_TRY(sender_.post(partition, ring_request(records, options), deadline));
      return Receipt{.partition = partition, .records = count};
    }
    const auto answer = sender_.send(partition, ring_request(records, options), deadline);
    if (!answer) return std::unexpected(answer.error());
    const auto outcome = as_append(*answer);
    if (!outcome) return fail(static_cast<ErrorCode>(answer->code), topic_->place(partition));
    if (outcome->status != shm::AppendStatus::kAppended &&
        outcome->status != shm::AppendStatus::kDuplicate)
      return std::unexpected(append_error(*topic_, partition, *outcome));
    const Receipt had = durable ? last_[partition] : Receipt{};
    const Receipt receipt = accept(partition, count, *outcome, answer->log_epoch);
    if (!durable) return receipt;
    const auto waited =
        wait_durable(receipt.duplicate ? behind_duplicate(partition, *answer) : receipt, deadline);
    if (waited) return receipt;
    if (waited.error().code != ErrorCode::kTruncated) return std::unexpected(waited.error());
    if (receipt.duplicate) return in_doubt(*topic_, partition);
    // Taken back with the memory: it is not in the log, so it may be sent again, and flush() has
    // nothing to tell of it.
    last_[partition] = had;
    sender_.forget(partition, *answer);
    if (deadline.has_passed()) return std::unexpected(waited.error());
  }
}

TryReceipt HandInProducer::try_append(PartitionIndex partition, const shm::RecordInput& record,
                                      const SendOptions& options) noexcept {
  const auto tried = sender_.try_send(partition, ring_request({&record, 1}, options));
  if (tried.code != ErrorCode::kNone) return {tried.code};
  const auto outcome = as_append(tried.outcome);
  if (!outcome) return {static_cast<ErrorCode>(tried.outcome.code)};
  const ErrorCode code = append_code(*topic_, partition, outcome->status);
  return code == ErrorCode::kNone
             ? TryReceipt{code, accept(partition, 1, *outcome, tried.outcome.log_epoch)}
             : TryReceipt{code};
}

Receipt HandInProducer::receipt_of(PartitionIndex partition,
                                   const RingLane::LastRecord& last) const noexcept {
  return {.partition = partition,
          .offset = last.offset,
          .records = 1,
          .timestamp_ms = last.timestamp_ms,
          .log_epoch = last.log_epoch};
}

/// What was posted without waiting has its answers, what rings had that are no more is durable; the
/// last of what there is counts for flush().
Result<void> HandInProducer::settle(PartitionIndex partition, Deadline deadline) {
  const auto last = sender_.settle(partition, deadline);
  if (!last) return std::unexpected(last.error());
  if (last->offset != kNoOffset) last_[partition] = receipt_of(partition, *last);
  Result<void> all;
  const auto all_ended = sender_.take_ended(partition);
  for (const RingLane::LastRecord& ended : all_ended) {
    const auto kept = wait_durable(receipt_of(partition, ended), deadline);
    if (kept) continue;
    if (kept.error().code != ErrorCode::kTruncated) {
      for (const RingLane::LastRecord& again : all_ended) sender_.put_back(partition, again);
      return kept;
    }
    if (last_[partition].log_epoch == ended.log_epoch) last_[partition] = {};
    all = kept;
  }
  return all;
}

Result<void> HandInProducer::wait_durable(const Receipt& receipt, Deadline deadline) {
  if (receipt.offset == kNoOffset) {
    if (receipt.records == 0) return {};
    MALLBOTS_TRY(topic_->check_partition(receipt.partition));
    MALLBOTS_TRY(settle(receipt.partition, deadline));
    const Receipt last = last_[receipt.partition];
    return last.records == 0 ? Result<void>{} : wait_durable(last, deadline);
  }
  if (topic_->check_partition(receipt.partition) &&
      topic_->board(receipt.partition).durable_offset.load() <= receipt.last_offset())
    ask_for_flush(receipt.partition);
  return wait_until_durable(*topic_, receipt, deadline, [&] {
    static_cast<void>(sender_.refresh(Deadline::after_ms(kAttemptMs)));
  });
}

Result<void> HandInProducer::flush(Deadline deadline) {
  for (PartitionIndex i = 0; i < last_.size(); ++i) MALLBOTS_TRY(settle(i, deadline));
  for (PartitionIndex i = 0; i < last_.size(); ++i)
    if (last_[i].records != 0) ask_for_flush(i);
  for (const Receipt& last : last_)
    if (last.records != 0) MALLBOTS_TRY(wait_durable(last, deadline));
  return {};
}

/// A session that may not knock asks through its ring.
void HandInProducer::ask_for_flush(PartitionIndex partition) noexcept {
  if (topic_->knock(partition) != nullptr) return topic_->ask_for_flush(partition);
  static_cast<void>(sender_.ask_for_flush(partition));
}

std::uint64_t HandInProducer::last_sequence(PartitionIndex partition) const noexcept {
  const RingLane* const lane = sender_.lane(partition);
  return lane == nullptr ? 0 : lane->last_sequence();
}

Receipt HandInProducer::accept(PartitionIndex partition, std::uint32_t count,
                               const shm::AppendOutcome& outcome, LogEpoch log_epoch) {
  const bool duplicate = outcome.status == shm::AppendStatus::kDuplicate;
  const Receipt receipt{.partition = partition,
                        .offset = duplicate ? kNoOffset : outcome.offset,
                        .records = duplicate ? 0 : count,
                        .timestamp_ms = outcome.timestamp_ms,
                        .log_epoch = log_epoch,
                        .duplicate = duplicate};
  if (!duplicate) last_[partition] = receipt;
  return receipt;
}

/// A broker that died together with its keeper leaves memory behind that nobody reads any more.
void HandInProducer::look_now_and_then() {
  const UnixMillis now_ms = wall_coarse_ms();
  if (std::uint64_t(now_ms - looked_ms_) < std::uint64_t{kAttemptMs}) return;
  looked_ms_ = now_ms;
  // Errors are told by the append that cannot do without the broker.
  static_cast<void>(sender_.refresh(Deadline::after_ms(kAttemptMs)));
}

}  // namespace mallbots::client
