#include "services/runtime/host.h"

#include <prometheus/registry.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "clients/toolkit/middleware/logging.h"
#include "clients/toolkit/prometheus_metrics.h"
#include "clients/toolkit/store/relay.h"
#include "clients/toolkit/store/service_metrics.h"
#include "services/runtime/outboxes.h"
#include "services/runtime/rpc_server.h"
#include "services/runtime/service_log.h"
#include "services/runtime/settings.h"
#include "services/runtime/spans.h"
#include "services/runtime/worker_pool.h"
#include "shm/base/check.h"

namespace mallbots {
namespace {

constexpr std::int64_t kCallGraceMs = 2'000;
constexpr std::int64_t kHandlerGraceMs = 10'000;
constexpr std::int64_t kHealthMs = 500;
constexpr std::int64_t kStoreMetricsMs = 2'000;
constexpr std::size_t kLongestSocketName = 107;  // unix(7)

Result<void> make_folder(const std::string& folder) {
  std::error_code refused;
  std::filesystem::create_directories(folder, refused);
  if (!refused) std::filesystem::permissions(folder, std::filesystem::perms::owner_all, refused);
  if (refused) return fail(ErrorCode::kIo, "folder '" + folder + "': " + refused.message());
  return {};
}

/// A context's database and what empties its outbox.
struct Store {
  std::unique_ptr<toolkit::OtlpFile> spans;  ///< null: off
  std::unique_ptr<toolkit::Database> database;
  std::unique_ptr<toolkit::Inbox> inbox;
  std::unique_ptr<toolkit::Outbox> outbox;
  std::unique_ptr<toolkit::Relay> relay;

  [[nodiscard]] toolkit::ServiceStore view() const { return {*database, *inbox, *outbox}; }
};

std::vector<toolkit::Middleware> middlewares_of(const HostOptions& options,
                                                std::shared_ptr<prometheus::Registry> metrics,
                                                toolkit::SpanRecorder* spans) {
  std::vector<toolkit::Middleware> all;
  if (spans != nullptr) all.push_back(toolkit::tracing(*spans));
  all.push_back(toolkit::logging(options.log, {.successes = false}));
  all.push_back(toolkit::metrics(std::move(metrics)));
  return all;
}

struct Timer {
  BootNanos interval_ns;
  std::string name;
  std::function<Outcome<void>()> turn;
  BootNanos due_ns = 0;
};

struct Beside {
  std::string name;
  std::function<void(const std::stop_token&)> body;
};

std::string text_of(const Failure& failure) {
  if (const auto* error = std::get_if<Error>(&failure)) return error->sentence();
  return std::get<Refusal>(failure).reason;
}

}  // namespace

class Host::Impl {
 public:
  Impl(HostOptions options_, std::unique_ptr<client::Connection> connection_,
       std::unique_ptr<toolkit::OtlpFile> spans_)
      : options(std::move(options_)),
        spans(std::move(spans_)),
        connection(std::move(connection_)),
        bus(*connection),
        metrics(std::make_shared<prometheus::Registry>()),
        store_metrics(metrics),
        router(bus,
               {.middlewares = middlewares_of(options, metrics, spans.get()), .log = options.log}),
        api(make_host_api(metrics, [this](const std::string& name) { return refused_of(name); })) {
    server.serve_everywhere(*api);
  }

  [[nodiscard]] Result<void> ensure(const Topic& topic);
  /// Nothing, if the database cannot be read: that there are some is told all the same.
  [[nodiscard]] std::vector<toolkit::RefusedMessage> refused_of(const std::string& name) const {
    return toolkit::newest_refused(*stores.at(name).database, kShownRefused)
        .value_or(std::vector<toolkit::RefusedMessage>{});
  }
  void run_timers(const std::stop_token& stop);
  void take_turn(Timer& timer) const;
  void run(const Beside& beside, const std::stop_token& stop) const;
  void start_threads();
  void say(toolkit::Severity severity, std::string text, const std::string& who,
           const std::string& problem) const {
    options.log({severity, std::move(text), {{"name", who}, {"problem", problem}}});
  }

