#include "clients/internal/appending.h"
#include "clients/internal/link.h"
#include "clients/internal/record_buffer.h"
#include "clients/internal/slot_cache.h"
#include "clients/internal/topic_memory.h"
#include "clients/producer.h"
#include "shm/concurrent/append.h"

namespace mallbots::client {

using shm::AppendStatus;

class ExclusiveProducer::Impl {
 public:
  Impl(std::unique_ptr<TopicMemory> topic, PartitionIndex partition)
      : topic_(std::move(topic)), partition_(partition) {}

  /// Lease, seat, appender. `take_over` only for the first time: what was lost to another since is
  /// lost.
  Result<void> take_seat(bool take_over, Deadline deadline);
  /// The same, whatever becomes of the broker meanwhile.
  Result<void> take_first_seat(bool take_over, Deadline deadline);
  /// Notices that the broker was replaced; a new session needs the lease again.
  Result<void> refresh(Deadline deadline);
  void look_now_and_then();
  [[nodiscard]] bool may_try() const noexcept {
    return appender_.has_value() && !topic_->link().is_memory_lost();
  }
  /// Whoever will wait says so first: then the wake that comes with the commit starts the flush.
  void announce(const SendOptions& options) const noexcept {
    if (options.acks == Acks::kDurable)
      static_cast<void>(shm::prepare_wait(topic_->knock(partition_)->durable));
  }
  /// Runs `attempt` until it is done or can never be. Each attempt must leave nothing behind when
  /// it fails.
  template <class Attempt>
  Result<shm::AppendOutcome> insist(Deadline deadline, const Attempt& attempt);
  Result<Receipt> accept(const shm::AppendOutcome& outcome, std::uint32_t records,
                         const SendOptions& options);

