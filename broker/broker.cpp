#include "broker/broker.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>

#include "broker/control/listener.h"
#include "broker/event_log.h"
#include "broker/metrics.h"
#include "broker/service_manager.h"
#include "broker/version.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {
namespace {

constexpr std::int64_t kDrainingPredecessorMs = 30'000;
constexpr std::int64_t kDeadPredecessorMs = 5'000;
/// For what a broker that could not start had begun to write.
constexpr std::int64_t kRestMs = 5'000;
constexpr BootNanos kDrainReport = 5 * kSecond;
/// Most of recovery waits for the disk, a few blocks at a time.
constexpr unsigned kRecoveryThreads = 8;

// The note that a broker leaves with its keeper: how the disk is flushed, measured once.
constexpr std::uint64_t kNoteDsync = 1;
constexpr std::uint64_t kNoteFdatasync = 2;

EngineChoice engine_of(IoEngine engine) {
  switch (engine) {
    case IoEngine::kAuto:
      return EngineChoice::kAuto;
    case IoEngine::kUring:
      return EngineChoice::kUring;
    case IoEngine::kPwrite:
      return EngineChoice::kThread;
  }
  return EngineChoice::kAuto;
}

FlushChoice flush_of(FlushMethod method, std::uint64_t note) {
  if (method == FlushMethod::kDsync) return FlushChoice::kDsync;
  if (method == FlushMethod::kFdatasync) return FlushChoice::kFdatasync;
  if (note == kNoteDsync) return FlushChoice::kDsync;
  if (note == kNoteFdatasync) return FlushChoice::kFdatasync;
  return FlushChoice::kMeasure;
}

std::uint64_t note_of(const Disk& disk) {
  return disk.engine().find("O_DSYNC") != std::string::npos ? kNoteDsync : kNoteFdatasync;
}

std::unexpected<Error> no_descriptor(const char* call) {
  return fail(ErrorCode::kLimitReached, fmt::format("{}: {}", call, std::strerror(errno)));
}

}  // namespace

// Starting
// -----------------------------------------------------------------------------------------

Broker::Broker(const Config& config, BrokerStart from_keeper, Poller poller)
    : config_(config),
      keeper_pid_(from_keeper.keeper_pid),
      drain_at_once_(from_keeper.draining),
      deaths_(from_keeper.deaths),
      note_(from_keeper.note),
      started_ns_(boot_now_ns()),
      keeper_(std::move(from_keeper.link)),
      poller_(std::move(poller)) {}

/// Requests name memory of what goes before the disk does: none may be left then, or a file gets
/// whatever lies there. Draining has waited for its time already, others do now; a device that does
/// not answer then ends the process here.
Broker::~Broker() {
  const bool has_waited = state_ == State::kGone && exit_code_ != 0;
  const Deadline soon = has_waited ? Deadline::passed() : Deadline::after_ms(kRestMs);
  while (disk_ && disk_->in_flight() > 0) {
    disk_->kick();
    pollfd done{disk_->completion_fd(), POLLIN, 0};
    static_cast<void>(poll(&done, 1, soon.has_passed() ? 0 : 10));
    static_cast<void>(disk_->reap());
    if (disk_->in_flight() == 0 || !soon.has_passed()) continue;
    log_event(Level::kCritical, "ended with writes on their way",
              {{"in_flight", disk_->in_flight()}});
    ::_exit(static_cast<int>(ExitCode::kFailed));
  }
}

Result<std::unique_ptr<Broker>> Broker::start(const Config& config, const RuntimeFolder& runtime,
                                              BrokerStart from_keeper) {
  auto poller = Poller::make();
  if (!poller) return std::unexpected(std::move(poller).error());
  std::unique_ptr<Broker> broker{new Broker{config, std::move(from_keeper), std::move(*poller)}};
  MALLBOTS_TRY(broker->open_signals());
  MALLBOTS_TRY(broker->open_disk_and_data(runtime));
  MALLBOTS_TRY(broker->open_registry());
  MALLBOTS_TRY(broker->open_log());
  MALLBOTS_TRY(broker->open_control(runtime));
  MALLBOTS_TRY(broker->open_metrics());
  MALLBOTS_TRY(broker->say_ready());
  return broker;
}

