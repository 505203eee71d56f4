#include "clients/toolkit/internal/queue_subscription.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>

#include "clients/queue_consumer.h"
#include "clients/toolkit/clock.h"
#include "clients/toolkit/internal/delivery_host.h"

namespace mallbots::toolkit {
namespace {

constexpr std::uint32_t kUsualLockMs = 30'000;
constexpr std::int64_t kMaxDelayMs = std::int64_t{24} * 3600 * 1000;
constexpr std::int64_t kConfirmMs = 30'000;
constexpr std::int64_t kLeaveMs = 1'000;
/// Another thread may take the news between a leader's look and its sleep.
constexpr BootNanos kBusySlice = 5 * kMillisecond;
constexpr BootNanos kIdleSlice = 100 * kMillisecond;

class QueueHost final : public DeliveryHost, public std::enable_shared_from_this<QueueHost> {
 public:
  explicit QueueHost(const SubscribeOptions& options)
      : options_(options), lock_ms_(options.lock_ms == 0 ? kUsualLockMs : options.lock_ms) {}

  [[nodiscard]] Result<void> open(const client::ConnectionOptions& where);
  [[nodiscard]] Result<std::vector<Delivery>> receive(std::size_t max, Deadline deadline);
  [[nodiscard]] Result<void> settle(std::uint64_t ticket, const Settlement& settlement) override;
  [[nodiscard]] Result<void> settle_done(std::span<const std::uint64_t> tickets) override;
  [[nodiscard]] Result<void> close(Deadline deadline);
  void abandon();

 private:
  using Lock = std::unique_lock<std::mutex>;
  struct Held {
    client::QueueToken token;
    std::shared_ptr<const client::OwnedMessage> message;
    BootNanos until = 0;
  };

  [[nodiscard]] Result<void> take_granted();
  void renew(Held& held, BootNanos now);
  [[nodiscard]] std::vector<Delivery> hand_out(std::size_t max);
  [[nodiscard]] std::optional<Held> take_out(std::uint64_t ticket);
  [[nodiscard]] Result<void> confirm(Lock& lock, std::span<const client::QueueToken> tokens);
  void heed_failures();
  void sleep(Lock& lock, Deadline deadline);
  void leave();
  [[nodiscard]] std::unexpected<Error> fenced() const {
    return fail(ErrorCode::kFenced, "a lock of group '" + options_.group +
                                        "' has ended; the message comes again, perhaps elsewhere");
  }