  std::unique_ptr<TopicMemory> topic_;
  PartitionIndex partition_;
  std::unique_ptr<SlotCache> slots_;
  std::optional<shm::ExclusiveAppender> appender_;
  RecordBuffer buffer_;
  std::uint32_t reserved_ = 0;
  bool lost_ = false;  ///< the lease: final
  UnixMillis looked_ms_ = 0;
};

Result<void> ExclusiveProducer::Impl::take_seat(bool take_over, Deadline deadline) {
  Link& link = topic_->link();
  const auto lease = link.ask_on<shm::TakeLeaseReply>(
      topic_->attachment(), shm::TakeLease{topic_->topic_id(), partition_, take_over}, deadline);
  if (!lease) return std::unexpected(lease.error());
  const auto seat = link.ask_on<shm::OpenProducerReply>(
      topic_->attachment(), shm::OpenProducer{topic_->topic_id(), partition_, 0}, deadline);
  if (!seat) return std::unexpected(seat.error());
  if (seat->cell >= shm::kSessionCells)
    return fail(ErrorCode::kBadMessage, "the broker's answer to OpenProducer has another form");
  slots_ = std::make_unique<SlotCache>(*topic_, partition_, shm::Access::kReadWrite);
  slots_->prefetch(deadline);
  const bool hashed = !topic_->has(shm::TopicFlag::kHeaderChecksum);
  appender_.emplace(topic_->parts(partition_, *slots_),
                    shm::ProducerSeat{&topic_->session().memory().cells[seat->cell].producer,
                                      seat->last_sequence,
                                      {seat->producer_id, seat->producer_epoch, hashed}},
                    shm::Lease{lease->lease});
  reserved_ = 0;
  return {};
}

Result<void> ExclusiveProducer::Impl::take_first_seat(bool take_over, Deadline deadline) {
  return topic_->link().ride_out(deadline, [&]() -> Result<void> {
    if (topic_->is_stale()) {
      MALLBOTS_TRY(topic_->reopen(deadline));
      topic_->release_old();
    }
    return take_seat(take_over, deadline);
  });
}

Result<void> ExclusiveProducer::Impl::refresh(Deadline deadline) {
  Link& link = topic_->link();
  link.tend();
  if (!link.is_attached() || (!topic_->is_stale() && appender_)) return {};
  const auto away = [](const Error& error) {
    return error.code == ErrorCode::kConnectionLost || error.code == ErrorCode::kTimeout;
  };
  if (topic_->is_stale()) {
    const auto reopened = topic_->reopen(deadline);
    if (!reopened && away(reopened.error())) return {};
    if (!reopened) return std::unexpected(reopened.error());
    if (*reopened == TopicMemory::Reopened::kSame && appender_) return {};
    appender_.reset();
    slots_.reset();
    topic_->release_old();
  }
  const auto seated = take_seat(false, deadline);
  if (seated || away(seated.error())) return {};
  if (seated.error().code != ErrorCode::kLeaseHeld) return seated;
  lost_ = true;
  return fail(ErrorCode::kLeaseLost,
              topic_->place(partition_) + ": another producer took it while the broker was away");
}

/// Before a first reservation or a batch, now and then: see Producer.
void ExclusiveProducer::Impl::look_now_and_then() {
  const UnixMillis now_ms = wall_coarse_ms();
  if (reserved_ != 0 || std::uint64_t(now_ms - looked_ms_) < std::uint64_t{kAttemptMs}) return;
  looked_ms_ = now_ms;
  static_cast<void>(refresh(Deadline::after_ms(kAttemptMs)));
}

template <class Attempt>
Result<shm::AppendOutcome> ExclusiveProducer::Impl::insist(Deadline deadline,
                                                           const Attempt& attempt) {
  shm::AppendOutcome outcome{AppendStatus::kUnmapped};
  for (bool first = true;; first = false) {
    if (lost_) return fail(ErrorCode::kLeaseLost, topic_->place(partition_));
    if (appender_ && !topic_->link().is_memory_lost()) {
      const Deadline until = attempt_of(deadline);
      slots_->may_ask(until.is_try() ? Deadline::after_ms(kAttemptMs) : until);
      outcome = attempt(*appender_, until);
      slots_->may_ask(Deadline::passed());
      if (outcome.status == AppendStatus::kAppended) return outcome;
      if (outcome.status == AppendStatus::kLeaseLost) lost_ = true;
      if (!may_retry(outcome.status))
        return std::unexpected(append_error(*topic_, partition_, outcome));
    }
    if (!first && deadline.has_passed())
      return std::unexpected(append_error(*topic_, partition_, outcome));
    MALLBOTS_TRY(refresh(deadline));
    if (topic_->link().is_lost())
      return fail(ErrorCode::kConnectionLost, topic_->place(partition_));
    if (outcome.status != AppendStatus::kTimeout) pause_before_retry(*topic_, partition_, deadline);
  }
}

Result<Receipt> ExclusiveProducer::Impl::accept(const shm::AppendOutcome& outcome,
                                                std::uint32_t records, const SendOptions& options) {
  const Receipt receipt{.partition = partition_,
                        .offset = outcome.offset,
                        .records = records,
                        .timestamp_ms = outcome.timestamp_ms,
                        .log_epoch = topic_->board(partition_).log_epoch};
  if (slots_->wants_prefetch()) slots_->prefetch(Deadline::after_ms(kAttemptMs));
  if (options.acks != Acks::kDurable) return receipt;
  MALLBOTS_TRY(wait_until_durable(*topic_, receipt, deadline_of(options), [&] {
    static_cast<void>(refresh(Deadline::after_ms(kAttemptMs)));
  }));
  return receipt;
}

// The class itself
// -----------------------------------------------------------------------------------------

ExclusiveProducer::ExclusiveProducer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ExclusiveProducer::~ExclusiveProducer() = default;

Result<std::unique_ptr<ExclusiveProducer>> ExclusiveProducer::open(
    Connection& connection, const std::string& topic, const ExclusiveOptions& options) {
  const Deadline deadline = Deadline::after_ms(connection.options().reconnect_timeout_ms);
  auto memory = TopicMemory::open(connection.link(), topic, shm::Intent::kProduce, deadline);
  if (!memory) return std::unexpected(std::move(memory).error());
  if (!(*memory)->has(shm::TopicFlag::kExclusive))
    return fail(ErrorCode::kBadArgument,
                "topic " + topic + " has producers=shared; open a Producer");
  MALLBOTS_TRY((*memory)->check_partition(options.partition));
  auto impl = std::make_unique<Impl>(std::move(*memory), options.partition);
  MALLBOTS_TRY(impl->take_first_seat(options.take_over, deadline));
  return std::unique_ptr<ExclusiveProducer>{new ExclusiveProducer(std::move(impl))};
}

Result<std::span<std::byte>> ExclusiveProducer::reserve(std::size_t payload_bytes,
                                                        Deadline deadline,
                                                        std::span<const std::byte> key) {
  impl_->look_now_and_then();
  std::span<std::byte> payload;
  const auto attempt = [&](shm::ExclusiveAppender& appender, Deadline until) {
    const auto reservation = appender.reserve(payload_bytes, until, key);
    payload = reservation.payload;
    return shm::AppendOutcome{reservation.status};
  };
  // The usual case needs no clock and no second look.
  if (impl_->may_try() &&
      attempt(*impl_->appender_, Deadline::passed()).status == AppendStatus::kAppended) {
    ++impl_->reserved_;
    return payload;
  }
  const std::uint32_t before = impl_->reserved_;
  const auto outcome = impl_->insist(deadline, attempt);
  if (!outcome) return std::unexpected(outcome.error());
  if (impl_->reserved_ != before) {
    // A fresh appender holds this one reservation; nobody may commit it as part of the batch.
    impl_->appender_.reset();
    impl_->reserved_ = 0;
    return fail(ErrorCode::kDraining, impl_->topic_->place(impl_->partition_) +
                                          ": the broker was replaced, what was reserved is void");
  }
  ++impl_->reserved_;
  return payload;
}

Result<Receipt> ExclusiveProducer::commit(const SendOptions& options) {
  if (impl_->reserved_ == 0)
    return fail(ErrorCode::kBadArgument, "nothing was reserved since the last commit");
  const std::uint32_t records = std::exchange(impl_->reserved_, 0);
  if (!impl_->appender_)
    return fail(ErrorCode::kDraining, impl_->topic_->place(impl_->partition_) +
                                          ": the broker was replaced, what was reserved is void");
  // A reservation does not outlive a failed attempt, so there is one, with all the time there is.
  const Deadline deadline = deadline_of(options);
  impl_->slots_->may_ask(deadline);
  impl_->announce(options);
  const auto outcome = impl_->appender_->commit(
      {.deadline = deadline, .await_durable = options.acks == Acks::kDurable});
  impl_->slots_->may_ask(Deadline::passed());
  if (outcome.status != AppendStatus::kAppended) {
    impl_->lost_ = impl_->lost_ || outcome.status == AppendStatus::kLeaseLost;
    return std::unexpected(append_error(*impl_->topic_, impl_->partition_, outcome));
  }
  return impl_->accept(outcome, records, options);
}

Result<Receipt> ExclusiveProducer::append_batch(std::span<const Record> records,
                                                const SendOptions& options) {
  if (records.empty()) return fail(ErrorCode::kBadArgument, "a batch of no records");
  const auto inputs = impl_->buffer_.encode(records);
  if (!inputs) return std::unexpected(inputs.error());
  const auto attempt = [&](shm::ExclusiveAppender& appender, Deadline until) {
    return appender.append_batch(
        *inputs, {.deadline = until, .await_durable = options.acks == Acks::kDurable});
  };
  impl_->look_now_and_then();
  impl_->announce(options);
  shm::AppendOutcome outcome;
  if (impl_->may_try()) outcome = attempt(*impl_->appender_, Deadline::passed());
  if (outcome.status != AppendStatus::kAppended) {
    const auto insisted = impl_->insist(deadline_of(options), attempt);
    if (!insisted) return std::unexpected(insisted.error());
    outcome = *insisted;
  }
  return impl_->accept(outcome, static_cast<std::uint32_t>(records.size()), options);
}

Result<Receipt> ExclusiveProducer::append(const Record& record, const SendOptions& options) {
  return append_batch({&record, 1}, options);
}

Offset ExclusiveProducer::durable_offset() const noexcept {
  return impl_->topic_->board(impl_->partition_).durable_offset.load();
}

Result<void> ExclusiveProducer::wait_durable(const Receipt& receipt, Deadline deadline) {
  return wait_until_durable(*impl_->topic_, receipt, deadline, [&] {
    static_cast<void>(impl_->refresh(Deadline::after_ms(kAttemptMs)));
  });
}

std::size_t ExclusiveProducer::record_max_bytes() const noexcept {
  return impl_->topic_->header().record_max_bytes;
}

PartitionIndex ExclusiveProducer::partition() const noexcept { return impl_->partition_; }

}  // namespace mallbots::client