Result<void> Broker::open_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  sigdelset(&set, SIGHUP);  // blocked and never read: does nothing
  signals_ = shm::UniqueFd{signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (!signals_) return no_descriptor("signalfd");
  MALLBOTS_TRY(poller_.watch(signals_.get(), Source::kSignals, 0));
  if (keeper_.fd() >= 0) MALLBOTS_TRY(poller_.watch(keeper_.fd(), Source::kKeeper, 0));
  wake_ = keeper_.take(FdKind::kWake, 0);
  if (!wake_) {
    wake_ = shm::UniqueFd{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!wake_) return no_descriptor("eventfd");
    MALLBOTS_TRY(keeper_.put(FdKind::kWake, 0, wake_.get()));
  }
  return poller_.watch(wake_.get(), Source::kWake, shm::kNoSession, Poller::Interest::kEdge);
}

Result<void> Broker::open_disk_and_data(const RuntimeFolder& runtime) {
  // Measuring needs the data directory, and the data directory needs a disk to be opened with.
  const FlushChoice flush = flush_of(config_.io_flush, note_);
  const bool measure = flush == FlushChoice::kMeasure;
  DiskOptions options{.engine = engine_of(config_.io_engine),
                      .flush = measure ? FlushChoice::kFdatasync : flush,
                      .direct = config_.io_direct};
  auto disk = open_disk(options);
  if (!disk) return std::unexpected(std::move(disk).error());
  disk_ = std::move(*disk);
  const std::int64_t wait_ms = deaths_ > 0         ? kDeadPredecessorMs
                               : runtime.inherited ? kDrainingPredecessorMs
                                                   : 0;
  auto data = open_data_directory(*disk_, config_.data_dir, wait_ms);
  if (!data) return std::unexpected(std::move(data).error());
  data_ = std::move(*data);
  if (measure) {
    options.flush = FlushChoice::kMeasure;
    options.probe_folder = data_->spares_folder();
    disk = open_disk(options);
    if (!disk) return std::unexpected(std::move(disk).error());
    disk_ = std::move(*disk);
  }
  log_event(Level::kInfo, "disk opened",
            {{"engine", disk_->engine()}, {"data_dir", data_->path}, {"created", data_->created}});
  auto spares = SparePool::open(*disk_, {.folder = data_->spares_folder()});
  if (!spares) return std::unexpected(std::move(spares).error());
  spares_ = std::move(*spares);
  return poller_.watch(disk_->completion_fd(), Source::kDisk, 0);
}

Result<void> Broker::open_registry() {
  registry_fd_ = keeper_.take(FdKind::kRegistry, 0);
  memory_kept_ = static_cast<bool>(registry_fd_);
  if (!memory_kept_) {
    auto fd = shm::create_memory("mallbots-registry", sizeof(shm::Registry));
    if (!fd) return std::unexpected(std::move(fd).error());
    registry_fd_ = std::move(*fd);
  }
  auto mapping =
      shm::Mapping::of(registry_fd_.get(), sizeof(shm::Registry), shm::Access::kReadWrite);
  if (!mapping) return std::unexpected(std::move(mapping).error());
  registry_ = std::move(*mapping);
  auto& registry = *registry_.as<shm::Registry>();
  if (!memory_kept_) {
    MALLBOTS_TRY(registry_.populate(0, sizeof(shm::Registry)));
    registry.page = {.magic = shm::kRegistryMagic,
                     .layout_version = shm::kLayoutVersion,
                     .size_bytes = sizeof(shm::Registry)};
    CRASH_POINT("broker.registry");
    registry.next_slot_id.store(1);
    MALLBOTS_TRY(keeper_.put(FdKind::kRegistry, 0, registry_fd_.get()));
  }
  CRASH_POINT("broker.incarnation");
  registry.incarnation.fetch_add(1);
  sessions_.emplace(
      Sessions::Parts{.registry = registry, .keeper = keeper_, .poller = poller_},
      Sessions::Limits{.per_user = config_.sessions_per_user,
                       .restart_grace_ns = config_.session_reattach_ms * kMillisecond});
  return sessions_->restore(boot_now_ns());
}

