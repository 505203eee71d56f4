#include "clients/producer.h"

#include <utility>

#include "clients/internal/appending.h"
#include "clients/internal/delaying.h"
#include "clients/internal/hand_in_producer.h"
#include "clients/internal/link.h"
#include "clients/internal/record_buffer.h"
#include "clients/internal/slot_cache.h"
#include "clients/internal/topic_memory.h"
#include "shm/concurrent/append.h"
#include "shm/layout/delayed.h"

namespace mallbots::client {
namespace {

constexpr UnixMillis kLookEveryMs = 50;

shm::AppendOptions low_options(const SendOptions& options, Deadline deadline,
                               UnixMillis now_ms) noexcept {
  return {.deadline = deadline,
          .expected_offset = options.expected_offset,
          .sequence = options.sequence,
          .await_durable = options.acks == Acks::kDurable,
          .now_ms = now_ms};
}

/// One partition as this producer appends to it.
struct Lane {
  Lane(const TopicMemory& topic, PartitionIndex partition)
      : slots(topic, partition, shm::Access::kReadWrite) {}
  SlotCache slots;
  std::optional<shm::Appender> appender;
};

/// What outlives a lane when the broker's memory was lost.
struct Identity {
  std::uint64_t producer_id = 0;
  Receipt last{};    ///< of what this producer appended
  Receipt before{};  ///< of a seat with a past: the end of the partition when it was taken
  std::vector<Receipt> ended;  ///< the last of each lost memory, until flush() has settled it
  [[nodiscard]] const Receipt& end() const noexcept { return last.records != 0 ? last : before; }
  /// What flush() answers for: without a name, nothing that others have appended.
  [[nodiscard]] bool is_owed(bool named) const noexcept {
    return last.records != 0 || (named && before.records != 0);
  }
};

}  // namespace

class Producer::Impl {
 public:
  Impl(std::unique_ptr<TopicMemory> topic, const ProducerOptions& options)
      : topic_(std::move(topic)),
        options_(options),
        lanes_(topic_->partitions()),
        identities_(topic_->partitions()),
        wanted_(topic_->partitions(), 0) {
    if (topic_->has(shm::TopicFlag::kSequenced))
      handing_in_ = std::make_unique<HandInProducer>(*topic_, options_.producer_id);
  }

  Receipt behind_duplicates(PartitionIndex partition) const;
  /// The one that the options name, without a call.
  Result<PartitionIndex> choose(const Record& record, const SendOptions& options) {
    if (options.partition < topic_->partitions()) return options.partition;
    return choose_for(record, options);
  }
  Result<PartitionIndex> choose_for(const Record& record, const SendOptions& options);
  /// Inlined: of an append that need not wait, this call would be a tenth.
  template <class Attempt>
  [[gnu::always_inline]] Result<Receipt> send(PartitionIndex partition, std::uint32_t count,
                                              const SendOptions& options, const Attempt& attempt) {
    if (options.acks == Acks::kDurable) return send_durable(partition, count, options, attempt);
    const UnixMillis now_ms = look_now_and_then();
    Lane* const lane = lanes_[partition].get();
    shm::AppendOutcome outcome{shm::AppendStatus::kUnmapped};
    // The usual case is one attempt that need not wait: no deadline is looked at for it.
    if (lane != nullptr && !topic_->link().is_memory_lost())
      outcome = attempt(*lane->appender, Deadline::passed(), now_ms);
    if (outcome.status != shm::AppendStatus::kAppended) {
      auto insisted = insist(partition, options, outcome, attempt);
      if (!insisted) return std::unexpected(std::move(insisted).error());
      outcome = *insisted;
    }
    if (SlotCache& slots = lanes_[partition]->slots; slots.wants_prefetch())
      slots.prefetch(Deadline::after_ms(kAttemptMs));
    Result<Receipt> receipt{std::in_place};
    accept(partition, count, outcome, *receipt);
    return receipt;
  }
  template <class Attempt>
  Result<Receipt> send_durable(PartitionIndex partition, std::uint32_t count,
                               const SendOptions& options, const Attempt& attempt);
  TryReceipt try_append(const Record& record, const SendOptions& options) noexcept;
  Result<void> prepare(PartitionIndex partition, Deadline deadline);
  Result<void> refresh(Deadline deadline);
  UnixMillis look_now_and_then();
  Result<void> tend();
  Result<void> wait_durable(const Receipt& receipt, Deadline deadline);
  Result<void> flush(Deadline deadline);
  Result<Receipt> send_delayed(std::span<const Record> records, const SendOptions& options);
  Result<void> open_delayed(Deadline deadline);
  void accept(PartitionIndex partition, std::uint32_t count, const shm::AppendOutcome& outcome,
              Receipt& receipt) noexcept;

