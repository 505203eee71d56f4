#include "clients/toolkit/internal/station.h"

#include <algorithm>

#include "clients/consumer.h"
#include "clients/toolkit/internal/chain.h"

namespace mallbots::toolkit {
namespace {

/// Messages of one key that a worker takes together, so that it pays for the queue once.
constexpr std::size_t kRun = 64;
/// What is done is told at the latest so long after, when the next message of a run ends.
constexpr BootNanos kAckWithinNs = kMillisecond;
constexpr BootNanos kSubscribeAgainNs = kSecond;
constexpr std::uint32_t kUsualDeliveries = 10;

bool retries(const Middleware& middleware) { return middleware.layer == Layer::kRetry; }

Result<void> check(const StationParts& parts) {
  const HandlerOptions& options = parts.options;
  if (options.name.empty()) return fail(ErrorCode::kBadArgument, "a handler needs a name");
  const std::string who = "handler '" + options.name + "' ";
  if (options.group.empty()) return fail(ErrorCode::kBadArgument, who + "names no group");
  if (options.topics.empty()) return fail(ErrorCode::kBadArgument, who + "names no topic");
  if (options.workers == 0 || options.max_in_flight == 0)
    return fail(ErrorCode::kBadArgument, who + "has no workers or nothing in flight");
  if (!parts.handler && !parts.batch_handler)
    return fail(ErrorCode::kBadArgument, who + "has no function");
  if (const auto order = check_order(parts.middlewares); !order)
    return fail(ErrorCode::kBadArgument, who + ": " + order.error().detail);
  if (parts.batch_handler)
    for (const Middleware& middleware : parts.middlewares)
      if (!middleware.takes_batches)
        return fail(ErrorCode::kBadArgument,
                    who + "takes batches, which '" + middleware.name + "' cannot wrap");
  return {};
}

/// A batch has been handled when the chain asks: this is what came of the message.
Handled told_outcome(Context& context, const Message& /*message*/) {
  return *context.find<Handled>();
}

/// However often a middleware runs it again, its publications are those of the last run.
Handler begun(Handler handler) {
  return [handler = std::move(handler)](Context& context, const Message& message) {
    context.begin();
    return handler(context, message);
  };
}

bool same_key(const Delivery& one, const Delivery& other) {
  return !one->key.empty() && one->topic == other->topic && one->key_text() == other->key_text();
}

}  // namespace

Result<std::unique_ptr<Station>> Station::make(StationParts parts) {
  MALLBOTS_TRY(check(parts));
  return std::unique_ptr<Station>{new Station{std::move(parts)}};
}

Station::Station(StationParts parts) : parts_(std::move(parts)) {
  const HandlerOptions& options = parts_.options;
  const bool retry_decides = std::ranges::any_of(parts_.middlewares, retries);
  info_ = {.name = options.name,
           .group = options.group,
           .topics = options.topics,
           .max_deliveries = options.max_deliveries.value_or(retry_decides ? 0 : kUsualDeliveries)};
  around_ = {.handler = &info_,
             .bus = parts_.publisher,
             .clock = parts_.clock,
             .cancelled = cancelled_.get_token()};
  publishes_.insert(options.publishes.begin(), options.publishes.end());
  chain_ =
      build_chain(parts_.batch_handler ? Handler{told_outcome} : begun(parts_.handler),
                  parts_.middlewares, info_, *parts_.publisher, [this](const std::string& topic) {
                    const std::scoped_lock lock{mutex_};
                    publishes_.insert(topic);
                  });
}

Station::~Station() {
  if (!lead_.joinable()) return;
  stop_taking();
  cancel();
  lead_.join();
}

// --- Starting and stopping

Result<void> Station::subscribe() {
  const HandlerOptions& options = parts_.options;
  const std::size_t batches = parts_.batch.max_messages * std::max(options.workers, kInPlaceAtOnce);
  auto made =
      parts_.subscriber->subscribe({.topics = options.topics,
                                    .group = options.group,
                                    .max_in_flight = std::max(options.max_in_flight, batches),
                                    .max_deliveries = info_.max_deliveries,
                                    .redelivery = options.redelivery,
                                    .max_poll_interval_ms = options.max_poll_interval_ms,
                                    .mode = options.mode,
                                    .lock_ms = options.lock_ms});
  if (!made) return std::unexpected(std::move(made).error());
  const std::scoped_lock lock{mutex_};
  subscription_ = std::move(*made);
  state_ = HandlerState::kRunning;
  problem_.clear();
  return {};
}

Result<void> Station::start() {
  MALLBOTS_TRY(subscribe());
  lead_ = std::thread{[this] { lead(); }};
  return {};
}

void Station::stop_taking() {
  stopping_.request_stop();
  const std::scoped_lock lock{mutex_};
  if (state_ != HandlerState::kStopped) state_ = HandlerState::kClosing;
  // It does not wait: the deadline has passed. Its threads find it closed.
  if (subscription_) static_cast<void>(subscription_->close(Deadline::passed()));
}

Result<void> Station::wait_stopped(Deadline deadline) {
  std::unique_lock lock{mutex_};
  while (state_ != HandlerState::kStopped && lead_.joinable() && !deadline.has_passed())
    system_clock().wait(lock, stopped_, deadline, kNever);
  if (state_ != HandlerState::kStopped && lead_.joinable())
    return fail(ErrorCode::kTimeout, "handler '" + info_.name + "' has not finished");
  return {};
}

void Station::set_state(HandlerState state, const std::string& problem) {
  const std::scoped_lock lock{mutex_};
  state_ = state;
  problem_ = problem;
  stopped_.notify_all();
}

void Station::lead() {
  const std::stop_token stopping = stopping_.get_token();
  while (!stopping.stop_requested()) {
    Subscription* const subscription = subscription_.get();
    {
      std::vector<std::jthread> others;
      for (std::size_t i = 1; subscription != nullptr && i < parts_.options.workers; ++i)
        others.emplace_back([this, subscription] { work(*subscription); });
      if (subscription != nullptr) work(*subscription);
      if (subscription != nullptr && !stopping.stop_requested())
        static_cast<void>(subscription->close(Deadline::passed()));  // ends the others, too
    }
    {
      const std::scoped_lock lock{mutex_};
      subscription_.reset();
    }
    if (stopping.stop_requested()) break;
    if (!system_clock().pause_until(boot_now_ns() + kSubscribeAgainNs, stopping)) break;
    if (const auto subscribed = subscribe(); !subscribed)
      set_state(HandlerState::kFailing, subscribed.error().sentence());
    // stop_taking() may have looked before there was a subscription to close.
    if (stopping.stop_requested()) stop_taking();
  }
  {
    const std::scoped_lock lock{mutex_};
    subscription_.reset();
  }
  set_state(HandlerState::kStopped);
}

// --- Working

void Station::work(Subscription& subscription) {
  const bool is_batch = static_cast<bool>(parts_.batch_handler);
  BatchRoom room{is_batch ? parts_.batch.max_messages : 0, around_};
  for (;;) {
    const auto worked = is_batch ? work_on_batch(subscription, room) : work_on_run(subscription);
    if (worked) continue;
    if (worked.error().code == ErrorCode::kClosed) return;
    if (client::is_setback(worked.error().code)) {
      say(Severity::kWarning, "records were skipped", worked.error().sentence());
      continue;
    }
    say(Severity::kError, "the subscription broke", worked.error().sentence());
    set_state(HandlerState::kFailing, worked.error().sentence());
    static_cast<void>(subscription.close(Deadline::passed()));
    return;
  }
}

Result<void> Station::work_on_run(Subscription& subscription) {
  const Reach reach = parts_.options.workers == 1 ? Reach::kAll : Reach::kOneKey;
  auto received = subscription.receive_many(kRun, reach, Deadline::never());
  if (!received) return std::unexpected(std::move(received).error());
  handle_run(*received);
  return {};
}

Result<std::vector<Delivery>> Station::receive_batch(Subscription& subscription) {
  const BatchOptions& batch = parts_.batch;
  auto received = subscription.receive_many(batch.max_messages, Reach::kAll, Deadline::never());
  if (!received || batch.max_wait_ms == 0) return received;
  const Deadline full = Deadline::after_ms(batch.max_wait_ms);
  while (received->size() < batch.max_messages && !full.has_passed()) {
    auto more = subscription.receive_many(batch.max_messages - received->size(), Reach::kAll, full);
    if (!more) break;  // told again at the next call
    std::ranges::move(*more, std::back_inserter(*received));
  }
  return received;
}

Handled Station::handle_one(const Delivery& delivery) {
  const Message message{delivery.message(), delivery.attempt()};
  Context context{around_, message};
  return call(chain_, context, message);
}

void Station::handle_run(std::vector<Delivery>& run) {
  std::size_t told = 0;
  BootNanos told_ns = boot_now_ns();
  std::size_t at = 0;
  for (; at < run.size(); ++at) {
    if (run[at].is_settled()) {  // waits for one of its key that failed
      ack({run.begin() + static_cast<std::ptrdiff_t>(told),
           run.begin() + static_cast<std::ptrdiff_t>(at)});
      told = at + 1;
      continue;
    }
    if (stopping_.stop_requested()) break;
    const Handled handled = handle_one(run[at]);
    const std::span<Delivery> done = std::span{run}.subspan(told, at - told);
    if (!handled) {
      ack(done);
      settle_failed(run, at, handled.error());
      told = at + 1;
    } else if (at + 1 < run.size() && boot_now_ns() - told_ns > kAckWithinNs) {
      ack(std::span{run}.subspan(told, at + 1 - told));
      told = at + 1;
      told_ns = boot_now_ns();
    }
  }
  ack(std::span{run}.subspan(told, at - told));
  for (; at < run.size(); ++at)
    if (!run[at].is_settled()) static_cast<void>(run[at].defer());  // fenced: it comes again anyway
}

/// A worker alone, which need not wait for a batch to fill, reads in place.
Result<void> Station::work_on_batch(Subscription& subscription, BatchRoom& room) {
  if (parts_.options.workers > 1 || parts_.batch.max_wait_ms > 0) {
    auto received = receive_batch(subscription);
    if (!received) return std::unexpected(std::move(received).error());
    handle_batch(*received, room);
    return {};
  }
  std::vector<std::size_t> undone;
  std::size_t first = 0;  // of the batch that is laid out
  const auto handle = [&](std::span<const client::Message> messages, std::vector<bool>& done) {
    for (first = 0; first < messages.size(); first += parts_.batch.max_messages) {
      if (first > 0 && stopping_.stop_requested()) break;
      if (handle_in_place(messages.subspan(first), room)) continue;
      done.assign(messages.size(), true);
      for (std::size_t i = first; i < messages.size(); ++i) {
        const bool was_tried = i - first < parts_.batch.max_messages;
        done[i] = was_tried && room.outcome(i - first) && !room.must_wait(i - first);
        if (!done[i]) undone.push_back(i - first);
      }
      return;
    }
    if (first >= messages.size()) return;
    done.assign(messages.size(), false);
    for (std::size_t i = 0; i < first; ++i) done[i] = true;
  };
  auto received =
      subscription.receive_in_place(parts_.batch.max_messages, Deadline::never(), handle);
  if (!received) return std::unexpected(std::move(received).error());
  if (received->was_handled)
    settle_rest(received->rest, room, undone);
  else
    handle_batch(received->rest, room);
  return {};
}

/// False: something failed.
bool Station::handle_in_place(std::span<const client::Message> messages, BatchRoom& room) {
  const std::size_t count = std::min(messages.size(), parts_.batch.max_messages);
  for (std::size_t i = 0; i < count; ++i) room.lay(i, messages[i], 1);
  room.run(count, parts_.batch_handler, chain_, parts_.middlewares.empty());
  return !room.has_failures();
}

void Station::handle_batch(std::vector<Delivery>& batch, BatchRoom& room) {
  if (batch.empty()) return;
  for (std::size_t i = 0; i < batch.size(); ++i)
    room.lay(i, batch[i].message(), batch[i].attempt());
  room.run(batch.size(), parts_.batch_handler, chain_, parts_.middlewares.empty());
  if (!room.has_failures()) return ack(batch);
  std::vector<Delivery> done;
  std::vector<Delivery> rest;
  std::vector<std::size_t> items;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const bool is_done = room.outcome(i) && !room.must_wait(i);
    (is_done ? done : rest).push_back(std::move(batch[i]));
    if (!is_done) items.push_back(i);
  }
  ack(done);
  settle_rest(rest, room, items);
}