Result<void> Broker::open_log() {
  auto& registry = *registry_.as<shm::Registry>();
  topics_.emplace(
      Topics::Parts{.disk = *disk_,
                    .data = *data_,
                    .spares = *spares_,
                    .keeper = keeper_,
                    .sessions = *sessions_,
                    .registry = registry},
      TopicsOptions{
          .memory_max_bytes = config_.memory_max_bytes,
          .disk_max_bytes =
              config_.disk_max_bytes == 0 ? ~std::uint64_t{0} : config_.disk_max_bytes,
          .orphan_max_bytes = config_.orphan_max_bytes,
          .recovery_threads = std::max(kRecoveryThreads, std::thread::hardware_concurrency()),
          .producer_keep_ns = config_.producer_keep_ms * kMillisecond});
  topics_->on_trouble([](const std::string& sentence) { log_event(Level::kError, sentence, {}); });
  MALLBOTS_TRY(topics_->start(memory_kept_, [](const std::string& finding) {
    log_event(Level::kWarning, "recovery", {{"finding", finding}});
  }));
  registry.log_epoch = topics_->log_epoch();
  MALLBOTS_TRY(open_streams());
  auto rings = Rings::make({.keeper = keeper_,
                            .registry = registry,
                            .sessions = *sessions_,
                            .topics = *topics_,
                            .broker_eventfd = wake_.get()},
                           {.bytes_per_second = config_.ingest_rate_bytes});
  if (!rings) return std::unexpected(std::move(rings).error());
  rings_ = std::move(*rings);
  rings_->on_partition([this](Topic& topic, PartitionIndex partition) {
    return streams_->admission_of(topic, partition);
  });
  schedule_.emplace(
      Schedule::Parts{
          .disk = *disk_,
          .topics = *topics_,
          .say = [](const std::string& sentence) { log_event(Level::kError, sentence, {}); }},
      ScheduleOptions{.delay_max_ms = config_.delay_max_ms,
                      .pending_max = config_.delay_pending_max});
  MALLBOTS_TRY(schedule_->start());
  MALLBOTS_TRY(open_groups());
  MALLBOTS_TRY(rings_->restore());
  if (!memory_kept_) return {};
  topics_->wake_all();
  sessions_->ring_all();
  return {};
}

Result<void> Broker::open_groups() {
  auto& registry = *registry_.as<shm::Registry>();
  groups_.emplace(
      GroupDriver::Parts{.disk = *disk_,
                         .data = *data_,
                         .keeper = keeper_,
                         .sessions = *sessions_,
                         .topics = *topics_},
      CoordinatorOptions{.static_grace_ns = config_.group_static_grace_ms * kMillisecond,
                         .incarnation = registry.incarnation.load()});
  MALLBOTS_TRY(groups_->start(memory_kept_, boot_now_ns()));
  queues_.emplace(
      QueueDriver::Parts{.disk = *disk_,
                         .sessions = *sessions_,
                         .topics = *topics_,
                         .topic_made = [this](const Topic& topic) { groups_->topic_known(topic); }},
      QueuesOptions{.incarnation = registry.incarnation.load()});
  MALLBOTS_TRY(queues_->start(memory_kept_, boot_now_ns()));
  topics_->on_retention([this](TopicId topic, PartitionIndex partition) {
    const auto read = groups_->consumed(topic, partition);
    const auto done = queues_->consumed(topic, partition);
    return read && done ? std::min(read, done) : read ? read : done;
  });
  return {};
}

Result<void> Broker::open_streams() {
  streams_.emplace(EventStreams::Parts{.disk = *disk_,
                                       .data = *data_,
                                       .topics = *topics_,
                                       .memory_max_bytes = config_.memory_max_bytes});
  streams_->on_trouble([](const std::string& sentence) { log_event(Level::kError, sentence, {}); });
  const BootNanos begun = boot_now_ns();
  MALLBOTS_TRY(streams_->start([](const std::string& finding) {
    log_event(Level::kWarning, "recovery", {{"finding", finding}});
  }));
  if (streams_->streams() == 0) return {};
  log_event(Level::kInfo, "streams known",
            {{"streams", streams_->streams()},
             {"memory_bytes", streams_->memory_bytes()},
             {"records_read", streams_->records_read()},
             {"start_ms", (boot_now_ns() - begun) / kMillisecond}});
  return {};
}