  std::unique_ptr<TopicMemory> topic_;
  std::unique_ptr<HandInProducer> handing_in_;  ///< of sequenced topics: does all the work there
  ProducerOptions options_;
  std::uint32_t epoch_ = 0;  ///< of the name; 0: none
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<Identity> identities_;
  std::vector<char> wanted_;  ///< partitions that try_append missed
  bool any_wanted_ = false;
  RecordBuffer buffer_;
  std::unique_ptr<Impl> delayed_;  ///< appends to the delay log; made at the first use
  std::int64_t delay_max_ms_ = 0;
  PartitionIndex next_ = 0;
  UnixMillis looked_ms_ = 0;
  bool inside_ = false;

 private:
  template <class Attempt>
  Result<shm::AppendOutcome> insist(PartitionIndex partition, const SendOptions& options,
                                    shm::AppendOutcome outcome, const Attempt& attempt);
};

Result<PartitionIndex> Producer::Impl::choose_for(const Record& record,
                                                  const SendOptions& options) {
  const PartitionIndex count = topic_->partitions();
  if (options.partition != kAnyPartition) MALLBOTS_TRY(topic_->check_partition(options.partition));
  if (count == 1) return 0;
  if (options.expected_offset != kNoOffset || options.sequence != 0)
    return fail(ErrorCode::kBadArgument,
                "an expected offset or a sequence needs a partition; topic " + topic_->name() +
                    " has " + std::to_string(count));
  if (!record.key.empty()) return static_cast<PartitionIndex>(xxh3(record.key) % count);
  next_ = next_ + 1 < count ? next_ + 1 : 0;
  return next_;
}

/// What was appended, for the caller and to remember. Field by field where each stays: a copy of
/// what was just stored would wait for the stores.
void Producer::Impl::accept(PartitionIndex partition, std::uint32_t count,
                            const shm::AppendOutcome& outcome, Receipt& receipt) noexcept {
  const bool duplicate = outcome.status == shm::AppendStatus::kDuplicate;
  const LogEpoch log_epoch = topic_->board(partition).log_epoch;
  const auto fill = [&](Receipt& to) noexcept {
    to.partition = partition;
    to.offset = duplicate ? kNoOffset : outcome.offset;
    to.records = duplicate ? 0 : count;
    to.timestamp_ms = outcome.timestamp_ms;
    to.log_epoch = log_epoch;
    to.duplicate = duplicate;
    to.delayed = false;
  };
  fill(receipt);
  if (!duplicate) fill(identities_[partition].last);
}

/// Now and then, before an append: a broker that died together with its keeper leaves memory behind
/// that nobody reads any more. The time it is, for the stamp; 0 if that took time.
UnixMillis Producer::Impl::look_now_and_then() {
  const UnixMillis now_ms = wall_coarse_ms();
  if (std::uint64_t(now_ms - looked_ms_) < std::uint64_t{kLookEveryMs}) return now_ms;
  looked_ms_ = now_ms;
  // Errors are told by the append that cannot do without the broker.
  static_cast<void>(refresh(Deadline::after_ms(kAttemptMs)));
  return 0;  // old by now
}

template <class Attempt>
Result<Receipt> Producer::Impl::send_durable(PartitionIndex partition, std::uint32_t count,
                                             const SendOptions& options, const Attempt& attempt) {
  if (topic_->has(shm::TopicFlag::kMemoryOnly))
    return fail(ErrorCode::kUnsupported,
                "acks=durable on topic " + topic_->name() + ", which has storage=memory");
  SendOptions committed = options;
  committed.acks = Acks::kCommitted;
  committed.deadline = deadline_of(options);
  for (;;) {
    // Whoever will wait says so first: then the wake that comes with the commit starts the flush.
    // If the memory is found lost meanwhile, waiting says so again.
    static_cast<void>(shm::prepare_wait(topic_->knock(partition)->durable));
    const Receipt had = identities_[partition].last;
    auto receipt = send(partition, count, committed, attempt);
    if (!receipt) return receipt;
    const auto waited = wait_durable(receipt->duplicate ? behind_duplicates(partition) : *receipt,
                                     *committed.deadline);
    if (waited) return receipt;
    if (waited.error().code != ErrorCode::kTruncated) return std::unexpected(waited.error());
    // The log remembers what a name has sent, only memory what one without has.
    if (receipt->duplicate && (epoch_ == 0 || committed.deadline->has_passed()))
      return in_doubt(*topic_, partition);
    // Taken back with the memory: it is not in the log, so it may be sent again, and flush() has
    // nothing to tell of it.
    identities_[partition].last = had;
    if (committed.deadline->has_passed()) return std::unexpected(waited.error());
  }
}

/// All that a first attempt could not do at once.
template <class Attempt>
Result<shm::AppendOutcome> Producer::Impl::insist(PartitionIndex partition,
                                                  const SendOptions& options,
                                                  shm::AppendOutcome outcome,
                                                  const Attempt& attempt) {
  using shm::AppendStatus;
  const Deadline deadline = deadline_of(options);
  bool first = true;
  while (outcome.status != AppendStatus::kAppended && outcome.status != AppendStatus::kDuplicate) {
    if (!may_retry(outcome.status) || (!first && deadline.has_passed()))
      return std::unexpected(append_error(*topic_, partition, outcome));
    if (!lanes_[partition]) {
      MALLBOTS_TRY(prepare(partition, deadline));
    } else if (!first || outcome.status == AppendStatus::kClosed) {
      const auto refreshed = refresh(deadline);
      if (!refreshed) return std::unexpected(refreshed.error());
      if (topic_->link().is_lost())
        return fail(ErrorCode::kConnectionLost, topic_->place(partition));
      if (!lanes_[partition]) continue;
      if (outcome.status != AppendStatus::kTimeout)
        pause_before_retry(*topic_, partition, deadline);
    }
    first = false;
    if (topic_->link().is_memory_lost()) {
      outcome.status = AppendStatus::kUnmapped;
      continue;
    }
    Lane& lane = *lanes_[partition];
    const Deadline until = attempt_of(deadline);
    // A try may map the slot it needs, but not wait for anybody.
    lane.slots.may_ask(until.is_try() ? Deadline::after_ms(kAttemptMs) : until);
    outcome = attempt(*lane.appender, until, 0);
    lane.slots.may_ask(Deadline::passed());
  }
  return outcome;
}

Result<void> Producer::Impl::open_delayed(Deadline deadline) {
  const auto allowed =
      topic_->link().ask<shm::OpenDelayedReply>(shm::OpenDelayed{topic_->topic_id()}, deadline);
  if (!allowed) return std::unexpected(allowed.error());
  delay_max_ms_ = allowed->delay_max_ms;
  auto log = TopicMemory::open(topic_->link(), shm::kDelayLog, shm::Intent::kProduce, deadline);
  if (!log) return std::unexpected(std::move(log).error());
  delayed_ = std::make_unique<Impl>(std::move(*log), ProducerOptions{});
  return {};
}

Result<Receipt> Producer::Impl::send_delayed(std::span<const Record> records,
                                             const SendOptions& options) {
  const auto partition = choose(records[0], options);
  if (!partition) return std::unexpected(partition.error());
  const SendOptions how{.deadline = deadline_of(options), .acks = options.acks};
  if (!delayed_) MALLBOTS_TRY(open_delayed(*how.deadline));
  const auto due_ms = due_time(options, delay_max_ms_);
  if (!due_ms) return std::unexpected(due_ms.error());
  std::vector<std::byte> front;
  shm::put_delay(front, {topic_->topic_id(), *partition, *due_ms});
  const auto inputs = delayed_->buffer_.encode(records, front);
  if (!inputs) return std::unexpected(inputs.error());
  MALLBOTS_TRY(check_fit(*inputs, *topic_));
  auto receipt =
      delayed_->send(0, static_cast<std::uint32_t>(records.size()), how,
                     [&](shm::Appender& appender, Deadline until, UnixMillis now_ms) {
                       return appender.append_batch(*inputs, low_options(how, until, now_ms));
                     });
  if (!receipt) return receipt;
  receipt->delayed = true;
  receipt->partition = *partition;
  return receipt;
}

TryReceipt Producer::Impl::try_append(const Record& record, const SendOptions& options) noexcept {
  if (options.is_delayed()) return {ErrorCode::kBadArgument};
  PartitionIndex partition = options.partition;
  if (partition == kAnyPartition) {
    const PartitionIndex count = topic_->partitions();
    if (!record.key.empty()) {
      partition = static_cast<PartitionIndex>(xxh3(record.key) % count);
    } else {
      partition = next_ = next_ + 1 < count ? next_ + 1 : 0;
    }
  }
  if (partition >= lanes_.size()) return {ErrorCode::kBadPartition};
  if (handing_in_) {
    const shm::RecordInput* const input = buffer_.try_encode(record);
    return input == nullptr ? TryReceipt{ErrorCode::kTooLarge}
                            : handing_in_->try_append(partition, *input, options);
  }
  if (topic_->link().is_memory_lost()) return {ErrorCode::kTimeout};  // tend() mends it
  if (!lanes_[partition]) {
    wanted_[partition] = 1;
    any_wanted_ = true;
    return {ErrorCode::kTimeout};
  }
  const shm::RecordInput* const input = buffer_.try_encode(record);
  if (input == nullptr) return {ErrorCode::kTooLarge};
  const auto outcome =
      lanes_[partition]->appender->append(*input, {.deadline = Deadline::passed(),
                                                   .expected_offset = options.expected_offset,
                                                   .sequence = options.sequence});
  switch (outcome.status) {
    case shm::AppendStatus::kAppended:
    case shm::AppendStatus::kDuplicate: {
      TryReceipt answer{ErrorCode::kNone};
      accept(partition, 1, outcome, answer.receipt);
      return answer;
    }
    case shm::AppendStatus::kUnmapped:
    case shm::AppendStatus::kClosed:
    case shm::AppendStatus::kRevoked:
      return {ErrorCode::kTimeout};  // tend() mends it
    default:
      return {append_code(*topic_, partition, outcome.status)};
  }
}

/// A receipt behind everything that may be a duplicate in the partition.
Receipt Producer::Impl::behind_duplicates(PartitionIndex partition) const {
  const Identity& identity = identities_[partition];
  const bool lost = identity.last.log_epoch != topic_->board(partition).log_epoch;
  return lost ? identity.before : identity.end();
}

/// A seat in the partition: a cell, the slots to come, an appender.
Result<void> Producer::Impl::prepare(PartitionIndex partition, Deadline deadline) {
  if (handing_in_) return handing_in_->sender().prepare(partition, deadline);
  Identity& identity = identities_[partition];
  for (;;) {
    MALLBOTS_TRY(refresh(deadline));
    if (!topic_->link().is_attached()) MALLBOTS_TRY(topic_->link().ensure(deadline));
    if (topic_->is_stale()) continue;
    const std::uint64_t wanted =
        identity.producer_id != 0 ? identity.producer_id : options_.producer_id;
    const auto seat = topic_->link().ask_on<shm::OpenProducerReply>(
        topic_->attachment(), shm::OpenProducer{topic_->topic_id(), partition, wanted, epoch_},
        deadline);
    if (!seat) {
      if (seat.error().code == ErrorCode::kConnectionLost && !deadline.has_passed()) continue;
      Error error = seat.error();
      if (error.detail.empty()) error.detail = topic_->place(partition);
      return std::unexpected(std::move(error));
    }
    if (seat->cell >= shm::kSessionCells)
      return fail(ErrorCode::kBadMessage, "the broker's answer to OpenProducer has another form");
    auto lane = std::make_unique<Lane>(*topic_, partition);
    lane->slots.prefetch(deadline);
    const bool hashed = !topic_->has(shm::TopicFlag::kHeaderChecksum);
    lane->appender.emplace(topic_->parts(partition, lane->slots),
                           shm::ProducerSeat{&topic_->session().memory().cells[seat->cell].producer,
                                             seat->last_sequence,
                                             {seat->producer_id, seat->producer_epoch, hashed}});
    identity.producer_id = seat->producer_id;
    const LogEpoch log_epoch = topic_->board(partition).log_epoch;
    if (identity.end().records != 0 && identity.end().log_epoch != log_epoch) {
      if (identity.is_owed(epoch_ != 0)) identity.ended.push_back(identity.end());
      identity.last = identity.before = {};
    }
    if (seat->last_sequence != 0 && seat->end_offset > 0)
      identity.before = {.partition = partition,
                         .offset = seat->end_offset - 1,
                         .records = 1,
                         .log_epoch = log_epoch};
    wanted_[partition] = 0;
    lanes_[partition] = std::move(lane);
    return {};
  }
}

/// Notices that the broker was replaced, and makes anew what does not go on.
Result<void> Producer::Impl::refresh(Deadline deadline) {
  if (handing_in_) return handing_in_->sender().refresh(deadline);
  topic_->link().tend();
  if (!topic_->is_stale() || !topic_->link().is_attached()) return {};
  const auto reopened = topic_->reopen(deadline);
  if (!reopened) {
    const ErrorCode code = reopened.error().code;
    if (code == ErrorCode::kConnectionLost || code == ErrorCode::kTimeout) return {};
    return std::unexpected(reopened.error());
  }
  if (*reopened == TopicMemory::Reopened::kSame) return {};
  for (PartitionIndex i = 0; i < lanes_.size(); ++i) {
    if (!lanes_[i]) continue;
    lanes_[i].reset();
    wanted_[i] = 1;
    any_wanted_ = true;
  }
  topic_->release_old();
  lanes_.resize(topic_->partitions());
  identities_.resize(topic_->partitions());
  wanted_.resize(topic_->partitions(), 0);
  return {};
}

Result<void> Producer::Impl::tend() {
  if (handing_in_) return handing_in_->sender().tend();
  topic_->link().tend_now_and_then();
  const Deadline deadline = Deadline::after_ms(1'000);
  if (topic_->is_stale()) MALLBOTS_TRY(refresh(deadline));
  if (any_wanted_ && topic_->link().is_attached()) {
    for (PartitionIndex i = 0; i < wanted_.size(); ++i)
      if (wanted_[i] != 0 && !lanes_[i]) MALLBOTS_TRY(prepare(i, deadline));
    any_wanted_ = false;
  }
  for (const auto& lane : lanes_)
    if (lane && (lane->slots.wants_prefetch() || lane->slots.is_behind()))
      lane->slots.prefetch(deadline);
  if (topic_->state() == shm::BoardState::kGone) return fail(ErrorCode::kTopicGone, topic_->name());
  if (topic_->link().is_lost()) return fail(ErrorCode::kConnectionLost, topic_->name());
  return {};
}

Result<void> Producer::Impl::wait_durable(const Receipt& receipt, Deadline deadline) {
  if (receipt.delayed && delayed_) {
    Receipt in_log = receipt;
    in_log.delayed = false;
    in_log.partition = 0;
    return delayed_->wait_durable(in_log, deadline);
  }
  if (handing_in_) return handing_in_->wait_durable(receipt, deadline);
  return wait_until_durable(*topic_, receipt, deadline,
                            [&] { static_cast<void>(refresh(Deadline::after_ms(kAttemptMs))); });
}

/// Each lost memory kept a prefix of what was in it, so the last of each tells of all.
Result<void> Producer::Impl::flush(Deadline deadline) {
  if (delayed_) MALLBOTS_TRY(delayed_->flush(deadline));
  if (handing_in_) return handing_in_->flush(deadline);
  for (PartitionIndex i = 0; i < topic_->partitions(); ++i)
    if (identities_[i].is_owed(epoch_ != 0)) topic_->ask_for_flush(i);
  for (Identity& identity : identities_) {
    while (!identity.ended.empty()) {
      const auto settled = wait_durable(identity.ended.back(), deadline);
      if (settled || settled.error().code == ErrorCode::kTruncated) identity.ended.pop_back();
      if (!settled) return settled;
    }
    if (!identity.is_owed(epoch_ != 0)) continue;
    const auto settled = wait_durable(identity.end(), deadline);
    if (settled) continue;
    if (settled.error().code == ErrorCode::kTruncated) identity.last = identity.before = {};
    return settled;
  }
  return {};
}

// The class itself
// -----------------------------------------------------------------------------------------

Producer::Producer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Producer::~Producer() = default;

Result<std::unique_ptr<Producer>> Producer::open(Connection& connection, const std::string& topic,
                                                 const ProducerOptions& options) {
  const Deadline deadline = Deadline::after_ms(connection.options().reconnect_timeout_ms);
  auto memory = TopicMemory::open(connection.link(), topic, shm::Intent::kProduce, deadline);
  if (!memory) return std::unexpected(std::move(memory).error());
  if ((*memory)->has(shm::TopicFlag::kExclusive))
    return fail(ErrorCode::kBadArgument,
                "topic " + topic + " has producers=exclusive; open an ExclusiveProducer");
  if ((*memory)->has(shm::TopicFlag::kEvents))
    return fail(ErrorCode::kBadArgument,
                "topic " + topic + " has type=events; append to its streams with an EventStore");
  auto impl = std::make_unique<Impl>(std::move(*memory), options);
  if (!options.name.empty()) {
    const auto holder =
        take_name(*impl->topic_, options.name, deadline, [&] { return impl->refresh(deadline); });
    if (!holder) return std::unexpected(holder.error());
    impl->options_.producer_id = holder->producer_id;
    impl->epoch_ = holder->epoch;
  }
  return std::unique_ptr<Producer>{new Producer(std::move(impl))};
}

namespace {

/// An append from a signal handler inside another one finds the flag set.
class Guard {
 public:
  explicit Guard(bool& flag) noexcept : flag_(flag), owns_(!flag) { flag_ = true; }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard() {
    if (owns_) flag_ = false;
  }
  [[nodiscard]] explicit operator bool() const noexcept { return owns_; }

 private:
  bool& flag_;
  bool owns_;
};

}  // namespace

Result<Receipt> Producer::append(const Record& record, const SendOptions& options) {
  const Guard guard{impl_->inside_};
  if (!guard) return fail(ErrorCode::kBusy, topic());
  if (options.is_delayed()) return impl_->send_delayed({&record, 1}, options);
  const auto partition = impl_->choose(record, options);
  if (!partition) return std::unexpected(partition.error());
  const shm::RecordInput* input = impl_->buffer_.try_encode(record);
  if (input == nullptr) {
    const auto inputs = impl_->buffer_.encode({&record, 1});
    if (!inputs) return std::unexpected(inputs.error());
    input = inputs->data();
  }
  if (impl_->handing_in_) return impl_->handing_in_->append(*partition, {input, 1}, options);
  return impl_->send(*partition, 1, options,
                     [&](shm::Appender& appender, Deadline deadline, UnixMillis now_ms) {
                       return appender.append(*input, low_options(options, deadline, now_ms));
                     });
}

Result<Receipt> Producer::append_batch(std::span<const Record> records,
                                       const SendOptions& options) {
  const Guard guard{impl_->inside_};
  if (!guard) return fail(ErrorCode::kBusy, topic());
  if (records.empty()) return fail(ErrorCode::kBadArgument, "a batch of no records");
  if (records.size() > kMaxBatch)
    return fail(ErrorCode::kTooLarge, "a batch of " + std::to_string(records.size()) +
                                          " records; at most 65536 are allowed");
  if (options.is_delayed()) return impl_->send_delayed(records, options);
  const auto partition = impl_->choose(records[0], options);
  if (!partition) return std::unexpected(partition.error());
  const auto inputs = impl_->buffer_.encode(records);
  if (!inputs) return std::unexpected(inputs.error());
  if (impl_->handing_in_) return impl_->handing_in_->append(*partition, *inputs, options);
  return impl_->send(*partition, static_cast<std::uint32_t>(records.size()), options,
                     [&](shm::Appender& appender, Deadline deadline, UnixMillis now_ms) {
                       return appender.append_batch(*inputs,
                                                    low_options(options, deadline, now_ms));
                     });
}

TryReceipt Producer::try_append(const Record& record, const SendOptions& options) noexcept {
  const Guard guard{impl_->inside_};
  if (!guard) return {ErrorCode::kBusy};
  return impl_->try_append(record, options);
}

Result<void> Producer::prepare(std::span<const PartitionIndex> partitions) {
  const Deadline deadline =
      Deadline::after_ms(impl_->topic_->link().options().reconnect_timeout_ms);
  if (partitions.empty()) {
    for (PartitionIndex i = 0; i < this->partitions(); ++i)
      if (!impl_->lanes_[i]) MALLBOTS_TRY(impl_->prepare(i, deadline));
    return {};
  }
  for (const PartitionIndex partition : partitions) {
    MALLBOTS_TRY(impl_->topic_->check_partition(partition));
    if (!impl_->lanes_[partition]) MALLBOTS_TRY(impl_->prepare(partition, deadline));
  }
  return {};
}

Result<void> Producer::tend() { return impl_->tend(); }

Offset Producer::durable_offset(PartitionIndex partition) const noexcept {
  return partition < partitions() ? impl_->topic_->board(partition).durable_offset.load() : 0;
}

Result<void> Producer::wait_durable(const Receipt& receipt, Deadline deadline) {
  return impl_->wait_durable(receipt, deadline);
}

Result<void> Producer::flush(Deadline deadline) { return impl_->flush(deadline); }

void Producer::ask_for_flush(PartitionIndex partition) noexcept {
  if (partition >= partitions()) return;
  if (impl_->handing_in_) return impl_->handing_in_->ask_for_flush(partition);
  impl_->topic_->ask_for_flush(partition);
}

const std::string& Producer::topic() const noexcept { return impl_->topic_->name(); }
PartitionIndex Producer::partitions() const noexcept { return impl_->topic_->partitions(); }
PartitionIndex Producer::partition_of(std::span<const std::byte> key) const noexcept {
  return static_cast<PartitionIndex>(xxh3(key) % partitions());
}
std::size_t Producer::record_max_bytes() const noexcept {
  return impl_->topic_->header().record_max_bytes;
}
bool Producer::is_memory_only() const noexcept {
  return impl_->topic_->has(shm::TopicFlag::kMemoryOnly);
}
std::uint64_t Producer::producer_id(PartitionIndex partition) const noexcept {
  if (impl_->handing_in_ && partition < partitions())
    return impl_->handing_in_->sender().producer_id(partition);
  return partition < partitions() ? impl_->identities_[partition].producer_id : 0;
}
std::uint64_t Producer::last_sequence(PartitionIndex partition) const noexcept {
  if (impl_->handing_in_ && partition < partitions())
    return impl_->handing_in_->last_sequence(partition);
  if (partition >= partitions() || !impl_->lanes_[partition]) return 0;
  return impl_->lanes_[partition]->appender->last_sequence();
}
LogEpoch Producer::log_epoch(PartitionIndex partition) const noexcept {
  return partition < partitions() ? impl_->topic_->board(partition).log_epoch : 0;
}

}  // namespace mallbots::client
