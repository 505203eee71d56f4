// mall up: the broker, if none runs, and all services, kept running until SIGINT or SIGTERM.
#include <pthread.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "services/mall/children.h"
#include "services/mall/command.h"
#include "services/mall/metrics_page.h"
#include "services/mall/registry.h"
#include "services/mall/up_checks.h"
#include "services/runtime/rpc_server.h"

namespace mallbots::mall {
namespace {

/// A child that dies wakes us (SIGCHLD); one that is due to be started again does not.
constexpr std::int64_t kIdleMs = 5'000;
constexpr std::int64_t kBusyMs = 50;
constexpr std::string_view kBots = "bots";
constexpr const char* kTogether = "mall";  ///< the process that has all services

struct Options {
  Place place;
  bool separate = false;
  bool together = false;
  std::vector<std::string> only;
  std::vector<std::string> without;
  std::int64_t ready_s = 60;
  std::int64_t bots = 0;
  std::string speed;
  std::string map;
};

/// One run of the command.
class Mall {
 public:
  Mall(const Options& options, HostOptions where) : options_(options), where_(std::move(where)) {}

  [[nodiscard]] Done run();

 private:
  [[nodiscard]] Result<void> prepare();
  [[nodiscard]] bool broker_answers() const;
  [[nodiscard]] Result<void> start_broker();
  [[nodiscard]] Result<void> start_services();
  [[nodiscard]] Result<void> start_process(const std::string& name,
                                           const std::vector<std::string>& services);
  /// Tends the children until `condition` holds. Closed: a signal asked for the end.
  template <class Condition>
  [[nodiscard]] Result<void> wait_until(const std::string& what, const Condition& condition);
  [[nodiscard]] bool signal_came(std::int64_t wait_ms);
  [[nodiscard]] std::string address_of(const std::string& name) const;
  void show() const;
  void show_first_link(const std::string& address) const;
  [[nodiscard]] std::string log_of(const std::string& name) const {
    return where_.data_dir + "/log/" + name + ".log";
  }