Result<void> Broker::open_control(const RuntimeFolder& runtime) {
  const std::uint32_t incarnation = registry_.as<shm::Registry>()->incarnation.load();
  commands_.emplace(Commands::Parts{
      .config = config_,
      .facts = {.keeper_pid = keeper_pid_, .incarnation = incarnation, .started_ns = started_ns_},
      .disk = *disk_,
      .sessions = *sessions_,
      .topics = *topics_,
      .groups = *groups_,
      .rings = *rings_,
      .streams = *streams_,
      .schedule = *schedule_,
      .queues = *queues_});
  auto listener = open_listener(runtime.socket_path(), keeper_);
  if (!listener) return std::unexpected(std::move(listener).error());
  listener_ = std::move(*listener);
  const auto call = [this](Session& who, shm::MessageType type, std::uint32_t request_id,
                           std::span<const std::byte> body) {
    return commands_->call(who, type, request_id, body);
  };
  control_.emplace(
      ControlPlane::Parts{.sessions = *sessions_,
                          .poller = poller_,
                          .listener = listener_.get(),
                          .wake = wake_.get(),
                          .call = call},
      ControlPlane::Identity{.incarnation = incarnation, .log_epoch = topics_->log_epoch()});
  return control_->start();
}

Result<void> Broker::open_metrics() {
  if (config_.metrics_listen.empty()) return {};
  auto server = MetricsServer::start(config_.metrics_listen);
  if (!server) return std::unexpected(std::move(server).error());
  metrics_ = std::move(*server);
  log_event(Level::kInfo, "metrics served",
            {{"listen", config_.metrics_listen}, {"port", metrics_->port()}});
  return poller_.watch(metrics_->request_fd(), Source::kMetrics, 0);
}

Result<void> Broker::say_ready() {
  const auto dropped = keeper_.drop_rest();
  if (!dropped) return std::unexpected(dropped.error());
  MALLBOTS_TRY(keeper_.ready(note_of(*disk_)));
  log_event(Level::kInfo, "ready",
            {{"version", kVersion},
             {"incarnation", registry_.as<shm::Registry>()->incarnation.load()},
             {"memory_kept", memory_kept_},
             {"log_epoch", topics_->log_epoch()},
             {"topics", topics_->all().size()},
             {"sessions", sessions_->count()},
             {"start_ms", (boot_now_ns() - started_ns_) / kMillisecond},
             {"dropped", *dropped}});
  tell_service_manager(fmt::format("READY=1\nMAINPID={}\nSTATUS=serving", keeper_pid_));
  if (drain_at_once_) begin_drain("a predecessor died while draining");
  return {};
}

// Serving
// -----------------------------------------------------------------------------------------

int Broker::run() {
  while (state_ != State::kGone) run_once();
  return exit_code_;
}

void Broker::run_once() {
  ++turns_;
  const BootNanos now = boot_now_ns();
  for (const Event& event : events_) handle(event);
  const bool flushed = disk_->reap() > 0;
  hear_of_expelled();

  BootNanos next = INT64_MAX;
  if (state_ == State::kServing)
    // In this order: what the schedule delivers, the log persists.
    next = std::min(
        {schedule_->duty(now), topics_->duty(now), groups_->duty(now, flushed), queues_->duty()});
  else
    next = drain_once(now);
  if (state_ == State::kServing) streams_->duty(now);
  commands_->duty();
  next = std::min({next, sessions_->expel_absent(now), control_->duty(now)});
  // Before anybody asks for what they had; the duties then find what they left.
  if (hear_of_expelled()) next = now;
  if (state_ == State::kServing && !topics_->disk_full()) spares_->refill();
  disk_->kick();
  if (state_ != State::kGone) rest_until(next);
}

void Broker::rest_until(BootNanos next) {
  // Work that is due now gets it; work that arrives while the words are being set gets it, too.
  const bool due = next <= boot_now_ns();
  if (due || !topics_->park()) {
    events_ = poller_.wait(0);
    return;
  }
  events_ = poller_.wait(next);
  topics_->unpark();
}

