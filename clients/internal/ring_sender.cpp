#include "clients/internal/ring_sender.h"

#include <algorithm>

#include "clients/internal/appending.h"

namespace mallbots::client {
namespace {

constexpr std::int64_t kGraceMs = 5'000;
constexpr BootNanos kTrySpin = 200'000;
constexpr BootNanos kTakenSpin = 100 * kMillisecond;
constexpr std::uint32_t kPolls = 256;
constexpr std::uint32_t kFirstPolls = 4096;

}  // namespace

RingSender::RingSender(TopicMemory& topic, std::uint64_t wanted_id)
    : topic_(&topic),
      wanted_id_(wanted_id),
      lanes_(topic.partitions()),
      ids_(topic.partitions(), 0),
      posted_(topic.partitions(), 0),
      lost_(topic.partitions(), 0),
      ended_(topic.partitions()),
      missed_(topic.partitions(), 0) {}

RingSender::~RingSender() {
  Link& link = topic_->link();
  for (const auto& lane : lanes_) {
    if (!lane || topic_->is_stale() || !link.is_attached()) continue;
    // A broker that went away meanwhile closes it with the session.
    static_cast<void>(link.ask_on<shm::Empty>(topic_->attachment(), shm::CloseRing{lane->place()},
                                              Deadline::after_ms(1'000)));
  }
}

void RingSender::pause(Deadline deadline) const noexcept {
  std::atomic<std::uint32_t>& doorbell = topic_->session().header().doorbell;
  const std::uint32_t key = shm::prepare_wait(doorbell);
  shm::wait(doorbell, key,
            deadline.remaining_ns() < kMillisecond ? deadline : Deadline::after_ms(1));
}

/// The ring goes, what it knew of the past stays.
void RingSender::drop(PartitionIndex partition) {
  const auto lane = std::exchange(lanes_[partition], nullptr);
  if (!lane) return;
  if (!lane->harvest() && lane->oldest() < posted_[partition]) lost_[partition] = 1;
  posted_[partition] = 0;
  put_back(partition, lane->last_record());
}

void RingSender::put_back(PartitionIndex partition, const RingLane::LastRecord& last) {
  if (last.offset == kNoOffset) return;
  auto& ended = ended_[partition];
  const auto same = std::ranges::find(ended, last.log_epoch, &RingLane::LastRecord::log_epoch);
  if (same == ended.end())
    ended.push_back(last);
  else if (same->offset < last.offset)
    *same = last;
}

/// Of the entry that was handed in last.
RingAnswer RingSender::answer_of(PartitionIndex partition, const RingLane& lane,
                                 const shm::IngestOutcome& outcome) const noexcept {
  RingAnswer answer{outcome, lane.last_record().log_epoch, lane.record_before()};
  if (answer.previous.offset != kNoOffset) return answer;
  const auto& ended = ended_[partition];
  const auto same = std::ranges::find(ended, answer.log_epoch, &RingLane::LastRecord::log_epoch);
  if (same != ended.end()) answer.previous = *same;
  return answer;
}

void RingSender::forget(PartitionIndex partition, const RingAnswer& last) {
  auto& ended = ended_[partition];
  const auto same = std::ranges::find(ended, last.log_epoch, &RingLane::LastRecord::log_epoch);
  if (same == ended.end()) return;
  if (last.previous.offset == kNoOffset)
    ended.erase(same);
  else
    *same = last.previous;
}

Result<void> RingSender::prepare(PartitionIndex partition, Deadline deadline) {
  if (lanes_[partition] && lanes_[partition]->is_closed()) drop(partition);
  while (!lanes_[partition]) {
    MALLBOTS_TRY(refresh(deadline));
    if (!topic_->link().is_attached()) MALLBOTS_TRY(topic_->link().ensure(deadline));
    if (topic_->is_stale()) continue;
    auto lane = RingLane::open(*topic_,
                               {.topic_id = topic_->topic_id(),
                                .partition = partition,
                                .producer_id = ids_[partition] != 0 ? ids_[partition] : wanted_id_},
                               deadline);
    if (!lane) {
      const ErrorCode code = lane.error().code;
      const bool away = code == ErrorCode::kConnectionLost || code == ErrorCode::kDraining;
      if (away && !deadline.has_passed()) {
        pause(deadline);
        continue;
      }
      if (lane.error().detail.empty()) lane.error().detail = topic_->place(partition);
      return std::unexpected(std::move(lane).error());
    }
    ids_[partition] = (*lane)->producer_id();
    missed_[partition] = 0;
    lanes_[partition] = std::move(*lane);
  }
  return {};
}

Result<void> RingSender::refresh(Deadline deadline) {
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
    drop(i);
    missed_[i] = 1;
    any_missed_ = true;
  }
  topic_->release_old();
  lanes_.resize(topic_->partitions());
  ids_.resize(topic_->partitions(), 0);
  posted_.resize(topic_->partitions(), 0);
  lost_.resize(topic_->partitions(), 0);
  ended_.resize(topic_->partitions());
  missed_.resize(topic_->partitions(), 0);
  return {};
}

Result<void> RingSender::tend() {
  topic_->link().tend_now_and_then();
  const Deadline deadline = Deadline::after_ms(1'000);
  if (topic_->is_stale()) MALLBOTS_TRY(refresh(deadline));
  if (any_missed_ && topic_->link().is_attached()) {
    for (PartitionIndex i = 0; i < missed_.size(); ++i)
      if (missed_[i] != 0) MALLBOTS_TRY(prepare(i, deadline));
    any_missed_ = false;
  }
  if (topic_->state() == shm::BoardState::kGone) return fail(ErrorCode::kTopicGone, topic_->name());
  if (topic_->link().is_lost()) return fail(ErrorCode::kConnectionLost, topic_->name());
  return {};
}

/// The ring in which the entry is then.
Result<std::shared_ptr<RingLane>> RingSender::hand_in(PartitionIndex partition,
                                                      const RingRequest& request, Deadline deadline,
                                                      std::uint64_t& number) {
  for (bool first = true;; first = false) {
    if (topic_->link().is_memory_lost() || !lanes_[partition]) {
      drop(partition);
      MALLBOTS_TRY(prepare(partition, deadline));
    }
    std::shared_ptr<RingLane> lane = lanes_[partition];
    switch (lane->hand_in(request, number)) {
      case RingLane::Step::kHandedIn:
        return lane;
      case RingLane::Step::kTooLarge:
        return std::unexpected(append_error(*topic_, partition, {shm::AppendStatus::kTooLarge}));
      case RingLane::Step::kFull:
        if (deadline.has_passed())
          return fail(ErrorCode::kTimeout, topic_->place(partition) + ": the ingest ring is full");
        lane->wait(lane->oldest(), topic_->link().strategy(), attempt_of(deadline));
        break;
      case RingLane::Step::kClosed:
        if (topic_->state() == shm::BoardState::kGone)
          return fail(ErrorCode::kTopicGone, topic_->name());
        drop(partition);
        if (!first && deadline.has_passed())
          return fail(ErrorCode::kTimeout, topic_->place(partition) + ": the ring was closed");
        break;
    }
    MALLBOTS_TRY(refresh(deadline));
    if (topic_->link().is_lost()) return fail(ErrorCode::kConnectionLost, topic_->place(partition));
  }
}

Result<RingSender::Outcome> RingSender::await(PartitionIndex partition,
                                              const std::shared_ptr<RingLane>& lane,
                                              std::uint64_t number, Deadline deadline) {
  std::optional<Deadline> grace;  // from when on only the broker knows
  for (;;) {
    lane->wait(number, topic_->link().strategy(), attempt_of(grace.value_or(deadline)));
    if (const auto outcome = lane->answer(number)) return outcome;
    if (lane->is_closed()) return lane->answer(number);
    if (!grace && deadline.has_passed()) {
      if (lane->withdraw(number))
        return fail(ErrorCode::kTimeout,
                    topic_->place(partition) + ": no room in memory, or the broker is away");
      grace = Deadline::after_ms(kGraceMs);
    }
    if (grace && grace->has_passed()) return in_doubt(*topic_, partition);
    const bool lost_before = topic_->link().is_memory_lost();
    const auto refreshed = refresh(grace.value_or(deadline));
    if (lost_before || topic_->link().is_memory_lost()) {
      // Nobody will ever look at that memory again.
      if (const auto outcome = lane->answer(number)) return outcome;
      if (lane->withdraw(number)) return Outcome{};
      return in_doubt(*topic_, partition);
    }
    const bool over = !refreshed || topic_->link().is_lost() || lanes_[partition] != lane;
    if (!over) continue;
    if (lane->withdraw(number)) {
      if (!refreshed) return std::unexpected(refreshed.error());
      if (topic_->link().is_lost())
        return fail(ErrorCode::kConnectionLost, topic_->place(partition));
      return Outcome{};
    }
    if (!grace) grace = Deadline::after_ms(kGraceMs);
  }
}

Result<RingAnswer> RingSender::send(PartitionIndex partition, const RingRequest& request,
                                    Deadline deadline) {
  for (;;) {
    std::uint64_t number = 0;
    const auto lane = hand_in(partition, request, deadline, number);
    if (!lane) return std::unexpected(lane.error());
    // The usual case reads no clock.
    const bool is_answered = (*lane)->spin(
        number, topic_->link().strategy() == shm::WaitStrategy::kBlock ? 1 : kFirstPolls);
    const Result<std::optional<shm::IngestOutcome>> outcome =
        is_answered ? (*lane)->answer(number) : await(partition, *lane, number, deadline);
    (*lane)->harvest();
    if (!outcome) return std::unexpected(outcome.error());
    // One before it took no place in the log (refused, or nothing to do), and this one had counted
    // on it.
    const bool again = *outcome &&
                       (*outcome)->code == static_cast<std::uint32_t>(ErrorCode::kOutOfSequence) &&
                       request.sequence == 0 && !deadline.has_passed();
    if (*outcome && !again) return answer_of(partition, **lane, **outcome);
    if (!*outcome && topic_->state() == shm::BoardState::kGone)
      return fail(ErrorCode::kTopicGone, topic_->name());
    if (!*outcome && deadline.has_passed())
      return fail(ErrorCode::kTimeout, topic_->place(partition) + ": the broker is away");
  }
}

Result<void> RingSender::post(PartitionIndex partition, const RingRequest& request,
                              Deadline deadline) {
  std::uint64_t number = 0;
  const auto lane = hand_in(partition, request, deadline, number);
  if (!lane) return std::unexpected(lane.error());
  posted_[partition] = number + 1;
  return {};
}

RingSender::Tried RingSender::try_send(PartitionIndex partition,
                                       const RingRequest& request) noexcept {
  if (topic_->link().is_memory_lost()) return {};  // tend() mends it
  RingLane* const lane = lanes_[partition].get();
  std::uint64_t number = 0;
  const auto step = lane == nullptr ? RingLane::Step::kClosed : lane->hand_in(request, number);
  if (step == RingLane::Step::kTooLarge) return {ErrorCode::kTooLarge};
  if (step == RingLane::Step::kFull) return {};
  if (step == RingLane::Step::kClosed) {
    if (topic_->state() == shm::BoardState::kGone) return {ErrorCode::kTopicGone};
    missed_[partition] = 1;
    any_missed_ = true;
    return {};
  }
  bool answered = lane->spin(number, kFirstPolls);
  if (!answered) {
    const Deadline deadline = Deadline::after_ns(kTrySpin);
    while (!answered && !deadline.has_passed()) answered = lane->spin(number, kPolls);
  }
  if (!answered && lane->withdraw(number)) return {};
  if (!answered) {
    // Taken: the answer is some microseconds away, unless the broker died just now.
    const Deadline deadline = Deadline::after_ns(kTakenSpin);
    while (!answered && !deadline.has_passed()) answered = lane->spin(number, kPolls);
  }
  const auto outcome = lane->answer(number);
  lane->harvest();
  if (!outcome) return {lane->is_closed() ? ErrorCode::kTimeout : ErrorCode::kInDoubt};
  return {ErrorCode::kNone, answer_of(partition, *lane, *outcome)};
}

bool RingSender::ask_for_flush(PartitionIndex partition) noexcept {
  std::uint64_t number = 0;
  return lanes_[partition] && lanes_[partition]->hand_in({.kind = shm::IngestKind::kFlush},
                                                         number) == RingLane::Step::kHandedIn;
}

Result<RingLane::LastRecord> RingSender::settle(PartitionIndex partition, Deadline deadline) {
  while (const std::shared_ptr<RingLane> lane = lanes_[partition]) {
    if (lane->harvest()) break;
    if (lane->is_closed() || topic_->link().is_memory_lost()) {
      drop(partition);
      break;
    }
    if (deadline.has_passed())
      return fail(ErrorCode::kNotDurable,
                  topic_->place(partition) + ": not everything handed in was appended yet");
    lane->wait(lane->oldest(), topic_->link().strategy(), attempt_of(deadline));
    MALLBOTS_TRY(refresh(deadline));
  }
  if (std::exchange(lost_[partition], 0) != 0) {
    const LogEpoch now = topic_->board(partition).log_epoch;
    std::erase_if(ended_[partition], [now](const auto& last) { return last.log_epoch != now; });
    return fail(ErrorCode::kTruncated,
                topic_->place(partition) + ": the ring was closed before all was appended");
  }
  return lanes_[partition] ? lanes_[partition]->last_record() : RingLane::LastRecord{};
}

}  // namespace mallbots::client
