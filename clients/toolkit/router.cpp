#include "clients/toolkit/router.h"

#include <algorithm>
#include <csignal>
#include <set>

#include "clients/toolkit/internal/chain.h"
#include "clients/toolkit/internal/station.h"

namespace mallbots::toolkit {
namespace {

std::string joined(std::span<const std::string> words) {
  std::string all;
  for (const std::string& word : words) all.append(all.empty() ? "" : ", ").append(word);
  return all;
}

}  // namespace

Router::Router(Publisher& publisher, Subscriber& subscriber, RouterOptions options)
    : publisher_(&publisher), subscriber_(&subscriber), options_(std::move(options)) {
  if (options_.clock == nullptr) options_.clock = &system_clock();
}

Router::~Router() { static_cast<void>(close(0)); }

// --- Handlers

Result<void> Router::add(HandlerOptions options, Handler handler) {
  return add(StationParts{.options = std::move(options), .handler = std::move(handler)});
}

Result<void> Router::add_batch(HandlerOptions options, const BatchOptions& batch,
                               BatchHandler handler) {
  if (batch.max_messages == 0)
    return fail(ErrorCode::kBadArgument, "a batch of handler '" + options.name + "' holds nothing");
  return add(StationParts{
      .options = std::move(options), .batch = batch, .batch_handler = std::move(handler)});
}

Result<void> Router::add(StationParts parts) {
  for (const auto& some : {options_.middlewares, parts.options.middlewares})
    if (const auto order = check_order(some); !order)
      return fail(ErrorCode::kBadArgument,
                  "handler '" + parts.options.name + "': " + order.error().detail);
  parts.middlewares = merge_layers(options_.middlewares, parts.options.middlewares);
  parts.publisher = publisher_;
  parts.subscriber = subscriber_;
  parts.clock = options_.clock;
  parts.log = options_.log;
  auto made = Station::make(std::move(parts));
  if (!made) return std::unexpected(std::move(made).error());
  const std::shared_ptr<Station> station = std::move(*made);
  const HandlerInfo& info = station->info();
  const std::scoped_lock lock{mutex_};
  if (state_ == State::kClosed)
    return fail(ErrorCode::kClosed, "the router takes no handler '" + info.name + "' any more");
  for (const auto& other : stations_) {
    if (other->info().name == info.name)
      return fail(ErrorCode::kBadArgument, "there is a handler '" + info.name + "' already");
    if (other->info().group == info.group)
      return fail(ErrorCode::kBadArgument, "handlers '" + other->info().name + "' and '" +
                                               info.name + "' share group '" + info.group +
                                               "': each would get a part of the messages");
  }
  if (state_ == State::kRunning) MALLBOTS_TRY(station->start());
  stations_.push_back(station);
  return {};
}

void Router::declare_publisher(const std::string& name, std::vector<std::string> topics) {
  const std::scoped_lock lock{mutex_};
  publishers_.push_back({name, std::move(topics)});
}

// --- Running

Result<void> Router::start() {
  const std::scoped_lock lock{mutex_};
  if (state_ != State::kIdle) return fail(ErrorCode::kBadArgument, "the router was started before");
  for (const auto& station : stations_)
    if (auto started = station->start(); !started) {
      static_cast<void>(end(stations_, 0));
      state_ = State::kClosed;
      return started;
    }
  state_ = State::kRunning;
  return {};
}

/// All at once: the grace is for the slowest, not for each.
Result<void> Router::end(std::span<const std::shared_ptr<Station>> stations,
                         std::int64_t grace_ms) {
  for (const auto& station : stations) station->stop_taking();
  const Deadline grace = Deadline::after_ms(grace_ms);
  const auto all_stopped = [&](Deadline deadline) {
    Result<void> all;
    for (const auto& station : stations)
      if (auto one = station->wait_stopped(deadline); !one) all = std::move(one);
    return all;
  };
  if (all_stopped(grace)) return {};
  for (const auto& station : stations) station->cancel();
  return all_stopped(Deadline::after_ms(options_.cancel_ms));
}

Result<void> Router::stop(const std::string& name, std::int64_t grace_ms) {
  std::shared_ptr<Station> station;
  {
    const std::scoped_lock lock{mutex_};
    const auto found =
        std::ranges::find_if(stations_, [&](const auto& one) { return one->info().name == name; });
    if (found == stations_.end())
      return fail(ErrorCode::kBadArgument, "there is no handler '" + name + "'");
    station = *found;
    stations_.erase(found);
  }
  auto ended = end({&station, 1}, grace_ms);
  if (!ended) {
    const std::scoped_lock lock{mutex_};
    leaving_.push_back(std::move(station));
  }
  return ended;
}

Result<void> Router::close(std::int64_t grace_ms) {
  std::vector<std::shared_ptr<Station>> stations;
  {
    const std::scoped_lock lock{mutex_};
    state_ = State::kClosed;
    stations = stations_;
  }
  return end(stations, grace_ms);
}

Result<void> Router::run(std::int64_t grace_ms) {
  sigset_t signals;
  sigset_t before;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  // The workers inherit it, so that the signal waits for sigwait.
  pthread_sigmask(SIG_BLOCK, &signals, &before);
  Result<void> ended = start();
  if (ended) {
    int signal = 0;
    sigwait(&signals, &signal);
    ended = close(grace_ms);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return ended;
}

// --- What it says about itself

Health Router::health() const {
  const std::scoped_lock lock{mutex_};
  Health health{.is_ready = state_ == State::kRunning, .is_healthy = true};
  for (const auto& station : stations_) {
    health.handlers.push_back(station->health());
    const HandlerState state = health.handlers.back().state;
    health.is_ready = health.is_ready && state == HandlerState::kRunning;
    health.is_healthy = health.is_healthy && state != HandlerState::kFailing;
  }
  return health;
}

Description Router::describe() const {
  const std::scoped_lock lock{mutex_};
  Description description{.publishers = publishers_};
  std::set<std::string> handled;
  std::set<std::string> published;
  for (const auto& station : stations_) {
    description.handlers.push_back(station->describe());
    const Description::Handler& handler = description.handlers.back();
    handled.insert(handler.info.topics.begin(), handler.info.topics.end());
    published.insert(handler.publishes.begin(), handler.publishes.end());
  }
  for (const Description::Publisher& publisher : publishers_)
    published.insert(publisher.topics.begin(), publisher.topics.end());
  std::ranges::set_difference(published, handled, std::back_inserter(description.unhandled));
  return description;
}

std::string Description::as_text() const {
  std::string text;
  for (const Publisher& publisher : publishers)
    text.append(publisher.name).append(" -> ").append(joined(publisher.topics)).append("\n");
  for (const Handler& handler : handlers) {
    text.append(joined(handler.info.topics)).append(" -> ").append(handler.info.name);
    text.append(" (group ").append(handler.info.group).append(", ");
    text.append(std::to_string(handler.workers))
        .append(handler.workers == 1 ? " worker)" : " workers)");
    if (!handler.publishes.empty()) text.append(" -> ").append(joined(handler.publishes));
    text.append("\n");
  }
  if (!unhandled.empty())
    text.append("nobody here handles: ").append(joined(unhandled)).append("\n");
  return text;
}

std::size_t Router::workers() const {
  const std::scoped_lock lock{mutex_};
  std::size_t all = 0;
  for (const auto& station : stations_)
    if (station->health().state == HandlerState::kRunning) all += station->workers();
  return all;
}

}  // namespace mallbots::toolkit