void Broker::handle(const Event& event) {
  switch (event.source) {
    case Source::kSignals: {
      signalfd_siginfo info{};
      while (read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info))
        begin_drain(info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
      return;
    }
    case Source::kKeeper:
      poller_.forget(keeper_.fd());
      return begin_drain("the keeper is gone");
    case Source::kMetrics:
      return metrics_->answer(
          collect_metrics({.topics = *topics_,
                           .groups = *groups_,
                           .schedule = *schedule_,
                           .queues = *queues_,
                           .sessions = *sessions_,
                           .rings = *rings_,
                           .streams = *streams_,
                           .control = *control_,
                           .incarnation = registry_.as<shm::Registry>()->incarnation.load(),
                           .uptime_ns = boot_now_ns() - started_ns_,
                           .loop_turns = turns_}));
    case Source::kProcess:
      return end_dead_session(static_cast<SessionIndex>(event.id));
    case Source::kListener:
    case Source::kLobby:
    case Source::kSession:
      return control_->handle(event, boot_now_ns());
    case Source::kWake:  // a client appended: the duties look at every word anyway
    case Source::kDisk:  // reaped on every turn
      return;
  }
}

void Broker::end_dead_session(SessionIndex index) {
  Session* session = sessions_->find(index);
  if (session == nullptr || !is_dead(session->pidfd.get())) return;
  log_event(Level::kInfo, "session ended, its process is dead",
            {{"session", index}, {"pid", session->pid}, {"name", session->name}});
  CRASH_POINT("broker.session-died");
  rings_->session_ended(index, true);
  topics_->session_died(index);
  groups_->session_ended(index);
  queues_->session_ended(index);
  sessions_->end(index);
}

/// True if there were any.
bool Broker::hear_of_expelled() {
  const std::vector<SessionIndex> expelled = sessions_->take_expelled();
  for (const SessionIndex index : expelled) {
    rings_->session_ended(index, false);
    topics_->session_expelled(index);
    groups_->session_ended(index);
    queues_->session_ended(index);
  }
  return !expelled.empty();
}

// Draining
// -----------------------------------------------------------------------------------------

void Broker::begin_drain(const char* reason) {
  if (state_ != State::kServing) return;
  state_ = State::kDraining;
  drain_until_ = boot_now_ns() + config_.stop_limit_ms * kMillisecond;
  log_event(Level::kInfo, "draining", {{"reason", reason}, {"sessions", sessions_->count()}});
  tell_service_manager(fmt::format("STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC={}",
                                   (config_.stop_limit_ms + 5'000) * 1000));
  control_->stop_accepting();
  commands_->drain();
  queues_->drain();
}

/// When to be called again.
BootNanos Broker::drain_once(BootNanos now) {
  BootNanos next = now + kDrainReport;
  if (!log_drained_) log_drained_ = topics_->drain(now, next);
  const bool all =
      log_drained_ && streams_->drain(now) && groups_->drain(next) && disk_->in_flight() == 0;
  if (all) {
    CRASH_POINT("broker.drained");
    const auto clean = topics_->write_clean_mark();
    if (!clean) log_error(Level::kError, "clean stop not noted", clean.error());
    log_event(Level::kInfo, "drained", {{"uptime_ms", (now - started_ns_) / kMillisecond}});
    exit_code_ = clean ? 0 : static_cast<int>(ExitCode::kFailed);
    state_ = State::kGone;
  } else if (now >= drain_until_) {
    log_event(Level::kCritical, "draining took too long; what is not on disk is lost",
              {{"limit_ms", config_.stop_limit_ms}, {"in_flight", disk_->in_flight()}});
    exit_code_ = static_cast<int>(ExitCode::kFailed);
    state_ = State::kGone;
  }
  return std::min(next, drain_until_);
}

int run_broker(const Config& config, const RuntimeFolder& runtime, BrokerStart from_keeper) {
  start_event_log(config.log_level, "broker");
  auto broker = Broker::start(config, runtime, std::move(from_keeper));
  if (!broker) {
    fmt::print(stderr, "mallbotsd: {}\n", broker.error().sentence());
    return static_cast<int>(error_entry(broker.error().code).exit_code);
  }
  return (*broker)->run();
}

}  // namespace mallbots::broker
