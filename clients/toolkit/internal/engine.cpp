#include "clients/toolkit/internal/engine.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>

#include "clients/toolkit/dead_letter.h"

namespace mallbots::toolkit {
namespace {

/// While messages are out, what they settle must reach the group's position soon, although only the
/// thread inside the Source may tell it.
constexpr BootNanos kReadSliceNs = 20 * kMillisecond;
/// Far deadlines overflow inside wait_for.
constexpr BootNanos kLongestWait = 3'600 * kSecond;

Deadline earlier(Deadline deadline, BootNanos at) {
  if (at == INT64_MAX) return deadline;
  const BootNanos wait = std::max<BootNanos>(at - boot_now_ns(), 0);
  return wait < deadline.remaining_ns() ? Deadline::after_ns(wait) : deadline;
}

}  // namespace

std::int64_t Redelivery::delay_ms(std::uint32_t attempt) const noexcept {
  const double delay = static_cast<double>(first_ms) * std::pow(factor, std::max(attempt, 1U) - 1);
  return delay < static_cast<double>(max_ms) ? static_cast<std::int64_t>(delay) : max_ms;
}

// --- Delivery

Delivery::Delivery(std::shared_ptr<DeliveryHost> host, std::uint64_t ticket,
                   std::shared_ptr<const client::OwnedMessage> message,
                   std::uint32_t attempt) noexcept
    : host_(std::move(host)), ticket_(ticket), message_(std::move(message)), attempt_(attempt) {}

Delivery& Delivery::operator=(Delivery&& other) noexcept {
  std::swap(host_, other.host_);
  std::swap(ticket_, other.ticket_);
  std::swap(message_, other.message_);
  std::swap(attempt_, other.attempt_);
  return *this;
}

Delivery::~Delivery() {
  if (host_ == nullptr) return;
  // An error means that the message comes again, here or at another member: what was wanted.
  static_cast<void>(nack({.type = "unsettled", .text = "the delivery was dropped"}));
}

std::shared_ptr<DeliveryHost> Delivery::take_host() noexcept {
  return std::exchange(host_, nullptr);
}

namespace {

Result<void> settle(const std::shared_ptr<DeliveryHost>& host, std::uint64_t ticket,
                    const Settlement& settlement) {
  if (host == nullptr)
    return std::unexpected(
        Error{.code = ErrorCode::kBadArgument, .detail = "the delivery was settled before"});
  return host->settle(ticket, settlement);
}

}  // namespace

Result<void> Delivery::ack() { return settle(take_host(), ticket_, {.outcome = Outcome::kAck}); }

Result<void> Delivery::nack(const Failure& failure, std::optional<std::int64_t> delay_ms) {
  return settle(take_host(), ticket_,
                {.outcome = Outcome::kNack, .failure = failure, .delay_ms = delay_ms});
}

Result<void> Delivery::reject(const Failure& failure) {
  return settle(take_host(), ticket_, {.outcome = Outcome::kReject, .failure = failure});
}

// --- Engine: handing out

Result<void> check_options(const SubscribeOptions& options) {
  if (options.topics.empty())
    return fail(ErrorCode::kBadArgument, "group '" + options.group + "' names no topic");
  if (options.max_in_flight == 0)
    return fail(ErrorCode::kBadArgument, "max_in_flight of group '" + options.group +
                                             "' is 0, so nothing could be received");
  return {};
}

void Engine::attach(Handle& handle) {
  const Lock lock{mutex_};
  handle.left = false;
  ++handles_;
}

std::optional<Delivery> Engine::hand_out(const std::shared_ptr<Handle>& handle) {
  auto next = window_.take(boot_now_ns());
  if (!next) return std::nullopt;
  ++handle->out;
  return Delivery{handle, next->ticket, std::move(next->message), next->attempt};
}

Result<std::optional<Delivery>> Engine::receive(const std::shared_ptr<Handle>& handle,
                                                Deadline deadline) {
  Lock lock{mutex_};
  for (;;) {
    if (handle->closed)
      return fail(ErrorCode::kClosed,
                  "the subscription of group '" + options_.subscribe.group + "' was closed");
    if (auto delivery = hand_out(handle)) return delivery;
    const bool last_look = deadline.has_passed();
    if (!reading_ && window_.room() > 0) {
      if (auto done = read(lock, deadline); !done) return std::unexpected(std::move(done).error());
      if (last_look && !handle->closed) return hand_out(handle);
      continue;
    }
    if (last_look) return std::nullopt;
    wait(lock, deadline);
  }
}

/// One turn inside the Source. Its errors are told to the caller only: they are told once.
Result<void> Engine::read(Lock& lock, Deadline deadline) {
  const std::size_t room = window_.room();
  Deadline until = earlier(deadline, window_.next_ready());
  if (window_.in_flight() > 0) until = earlier(until, boot_now_ns() + kReadSliceNs);
  reading_ = true;
  lock.unlock();
  auto messages = source_->poll(until, room);
  lock.lock();
  reading_ = false;
  if (messages)
    for (client::OwnedMessage& message : *messages) window_.add(std::move(message));
  commit_progress();
  changed_.notify_all();
  if (!messages) return std::unexpected(std::move(messages).error());
  return {};
}

void Engine::wait(Lock& lock, Deadline deadline) {
  const Deadline until = earlier(deadline, window_.next_ready());
  if (until.is_never())
    changed_.wait(lock);
  else
    changed_.wait_for(lock, std::chrono::nanoseconds{std::min(until.remaining_ns(), kLongestWait)});
}

void Engine::lost(std::span<const client::TopicPartition> partitions) {
  const Lock lock{mutex_};
  commit_progress();
  for (const client::TopicPartition& partition : partitions) window_.drop(partition);
}

/// A position that cannot be told is told again with the next progress of its partition; until then
/// its messages may come twice, as after any death.
void Engine::commit_progress() {
  for (const DeliveryWindow::Progress& progress : window_.take_progress())
    static_cast<void>(source_->commit(progress.partition, progress.done));
}

// --- Engine: settling

Result<void> Engine::settle(Handle& handle, std::uint64_t ticket, const Settlement& settlement) {
  Lock lock{mutex_};
  const auto history = window_.history(ticket);
  lock.unlock();
  Result<void> settled = fenced(ticket);
  if (history) {
    const std::uint32_t most = options_.subscribe.max_deliveries;
    if (settlement.outcome == Outcome::kAck)
      settled = finish(ticket);
    else if (settlement.outcome == Outcome::kReject)
      settled = bury(ticket, settlement.failure, DeadReason::kRejected);
    else if (most != 0 && history->attempts >= most)
      settled = bury(ticket, settlement.failure, DeadReason::kAttempts);
    else
      settled = postpone(ticket, settlement, history->attempts);
  }
  lock.lock();
  --handle.out;
  changed_.notify_all();
  return settled;
}

Result<void> Engine::finish(std::uint64_t ticket) {
  const Lock lock{mutex_};
  if (!window_.done(ticket)) return fenced(ticket);
  if (!reading_ && handles_ > 0) commit_progress();
  return {};
}

Result<void> Engine::postpone(std::uint64_t ticket, const Settlement& settlement,
                              std::uint32_t attempts) {
  const std::int64_t delay_ms =
      settlement.delay_ms.value_or(options_.subscribe.redelivery.delay_ms(attempts));
  const BootNanos at = boot_now_ns() + std::max<std::int64_t>(delay_ms, 0) * kMillisecond;
  const Lock lock{mutex_};
  if (!window_.again(ticket, at, settlement.failure, wall_now_ms())) return fenced(ticket);
  return {};
}

/// The letter first, then the mark: a death between the two gives two letters, never none.
Result<void> Engine::bury(std::uint64_t ticket, const Failure& failure, DeadReason reason) {
  Lock lock{mutex_};
  const auto history = window_.history(ticket);
  lock.unlock();
  if (!history) return fenced(ticket);
  const UnixMillis now_ms = wall_now_ms();
  const bool is_first = history->first_failed_ms == 0;
  const client::Message& message = history->message->view();
  const DeadLetter letter{message,
                          {.group = options_.subscribe.group,
                           .reason = reason,
                           .attempts = history->attempts,
                           .first = is_first ? failure : history->first,
                           .last = failure,
                           .first_time_ms = is_first ? now_ms : history->first_failed_ms,
                           .last_time_ms = now_ms}};
  auto sent =
      options_.dead_letters->publish(dead_letter_topic(message.topic, options_.subscribe.group),
                                     {&letter.record(), 1}, {.acks = options_.acks});
  if (sent) return finish(ticket);
  // If it was taken away meanwhile it comes again elsewhere; the caller learns why no letter went.
  static_cast<void>(postpone(ticket, {.failure = failure}, history->attempts));
  return sent;
}

std::unexpected<Error> Engine::fenced(std::uint64_t ticket) const {
  return fail(ErrorCode::kFenced, "delivery " + std::to_string(ticket) + " of group '" +
                                      options_.subscribe.group + "' is another member's now");
}

// --- Engine: the end

Result<void> Engine::close(Handle& handle, Deadline deadline) {
  Lock lock{mutex_};
  handle.closed = true;
  changed_.notify_all();
  while (!handle.left && (handle.out > 0 || reading_) && !deadline.has_passed())
    wait(lock, deadline);
  if (handle.left) return {};
  if (handle.out > 0 || reading_)
    return fail(ErrorCode::kTimeout, std::to_string(handle.out) + " deliveries of group '" +
                                         options_.subscribe.group +
                                         "' are not settled; they come again");
  leave(handle);
  return {};
}

void Engine::abandon(Handle& handle) {
  Lock lock{mutex_};
  handle.closed = true;
  changed_.notify_all();
  changed_.wait(lock, [&] { return !reading_; });
  if (!handle.left) leave(handle);
}

void Engine::leave(Handle& handle) {
  handle.left = true;
  if (--handles_ > 0) return;
  commit_progress();
  source_->leave();
}

}  // namespace mallbots::toolkit