  SubscribeOptions options_;
  std::uint32_t lock_ms_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<client::Connection> connection_;  ///< each member of a group needs its own
  std::unique_ptr<client::QueueConsumer> consumer_;
  std::deque<Held> ready_;
  std::multimap<BootNanos, Held> deferred_;  ///< by when they are due
  std::map<std::uint64_t, Held> out_;
  std::uint64_t last_ticket_ = 0;
  std::set<client::QueueToken> awaited_;  ///< somebody waits for how their settlement went
  std::map<client::QueueToken, ErrorCode> failed_;
  bool has_leader_ = false;
  bool closed_ = false;
  bool left_ = false;
};

Result<void> QueueHost::open(const client::ConnectionOptions& where) {
  auto connection = client::Connection::open(where);
  if (!connection) return std::unexpected(std::move(connection).error());
  connection_ = std::move(*connection);
  auto consumer = client::QueueConsumer::open(
      *connection_, {.max_in_flight = static_cast<std::uint32_t>(
                         std::min<std::size_t>(options_.max_in_flight, 4'096)),
                     .lock_ms = lock_ms_,
                     .max_deliveries = options_.max_deliveries});
  if (!consumer) return std::unexpected(std::move(consumer).error());
  consumer_ = std::move(*consumer);
  return consumer_->subscribe(options_.topics, options_.group);
}

// --- Receiving

/// What the broker has granted since; what is due; locks of what waits here.
Result<void> QueueHost::take_granted() {
  auto messages = consumer_->poll(Deadline::passed(), options_.max_in_flight);
  heed_failures();
  if (!messages) return std::unexpected(std::move(messages).error());
  for (client::QueueMessage& message : *messages) {
    client::QueueToken token = message.token();
    ready_.push_back({std::move(token),
                      std::make_shared<const client::OwnedMessage>(std::move(message.message)),
                      message.lock_until_ns});
  }
  const BootNanos now = boot_now_ns();
  while (!deferred_.empty() && deferred_.begin()->first <= now) {
    ready_.push_front(std::move(deferred_.begin()->second));
    deferred_.erase(deferred_.begin());
  }
  for (Held& held : ready_) renew(held, now);
  for (auto& [due, held] : deferred_) renew(held, now);
  return {};
}

void QueueHost::renew(Held& held, BootNanos now) {
  const BootNanos lock_ns = lock_ms_ * kMillisecond;
  // One that has ended stays so: it is dropped when it would be handed out.
  if (held.until <= now || held.until - now > lock_ns / 2) return;
  if (consumer_->extend(held.token)) held.until = now + lock_ns;
}

std::vector<Delivery> QueueHost::hand_out(std::size_t max) {
  std::vector<Delivery> deliveries;
  const BootNanos now = boot_now_ns();
  while (!ready_.empty() && deliveries.size() < max) {
    Held held = std::move(ready_.front());
    ready_.pop_front();
    if (held.until <= now) continue;  // the broker gives it to somebody again
    const std::uint64_t ticket = ++last_ticket_;
    deliveries.emplace_back(shared_from_this(), ticket, held.message, held.token.attempt);
    out_.emplace(ticket, std::move(held));
  }
  return deliveries;
}

Result<std::vector<Delivery>> QueueHost::receive(std::size_t max, Deadline deadline) {
  Lock lock{mutex_};
  for (;;) {
    if (closed_)
      return fail(ErrorCode::kClosed,
                  "the subscription of group '" + options_.group + "' was closed");
    const bool last_look = deadline.has_passed();
    MALLBOTS_TRY(take_granted());
    auto deliveries = hand_out(max);
    if (!deliveries.empty()) {
      changed_.notify_all();  // somebody else leads now, or has something to do
      return deliveries;
    }
    if (last_look) return deliveries;
    sleep(lock, deadline);
  }
}

/// Until there may be news, but not for long.
void QueueHost::sleep(Lock& lock, Deadline deadline) {
  BootNanos slice = out_.empty() ? kIdleSlice : kBusySlice;
  if (!deferred_.empty())
    slice = std::clamp<BootNanos>(deferred_.begin()->first - boot_now_ns(), 0, slice);
  const Deadline until = deadline.remaining_ns() < slice ? deadline : Deadline::after_ns(slice);
  if (has_leader_) {
    system_clock().wait(lock, changed_, until, kNever);
    return;
  }
  has_leader_ = true;
  lock.unlock();
  consumer_->wait(until);
  lock.lock();
  has_leader_ = false;
  changed_.notify_all();
}

// --- Settling

std::optional<QueueHost::Held> QueueHost::take_out(std::uint64_t ticket) {
  const auto found = out_.find(ticket);
  if (found == out_.end()) return std::nullopt;
  Held held = std::move(found->second);
  out_.erase(found);
  if (closed_) changed_.notify_all();
  return held;
}

void QueueHost::heed_failures() {
  for (const client::FailedSettlement& failure : consumer_->take_failures())
    if (awaited_.contains(failure.token)) failed_[failure.token] = failure.code;
}

/// Waits until the broker has answered for all of them.
Result<void> QueueHost::confirm(Lock& lock, std::span<const client::QueueToken> tokens) {
  awaited_.insert(tokens.begin(), tokens.end());
  const Deadline deadline = Deadline::after_ms(kConfirmMs);
  Result<void> pumped;
  const auto is_open = [&](const auto& token) { return consumer_->is_unconfirmed(token); };
  for (;;) {
    pumped = consumer_->pump();
    heed_failures();
    if (!pumped || left_ || deadline.has_passed() || std::ranges::none_of(tokens, is_open)) break;
    sleep(lock, deadline);
  }
  changed_.notify_all();  // what others wait for may have come with it
  const bool is_answered = left_ || std::ranges::none_of(tokens, is_open);
  bool lost = left_;
  std::optional<ErrorCode> other;
  for (const client::QueueToken& token : tokens) {
    awaited_.erase(token);
    const auto failed = failed_.extract(token);
    if (failed.empty()) continue;
    const ErrorCode code = failed.mapped();
    lost = lost || code == ErrorCode::kNotHeld || code == ErrorCode::kFenced;
    if (code != ErrorCode::kNotHeld && code != ErrorCode::kFenced) other = code;
  }
  if (!pumped) return pumped;
  if (lost) return fenced();
  if (other) return fail(*other, "a settlement of group '" + options_.group + "'");
  if (!is_answered)
    return fail(ErrorCode::kTimeout, "the broker did not confirm a settlement of group '" +
                                         options_.group + "'; the message may come again");
  return {};
}

Result<void> QueueHost::settle_done(std::span<const std::uint64_t> tickets) {
  Lock lock{mutex_};
  std::vector<client::QueueToken> tokens;
  bool lost = false;
  for (const std::uint64_t ticket : tickets) {
    auto held = take_out(ticket);
    if (held && consumer_->ack(held->token))
      tokens.push_back(std::move(held->token));
    else
      lost = true;
  }
  MALLBOTS_TRY(confirm(lock, tokens));
  if (lost) return fenced();
  return {};
}

Result<void> QueueHost::settle(std::uint64_t ticket, const Settlement& settlement) {
  if (settlement.outcome == Outcome::kAck) return settle_done({&ticket, 1});
  Lock lock{mutex_};
  auto held = take_out(ticket);
  if (!held) return fenced();
  const std::int64_t delay_ms = std::clamp<std::int64_t>(
      settlement.delay_ms.value_or(settlement.outcome == Outcome::kNack
                                       ? options_.redelivery.delay_ms(held->token.attempt)
                                       : 0),
      0, kMaxDelayMs);
  if (settlement.outcome == Outcome::kDefer) {
    const BootNanos now = boot_now_ns();
    if (held->until <= now) return fenced();
    renew(*held, now);
    deferred_.emplace(now + delay_ms * kMillisecond, std::move(*held));
    changed_.notify_all();
    return {};
  }
  const client::QueueFailure failure{.type = settlement.failure.type,
                                     .text = settlement.failure.text,
                                     .handler = settlement.failure.handler};
  const auto noted =
      settlement.outcome == Outcome::kReject
          ? consumer_->reject(held->token, failure)
          : consumer_->nack(held->token, static_cast<std::uint32_t>(delay_ms), failure);
  if (!noted) return fenced();
  return confirm(lock, {&held->token, 1});
}

// --- The end

Result<void> QueueHost::close(Deadline deadline) {
  Lock lock{mutex_};
  closed_ = true;
  changed_.notify_all();
  while (!left_ && !out_.empty() && !deadline.has_passed())
    system_clock().wait(lock, changed_, deadline, kNever);
  if (left_) return {};
  if (!out_.empty())
    return fail(ErrorCode::kTimeout, std::to_string(out_.size()) + " deliveries of group '" +
                                         options_.group + "' are not settled; they come again");
  // Who still waits for the broker's word on a settlement gets it first.
  while (!awaited_.empty() && !deadline.has_passed())
    system_clock().wait(lock, changed_, deadline, kNever);
  leave();
  return {};
}

void QueueHost::abandon() {
  const Lock lock{mutex_};
  closed_ = true;
  if (!left_) leave();
}

/// What was handed out stays uncounted only if nobody looked at it.
void QueueHost::leave() {
  for (const Held& held : ready_) static_cast<void>(consumer_->release(held.token));
  for (const auto& [due, held] : deferred_) static_cast<void>(consumer_->release(held.token));
  ready_.clear();
  deferred_.clear();
  out_.clear();
  static_cast<void>(consumer_->flush(Deadline::after_ms(kLeaveMs)));
  // A broker that does not answer finds out when the session ends.
  static_cast<void>(consumer_->unsubscribe());
  left_ = true;
  changed_.notify_all();
}

class QueueSubscription final : public Subscription {
 public:
  explicit QueueSubscription(std::shared_ptr<QueueHost> host) : host_(std::move(host)) {}
  ~QueueSubscription() override { host_->abandon(); }
  QueueSubscription(const QueueSubscription&) = delete;
  QueueSubscription& operator=(const QueueSubscription&) = delete;

  [[nodiscard]] Result<std::optional<Delivery>> receive(Deadline deadline) override {
    auto deliveries = host_->receive(1, deadline);
    if (!deliveries) return std::unexpected(std::move(deliveries).error());
    if (deliveries->empty()) return std::nullopt;
    return std::move(deliveries->front());
  }
  /// Of one key the broker gives one at a time.
  [[nodiscard]] Result<std::vector<Delivery>> receive_many(std::size_t max, Reach reach,
                                                           Deadline deadline) override {
    return host_->receive(reach == Reach::kOneKey ? 1 : max, deadline);
  }
  [[nodiscard]] Result<InPlace> receive_in_place(std::size_t max, Deadline deadline,
                                                 const HandleInPlace& handle) override;
  [[nodiscard]] Result<void> close(Deadline deadline) override { return host_->close(deadline); }

 private:
  std::shared_ptr<QueueHost> host_;
};

Result<Subscription::InPlace> QueueSubscription::receive_in_place(std::size_t max,
                                                                  Deadline deadline,
                                                                  const HandleInPlace& handle) {
  auto deliveries = host_->receive(max, deadline);
  if (!deliveries) return std::unexpected(std::move(deliveries).error());
  InPlace received;
  if (deliveries->empty()) return received;
  std::vector<client::Message> messages;
  for (const Delivery& delivery : *deliveries) messages.push_back(delivery.message());
  std::vector<bool> done;
  handle(messages, done);
  received.was_handled = true;
  std::vector<Delivery> finished;
  for (std::size_t i = 0; i < deliveries->size(); ++i)
    (done.empty() || done[i] ? finished : received.rest).push_back(std::move((*deliveries)[i]));
  // Those whose locks have ended come again.
  const auto told = Delivery::ack_all(finished);
  if (!told && told.error().code != ErrorCode::kFenced) return std::unexpected(told.error());
  return received;
}

}  // namespace

Result<std::unique_ptr<Subscription>> open_queue(const client::ConnectionOptions& where,
                                                 const SubscribeOptions& options) {
  auto host = std::make_shared<QueueHost>(options);
  MALLBOTS_TRY(host->open(where));
  return std::make_unique<QueueSubscription>(std::move(host));
}

}  // namespace mallbots::toolkit