  HostOptions options;
  std::unique_ptr<toolkit::OtlpFile> spans;  ///< of handlers; null: off
  std::unique_ptr<client::Connection> connection;
  toolkit::ShmBus bus;
  std::shared_ptr<prometheus::Registry> metrics;
  std::map<std::string, Store> stores;
  toolkit::ServiceMetrics store_metrics;
  std::set<std::string> topics;  ///< that are there
  toolkit::Router router;
  std::vector<Timer> timers;
  std::vector<Beside> besides;
  std::vector<toolkit::Description::Handler> readers;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels;
  std::mutex channels_mutex;
  std::shared_ptr<grpc::Service> api;  ///< the host's own
  RpcServer server;
  std::unique_ptr<WorkerPool> pool;
  std::vector<std::jthread> beside_threads;
  std::vector<std::jthread> relay_threads;
  std::jthread timer_thread;
  std::atomic<bool> is_running = false;
};

// --- Opening

Result<std::unique_ptr<Host>> Host::open(HostOptions options) {
  MALLBOTS_TRY(refuse_old_names(options.settings));
  if (options.runtime_dir.empty())
    options.runtime_dir = client::default_runtime_dir(options.instance);
  if (options.socket_dir.empty()) options.socket_dir = options.runtime_dir + "/mall";
  if (options.socket_dir.size() + sizeof "/notifications.sock" > kLongestSocketName)
    return fail(ErrorCode::kBadArgument, "the socket folder '" + options.socket_dir +
                                             "' is too long for a Unix socket; use a shorter one");
  if (!options.log) {
    auto log = service_log(options.name);
    if (!log) return std::unexpected(std::move(log).error());
    options.log = std::move(*log);
  }
  auto connection = client::Connection::open({.instance = options.instance,
                                              .runtime_dir = options.runtime_dir,
                                              .name = options.name,
                                              .waiting = client::Waiting::kBlock});
  if (!connection) return std::unexpected(std::move(connection).error());
  MALLBOTS_TRY(make_folder(options.socket_dir));
  if (!options.data_dir.empty()) MALLBOTS_TRY(make_folder(options.data_dir));
  auto spans = open_spans(options, options.name);
  if (!spans) return std::unexpected(std::move(spans).error());
  auto impl = std::make_unique<Impl>(std::move(options), std::move(*connection), std::move(*spans));
  std::unique_ptr<Host> host{new Host{std::move(impl)}};
  const auto threads = host->number("calls.threads", 4);
  if (!threads) return std::unexpected(threads.error());
  host->impl_->pool = std::make_unique<WorkerPool>(
      WorkerPoolOptions{.threads = static_cast<std::size_t>(std::max<std::int64_t>(*threads, 1))});
  return host;
}

Host::Host(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Host::~Host() { stop(); }

client::Connection& Host::connection() noexcept { return *impl_->connection; }
toolkit::ShmBus& Host::bus() noexcept { return impl_->bus; }
toolkit::Clock& Host::clock() noexcept { return toolkit::system_clock(); }
const toolkit::Log& Host::log() const noexcept { return impl_->options.log; }
const std::shared_ptr<prometheus::Registry>& Host::metrics() const noexcept {
  return impl_->metrics;
}
WorkerPool& Host::calls() noexcept { return *impl_->pool; }
const HostOptions& Host::options() const noexcept { return impl_->options; }

std::string Host::setting(std::string_view name, std::string_view otherwise) const {
  const auto found = impl_->options.settings.find(name);
  return found == impl_->options.settings.end() ? std::string{otherwise} : found->second;
}

Result<std::int64_t> Host::number(std::string_view name, std::int64_t otherwise) const {
  const std::string text = setting(name, std::to_string(otherwise));
  std::int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size() || value < 0)
    return fail(ErrorCode::kBadConfig,
                std::string{name} + "=" + text + ": a whole number from 0 on is wanted");
  return value;
}

// --- Registering

Result<toolkit::ServiceStore> Host::open_store(const std::string& name) {
  const auto known = impl_->stores.find(name);
  if (known != impl_->stores.end()) return known->second.view();
  auto database = toolkit::Database::open(
      {.path =
           impl_->options.data_dir.empty() ? "" : impl_->options.data_dir + "/" + name + ".db"});
  if (!database) return std::unexpected(std::move(database).error());
  auto inbox = toolkit::Inbox::open(**database);
  if (!inbox) return std::unexpected(std::move(inbox).error());
  auto outbox = toolkit::Outbox::open(**database);
  if (!outbox) return std::unexpected(std::move(outbox).error());
  auto spans = open_spans(impl_->options, name);
  if (!spans) return std::unexpected(std::move(spans).error());
  auto relay = std::make_unique<toolkit::Relay>(**database, **outbox, impl_->bus,
                                                toolkit::RelayOptions{.spans = spans->get()});
  const auto [store, is_new] =
      impl_->stores.emplace(name, Store{std::move(*spans), std::move(*database), std::move(*inbox),
                                        std::move(*outbox), std::move(relay)});
  impl_->store_metrics.watch(name, *store->second.outbox);
  if (impl_->stores.size() == 1)
    every(kStoreMetricsMs, "host.store_metrics", [this]() -> Outcome<void> {
      const auto done = impl_->store_metrics.refresh();
      return done ? Outcome<void>{} : std::unexpected(Failure{done.error()});
    });
  return store->second.view();
}

Result<void> Host::Impl::ensure(const Topic& topic) {
  if (topics.contains(topic.name)) return {};
  client::Admin admin{*connection};
  const auto made = admin.create_topic(
      topic.name, 0, topic.settings.empty() ? settings_of(topic.name) : topic.settings);
  if (!made && made.error().code != ErrorCode::kTopicExists) return std::unexpected(made.error());
  topics.insert(topic.name);
  return {};
}

Result<void> Host::ensure_topics(std::span<const Topic> topics) {
  for (const Topic& topic : topics) MALLBOTS_TRY(impl_->ensure(topic));
  return {};
}

Result<void> Host::handle(toolkit::Registration registration, toolkit::HandlerOptions options) {
  for (const std::string& topic : registration.info.topics)
    MALLBOTS_TRY(impl_->ensure(Topic{topic}));
  return toolkit::add(impl_->router, std::move(registration), std::move(options));
}

Result<void> Host::handle(std::vector<toolkit::Registration> registrations,
                          const toolkit::HandlerOptions& options) {
  for (toolkit::Registration& one : registrations) MALLBOTS_TRY(handle(std::move(one), options));
  return {};
}

Result<void> Host::handle(toolkit::Registration registration, const toolkit::ServiceStore& store,
                          toolkit::HandlerOptions options) {
  options.middlewares.push_back(toolkit::transactional(store.database, store.inbox, store.outbox));
  return handle(std::move(registration), std::move(options));
}

Result<void> Host::handle(std::vector<toolkit::Registration> registrations,
                          const toolkit::ServiceStore& store,
                          const toolkit::HandlerOptions& options) {
  for (toolkit::Registration& one : registrations)
    MALLBOTS_TRY(handle(std::move(one), store, options));
  return {};
}

void Host::every(std::int64_t interval_ms, std::string name, std::function<Outcome<void>()> turn) {
  CHECK(!impl_->is_running);
  impl_->timers.push_back({interval_ms * kMillisecond, std::move(name), std::move(turn)});
}

void Host::run_beside(std::string name, std::function<void(const std::stop_token&)> body) {
  CHECK(!impl_->is_running);
  impl_->besides.push_back({std::move(name), std::move(body)});
}

void Host::declare_reader(const std::string& name, std::vector<std::string> topics) {
  impl_->readers.push_back({.info = {.name = name, .group = name, .topics = std::move(topics)}});
}

void Host::serve(const std::string& name, grpc::Service& service) {
  impl_->server.serve(name, service);
}

void Host::announce(const std::string& name) { impl_->server.announce(name); }

Result<void> Host::publish_address(const std::string& name, const std::string& address) {
  const std::string path = impl_->options.socket_dir + "/" + name + ".address";
  std::ofstream file{path, std::ios::trunc};
  file << address << '\n';
  if (!file.flush()) return fail(ErrorCode::kIo, "cannot write '" + path + "'");
  log()({toolkit::Severity::kInfo, "address", {{"name", name}, {"address", address}}});
  return {};
}

std::string Host::socket_of(std::string_view name) const {
  return impl_->options.socket_dir + "/" + std::string{name} + ".sock";
}

std::shared_ptr<grpc::Channel> Host::channel(const std::string& name) {
  const std::scoped_lock lock{impl_->channels_mutex};
  auto& channel = impl_->channels[name];
  if (!channel) channel = RpcServer::connect(socket_of(name));
  return channel;
}

// --- Running

Result<void> Host::start() {
  CHECK(!impl_->is_running);
  impl_->is_running = true;
  const Result<void> started = [this]() -> Result<void> {
    MALLBOTS_TRY(impl_->router.start());
    return impl_->server.start(impl_->options.socket_dir);
  }();
  if (!started) {
    stop();
    return started;
  }
  impl_->start_threads();
  impl_->server.set_serving(true);
  return {};
}

void Host::Impl::start_threads() {
  for (auto& [name, store] : stores)
    relay_threads.emplace_back(
        [relay = store.relay.get()](const std::stop_token& stop) { relay->run(stop); });
  timers.push_back({kHealthMs * kMillisecond, "health", [this]() -> Outcome<void> {
                      server.set_serving(router.health().is_healthy);
                      return {};
                    }});
  timer_thread = std::jthread{[this](const std::stop_token& stop) { run_timers(stop); }};
  for (const Beside& beside : besides)
    beside_threads.emplace_back(
        [this, &beside](const std::stop_token& stop) { run(beside, stop); });
}

void Host::Impl::run_timers(const std::stop_token& stop) {
  toolkit::Clock& clock = toolkit::system_clock();
  for (Timer& timer : timers) timer.due_ns = clock.now_ns() + timer.interval_ns;
  for (;;) {
    Timer& next = *std::ranges::min_element(timers, {}, &Timer::due_ns);
    if (!clock.pause_until(next.due_ns, stop)) return;
    take_turn(next);
    next.due_ns = clock.now_ns() + next.interval_ns;
  }
}

void Host::Impl::take_turn(Timer& timer) const {
  try {
    const auto taken = timer.turn();
    if (!taken)
      say(toolkit::Severity::kWarning, "timer failed", timer.name, text_of(taken.error()));
  } catch (const std::exception& thrown) {
    say(toolkit::Severity::kError, "timer threw", timer.name, thrown.what());
  }
}

void Host::Impl::run(const Beside& beside, const std::stop_token& stop) const {
  try {
    beside.body(stop);
  } catch (const std::exception& thrown) {
    say(toolkit::Severity::kError, "thread ended", beside.name, thrown.what());
  }
}

void Host::stop() {
  if (!impl_->is_running) return;
  for (std::jthread& thread : impl_->beside_threads) thread.request_stop();
  impl_->beside_threads.clear();
  impl_->server.set_serving(false);
  impl_->server.stop(kCallGraceMs);
  impl_->timer_thread = {};
  if (const auto closed = impl_->router.close(kHandlerGraceMs); !closed)
    impl_->say(toolkit::Severity::kWarning, "handlers did not end", impl_->options.name,
               closed.error().sentence());
  for (std::jthread& thread : impl_->relay_threads) thread.request_stop();
  impl_->relay_threads.clear();
  impl_->is_running = false;
}

bool Host::is_ready() const { return impl_->is_running && impl_->router.health().is_ready; }

toolkit::Description Host::describe() const {
  toolkit::Description description = impl_->router.describe();
  description.handlers.insert(description.handlers.end(), impl_->readers.begin(),
                              impl_->readers.end());
  return description;
}

}  // namespace mallbots