/// Delivery k is item items[k]; what is beyond the room was not tried.
void Station::settle_rest(std::vector<Delivery>& rest, const BatchRoom& room,
                          std::span<const std::size_t> items) {
  for (std::size_t k = 0; k < rest.size(); ++k) {
    if (rest[k].is_settled()) continue;
    const bool was_tried = k < items.size() && items[k] < parts_.batch.max_messages;
    if (was_tried && !room.outcome(items[k]))
      settle_failed(std::span{rest}, k, room.outcome(items[k]).error());
    else
      static_cast<void>(rest[k].defer());  // fenced: it comes again anyway
  }
}

void Station::settle_failed(std::span<Delivery> run, std::size_t failed,
                            const HandlerFailure& failure) {
  for (std::size_t later = failed + 1; later < run.size(); ++later)
    if (!run[later].is_settled() && same_key(run[later], run[failed]))
      static_cast<void>(run[later].defer());  // fenced: it comes again anyway
  const Failure told{.type = failure.type, .text = failure.text, .handler = info_.name};
  Result<void> settled;
  if (failure.again == Again::kNever)
    settled = run[failed].reject(told);
  else if (failure.again == Again::kUncounted)
    settled = run[failed].defer(failure.delay_ms.value_or(0));
  else
    settled = run[failed].nack(told, failure.delay_ms);
  if (!settled && settled.error().code != ErrorCode::kFenced)
    say(Severity::kError, "a failed message could not be settled", settled.error().sentence());
}

void Station::ack(std::span<Delivery> done) {
  if (done.empty()) return;
  const auto acked = Delivery::ack_all(done);
  if (!acked)
    say(Severity::kWarning, "messages that were done come again", acked.error().sentence());
}

// --- What it says about itself

void Station::say(Severity severity, const std::string& text, const std::string& problem) const {
  if (parts_.log)
    parts_.log(
        {severity, text, {{"handler", info_.name}, {"group", info_.group}, {"problem", problem}}});
}

Health::Handler Station::health() const {
  const std::scoped_lock lock{mutex_};
  return {.name = info_.name, .state = state_, .problem = problem_};
}

Description::Handler Station::describe() const {
  const std::scoped_lock lock{mutex_};
  return {.info = info_,
          .workers = parts_.options.workers,
          .publishes = {publishes_.begin(), publishes_.end()}};
}

}  // namespace mallbots::toolkit