  const Options& options_;
  HostOptions where_;
  std::vector<std::string> names_;
  sigset_t signals_{};
  Children children_;
};

Result<void> Mall::prepare() {
  for (const std::string& name : options_.only)
    if (std::ranges::find(registry(), name, &Entry::name) == registry().end())
      return fail(ErrorCode::kBadArgument, "there is no service '" + name + "'");
  const auto is_in = [](const std::vector<std::string>& names, std::string_view name) {
    return std::ranges::find(names, name) != names.end();
  };
  // A mall has robots of its own, unless simulated ones are asked for.
  const bool has_bots = options_.bots > 0 || is_in(options_.only, kBots);
  for (const Entry& entry : registry())
    if ((options_.only.empty() || is_in(options_.only, entry.name) || entry.name == kBots) &&
        (entry.name != kBots || has_bots) && !is_in(options_.without, entry.name))
      names_.emplace_back(entry.name);
  if (names_.empty()) return fail(ErrorCode::kBadArgument, "no service is left to run");
  MALLBOTS_TRY(check_before_start({names_, options_.separate, where_.settings}));
  std::error_code refused;
  std::filesystem::create_directories(where_.data_dir + "/log", refused);
  if (refused)
    return fail(ErrorCode::kIo, "folder '" + where_.data_dir + "/log': " + refused.message());
  for (const std::string& name : names_)  // of the run before
    for (const std::string& of : {name, "metrics." + name})
      std::filesystem::remove(where_.socket_dir + "/" + of + ".address", refused);
  std::filesystem::remove(where_.socket_dir + "/metrics." + kTogether + ".address", refused);
  return {};
}

bool Mall::broker_answers() const {
  return client::Connection::open({.instance = where_.instance,
                                   .runtime_dir = where_.runtime_dir,
                                   .name = "mall up",
                                   .reconnect_timeout_ms = 1'000})
      .has_value();
}

Result<void> Mall::start_broker() {
  if (broker_answers()) return {};
  const std::string log = log_of("mallbotsd");
  MALLBOTS_TRY(
      children_.start({"mallbotsd",
                       {program("mallbotsd"), "--instance", where_.instance, "--runtime-dir",
                        where_.runtime_dir, "--data-dir", where_.data_dir + "/broker"},
                       log}));
  return wait_until("the broker", [this] { return broker_answers(); });
}

Result<void> Mall::start_process(const std::string& name,
                                 const std::vector<std::string>& services) {
  std::vector<std::string> words{
      program("mall"),     "run",        "--instance",    where_.instance, "--runtime-dir",
      where_.runtime_dir,  "--data-dir", where_.data_dir, "--socket-dir",  where_.socket_dir,
      "--ends-with-parent"};
  auto settings = where_.settings;
  if (const auto port = settings.find("metrics.port");
      port != settings.end() && name != kTogether) {
    const auto own = metrics_port_of(name, port->second);
    if (!own) return std::unexpected(own.error());
    port->second = *own;
  }
  for (const auto& [key, value] : settings)
    words.insert(words.end(), {"--set", std::string{key}.append("=").append(value)});
  words.insert(words.end(), services.begin(), services.end());
  return children_.start({name, std::move(words), log_of(name)});
}

Result<void> Mall::start_services() {
  if (!options_.separate) {
    MALLBOTS_TRY(start_process(kTogether, names_));
  } else {
    for (const std::string& name : names_) MALLBOTS_TRY(start_process(name, {name}));
  }
  for (const std::string& name : names_)
    MALLBOTS_TRY(wait_until("service '" + name + "'",
                            [&] { return RpcServer::is_serving(where_.socket_dir, name); }));
  return {};
}

bool Mall::signal_came(std::int64_t wait_ms) {
  const timespec patience{wait_ms / 1'000, wait_ms % 1'000 * 1'000'000};
  const int signal = sigtimedwait(&signals_, nullptr, &patience);
  return signal == SIGINT || signal == SIGTERM;
}

template <class Condition>
Result<void> Mall::wait_until(const std::string& what, const Condition& condition) {
  const Deadline patience = Deadline::after_ms(options_.ready_s * 1'000);
  while (!condition()) {
    if (const auto failed = children_.tend())
      return fail(ErrorCode::kRefused, *failed + " ended: " + last_line(log_of(*failed)));
    if (patience.has_passed())
      return fail(ErrorCode::kTimeout, what + " is not ready after " +
                                           std::to_string(options_.ready_s) +
                                           " s; the logs are in " + where_.data_dir + "/log");
    if (signal_came(100)) return fail(ErrorCode::kClosed, "asked to end");
  }
  return {};
}

void Mall::show_first_link(const std::string& address) const {
  const auto token = first_link(where_);
  if (!token) {
    std::cerr << "mall: " << token.error().sentence() << '\n';
  } else if (*token) {
    std::cout << "  staff sign in, once, within 15 minutes:  " << address << "#link=" << **token
              << '\n';
  }
}

/// Empty: it has published none.
std::string Mall::address_of(const std::string& name) const {
  std::ifstream file{where_.socket_dir + "/" + name + ".address"};
  std::string address;
  std::getline(file, address);
  return address;
}

void Mall::show() const {
  std::cout << "The mall is open: " << names_.size() << " services in "
            << (options_.separate ? names_.size() : 1) << " process"
            << (options_.separate ? "es" : "") << ", logs in " << where_.data_dir << "/log\n";
  for (const std::string& name : names_) {
    const std::string address = address_of(name);
    if (address.empty()) continue;
    std::cout << "  " << name << "  " << address << '\n';
    if (name == "admin") show_first_link(address);
  }
  const bool has_name = options_.separate || names_.size() == 1;  // `mall run` names itself so
  for (const std::string& name : has_name ? names_ : std::vector<std::string>{kTogether})
    if (const std::string address = address_of("metrics." + name); !address.empty())
      std::cout << "  metrics of " << name << "  " << address << '\n';
  std::cout << "Ctrl-C closes it.\n" << std::flush;
}

Done Mall::run() {
  sigemptyset(&signals_);
  for (const int signal : {SIGINT, SIGTERM, SIGCHLD}) sigaddset(&signals_, signal);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  MALLBOTS_TRY(prepare());
  const Result<void> started = [this]() -> Result<void> {
    MALLBOTS_TRY(start_broker());
    return start_services();
  }();
  if (!started && started.error().code == ErrorCode::kClosed) return {};
  MALLBOTS_TRY(started);
  show();
  std::size_t restarts = 0;
  while (!signal_came(children_.all_run() ? kIdleMs : kBusyMs)) {
    const auto failed = children_.tend();
    if (failed)
      std::cerr << "mall: " << *failed << " ended: " << last_line(log_of(*failed)) << '\n';
    if (children_.restarts() != restarts)
      std::cerr << "mall: " << (restarts = children_.restarts()) << " restarts so far\n";
  }
  std::cout << "Closing.\n" << std::flush;
  children_.end();
  return {};
}

Done up(const Options& options) {
  if (options.separate && options.together)
    return fail(ErrorCode::kBadArgument, "--together and --separate exclude each other");
  auto where = options.place.host_options("mall up");
  if (!where) return std::unexpected(std::move(where).error());
  if (options.bots > 0) where->settings["bots.count"] = std::to_string(options.bots);
  if (!options.speed.empty()) where->settings["bots.speed"] = options.speed;
  if (!options.map.empty())
    where->settings["bots.map"] = std::filesystem::absolute(options.map).string();
  return Mall{options, *std::move(where)}.run();
}

}  // namespace

void add_up_command(CLI::App& mall, Done& done) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *mall.add_subcommand("up", "the whole mall, kept running");
  options->place.add_options(command);
  command.add_flag("--together", options->together, "all services in one process (the usual way)");
  command.add_flag("--separate", options->separate, "each service in a process of its own");
  command.add_option("--only", options->only, "these services, not all")->delimiter(',');
  command.add_option("--without", options->without, "all services but these")->delimiter(',');
  command.add_option("--bots", options->bots, "this many simulated robots")
      ->check(CLI::Range(0, 100'000));
  command.add_option("--speed", options->speed, "of the robots, as a multiple of life's (1)");
  command.add_option("--map", options->map, "their floor, in the MovingAI format")->envname("MAP");
  command.add_option("--ready-s", options->ready_s, "how long a start may take, in seconds")
      ->capture_default_str();
  command.footer(
      "Starts mallbotsd if no broker answers, then the services; one that dies is started again.\n"
      "Ends all that it started on SIGINT and SIGTERM. Examples:\n"
      "  mall up\n"
      "  mall up --bots 20 --speed 10\n"
      "  mall up --separate --instance test --data-dir /tmp/mall --set kiosk.port=8080\n"
      "  mall up --set traces.file=/tmp/mall.traces.jsonl");
  command.callback([options, &done] { done = up(*options); });
}

}  // namespace mallbots::mall
