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

Deadline earlier(Deadline deadline, BootNanos slice_ns) {
  return deadline.remaining_ns() < slice_ns ? deadline : Deadline::after_ns(slice_ns);
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

Result<void> Delivery::defer(std::int64_t delay_ms) {
  return settle(take_host(), ticket_, {.outcome = Outcome::kDefer, .delay_ms = delay_ms});
}

Result<void> Delivery::reject(const Failure& failure) {
  return settle(take_host(), ticket_, {.outcome = Outcome::kReject, .failure = failure});
}

Result<void> Delivery::ack_all(std::span<Delivery> deliveries) {
  if (deliveries.empty()) return {};
  const std::shared_ptr<DeliveryHost> host = deliveries.front().host_;
  std::vector<std::uint64_t> tickets;
  tickets.reserve(deliveries.size());
  for (Delivery& delivery : deliveries) {
    if (delivery.host_ == nullptr || delivery.host_ != host)
      return fail(ErrorCode::kBadArgument,
                  "a delivery was settled before, or is of another subscription");
    tickets.push_back(delivery.ticket_);
  }
  for (Delivery& delivery : deliveries) {
    delivery.host_.reset();
    delivery.message_.reset();  // its memory serves the next one
  }
  return host->settle_done(tickets);
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

std::vector<Delivery> Engine::hand_out(const std::shared_ptr<Handle>& handle,
                                       const Wanted& wanted) {
  taken_.clear();
  window_.take_many(options_.clock->now_ns(), wanted.max, wanted.reach, taken_);
  std::vector<Delivery> deliveries;
  deliveries.reserve(taken_.size());
  for (DeliveryWindow::HandedOut& next : taken_)
    deliveries.emplace_back(handle, next.ticket, std::move(next.message), next.attempt);
  handle->out += deliveries.size();
  if (!deliveries.empty()) wake_receiver();
  return deliveries;
}

/// One more of those that wait finds something to do.
void Engine::wake_receiver() {
  if (waiting_ > 0 && (window_.ready() > 0 || !reading_)) receivable_.notify_one();
}

void Engine::count_change() noexcept {
  if (options_.changes != nullptr) options_.changes->fetch_add(1);
}

Result<std::vector<Delivery>> Engine::receive(const std::shared_ptr<Handle>& handle,
                                              const Wanted& wanted) {
  Lock lock{mutex_};
  ++receivers_;
  auto received = receive(lock, handle, wanted);
  --receivers_;
  count_change();
  return received;
}

Result<std::vector<Delivery>> Engine::receive(Lock& lock, const std::shared_ptr<Handle>& handle,
                                              const Wanted& wanted) {
  for (;;) {
    if (handle->closed)
      return fail(ErrorCode::kClosed,
                  "the subscription of group '" + options_.subscribe.group + "' was closed");
    if (auto deliveries = hand_out(handle, wanted); !deliveries.empty()) return deliveries;
    const bool last_look = wanted.deadline.has_passed();
    if (!reading_ && window_.room() > 0) {
      MALLBOTS_TRY(read(lock, wanted.deadline));
      if (last_look && !handle->closed) return hand_out(handle, wanted);
      continue;
    }
    if (last_look) return std::vector<Delivery>{};
    ++waiting_;
    wait(lock, receivable_, wanted.deadline, window_.next_ready());
    --waiting_;
  }
}

/// One turn inside the Source. Its errors are told to the caller only: they are told once.
Result<void> Engine::read(Lock& lock, Deadline deadline) {
  const std::size_t room = window_.room();
  const PollLimit limit{
      .patience = window_.in_flight() > 0 ? earlier(deadline, kReadSliceNs) : deadline,
      .at_ns = window_.next_ready()};
  reading_ = true;
  lock.unlock();
  const auto messages = source_->poll(limit, room);
  lock.lock();
  if (messages)
    for (const client::Message& message : *messages) window_.add(message);
  end_read();
  if (!messages) return std::unexpected(messages.error());
  return {};
}

void Engine::end_read() {
  reading_ = false;
  source_->taken_over();
  count_change();
  commit_progress();
  wake_receiver();
  at_rest_.notify_all();
}

// --- Engine: handling in place

Result<Subscription::InPlace> Engine::receive_in_place(
    const std::shared_ptr<Handle>& handle, const Wanted& wanted,
    const Subscription::HandleInPlace& in_place) {
  Lock lock{mutex_};
  ++receivers_;
  Result<Subscription::InPlace> received;
  const bool is_alone = window_.open() == 0 && !reading_ && !handle->closed;
  if (is_alone) {
    received = read_in_place(lock, handle, wanted, in_place);
  } else if (auto deliveries = receive(lock, handle, wanted)) {
    received->rest = std::move(*deliveries);
  } else {
    received = std::unexpected(std::move(deliveries).error());
  }
  --receivers_;
  count_change();
  return received;
}

/// Nothing is open, and while `in_place` is at work nobody else is inside the Source: its messages
/// stay where they are.
Result<Subscription::InPlace> Engine::read_in_place(Lock& lock,
                                                    const std::shared_ptr<Handle>& handle,
                                                    const Wanted& wanted,
                                                    const Subscription::HandleInPlace& in_place) {
  reading_ = true;
  lock.unlock();
  const auto messages =
      source_->poll({.patience = wanted.deadline},
                    std::min(kInPlaceAtOnce * wanted.max, options_.subscribe.max_in_flight));
  lock.lock();
  Subscription::InPlace received;
  if (messages && !messages->empty() && handle->closed) {
    for (const client::Message& message : *messages) window_.add(message);
  } else if (messages && !messages->empty()) {
    --receivers_;
    count_change();
    lock.unlock();
    done_.clear();
    in_place(*messages, done_);
    lock.lock();
    ++receivers_;
    received.was_handled = true;
    if (done_.empty())
      window_.pass(*messages);
    else
      received.rest = hand_out_undone(handle, *messages);
  }
  end_read();
  if (!messages) return std::unexpected(messages.error());
  return received;
}

std::vector<Delivery> Engine::hand_out_undone(const std::shared_ptr<Handle>& handle,
                                              std::span<const client::Message> messages) {
  for (const client::Message& message : messages) window_.add(message);
  taken_.clear();
  window_.take_many(options_.clock->now_ns(), messages.size(), Reach::kAll, taken_);
  // Lane by lane they came; their tickets say in which order they were added.
  std::ranges::sort(taken_, {}, &DeliveryWindow::HandedOut::ticket);
  std::vector<Delivery> undone;
  for (std::size_t i = 0; i < taken_.size(); ++i) {
    if (done_[i])
      static_cast<void>(window_.done(taken_[i].ticket));  // just handed out
    else
      undone.emplace_back(handle, taken_[i].ticket, std::move(taken_[i].message),
                          taken_[i].attempt);
  }
  handle->out += undone.size();
  return undone;
}

void Engine::wait(Lock& lock, std::condition_variable& event, Deadline deadline, BootNanos at_ns) {
  options_.clock->wait(lock, event, deadline, at_ns);
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
    static_cast<void>(source_->commit(progress));
}

// --- Engine: settling

void Engine::handle_settled(Handle& handle, std::size_t count) {
  handle.out -= count;
  count_change();
  wake_receiver();
  if (handle.closed) at_rest_.notify_all();
}

Result<void> Engine::settle_done(Handle& handle, std::span<const std::uint64_t> tickets) {
  const Lock lock{mutex_};
  std::optional<std::uint64_t> taken_away;
  for (const std::uint64_t ticket : tickets)
    if (!window_.done(ticket)) taken_away = ticket;
  if (!reading_ && handles_ > 0) commit_progress();
  handle_settled(handle, tickets.size());
  if (taken_away) return fenced(*taken_away);
  return {};
}

Result<void> Engine::settle(Handle& handle, std::uint64_t ticket, const Settlement& settlement) {
  if (settlement.outcome == Outcome::kAck) return settle_done(handle, {&ticket, 1});
  Lock lock{mutex_};
  const auto history = window_.history(ticket);
  lock.unlock();
  Result<void> settled = fenced(ticket);
  if (history) {
    const std::uint32_t most = options_.subscribe.max_deliveries;
    if (settlement.outcome == Outcome::kReject)
      settled = bury(ticket, settlement.failure, DeadReason::kRejected);
    else if (settlement.outcome == Outcome::kNack && most != 0 && history->attempts >= most)
      settled = bury(ticket, settlement.failure, DeadReason::kAttempts);
    else
      settled = postpone(ticket, settlement, history->attempts);
  }
  lock.lock();
  handle_settled(handle, 1);
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
  const bool was_tried = settlement.outcome != Outcome::kDefer;
  const std::int64_t delay_ms = settlement.delay_ms.value_or(
      was_tried ? options_.subscribe.redelivery.delay_ms(attempts) : 0);
  const BootNanos at =
      delay_ms <= 0 && !was_tried ? 0 : options_.clock->now_ns() + delay_ms * kMillisecond;
  const Lock lock{mutex_};
  const bool is_back =
      was_tried ? window_.again(ticket, at, settlement.failure, options_.clock->wall_ms())
                : window_.put_back(ticket, at);
  if (!is_back) return fenced(ticket);
  return {};
}

/// The letter first, then the mark: a death between the two gives two letters, never none.
Result<void> Engine::bury(std::uint64_t ticket, const Failure& failure, DeadReason reason) {
  Lock lock{mutex_};
  const auto history = window_.history(ticket);
  lock.unlock();
  if (!history) return fenced(ticket);
  const UnixMillis now_ms = options_.clock->wall_ms();
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

/// The last member waits for whoever is inside the Source, which it is about to leave.
bool Engine::is_busy(const Handle& handle) const noexcept {
  return handle.out > 0 || (reading_ && handles_ == 1);
}

Result<void> Engine::close(Handle& handle, Deadline deadline) {
  Lock lock{mutex_};
  handle.closed = true;
  receivable_.notify_all();
  source_->wake();
  while (!handle.left && is_busy(handle) && !deadline.has_passed())
    wait(lock, at_rest_, deadline, kNever);
  if (handle.left) return {};
  if (is_busy(handle))
    return fail(ErrorCode::kTimeout, std::to_string(handle.out) + " deliveries of group '" +
                                         options_.subscribe.group +
                                         "' are not settled; they come again");
  leave(handle);
  return {};
}

void Engine::abandon(Handle& handle) {
  Lock lock{mutex_};
  handle.closed = true;
  receivable_.notify_all();
  source_->wake();
  while (!handle.left && reading_ && handles_ == 1) wait(lock, at_rest_, Deadline::never(), kNever);
  if (!handle.left) leave(handle);
}

Engine::Load Engine::load() {
  const Lock lock{mutex_};
  const std::size_t ready = window_.ready();
  return {.members = handles_,
          .receiving = receivers_,
          .in_flight = window_.in_flight(),
          .ready = ready,
          .waiting = window_.open() - window_.in_flight() - ready,
          .next_ns = window_.next_ready()};
}

void Engine::leave(Handle& handle) {
  handle.left = true;
  if (--handles_ > 0) return;
  commit_progress();
  source_->leave();
}

Result<std::optional<Delivery>> EngineSubscription::receive(Deadline deadline) {
  auto deliveries = handle_->engine->receive(handle_, {1, Reach::kOneKey, deadline});
  if (!deliveries) return std::unexpected(std::move(deliveries).error());
  if (deliveries->empty()) return std::nullopt;
  return std::move(deliveries->front());
}

}  // namespace mallbots::toolkit
