#include "tests/soak/soak.h"

#include <signal.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <thread>

#include "clients/admin.h"
#include "tests/soak/cast.h"

namespace mallbots::test {
namespace {

constexpr std::uint32_t kPartitions = 4;
constexpr int kGroups = 2;
constexpr std::int64_t kDrainsWithinMs = 120'000;

/// A kind of topic that takes part, and who works on it.
struct TopicKind {
  const char* name;
  std::vector<client::TopicSetting> settings;
  std::vector<std::pair<const char*, int>> parties;  ///< role, how many
};

const std::vector<TopicKind>& topic_kinds() {
  static const std::vector<client::TopicSetting> kSmall{
      {"slot.bytes", "256KiB"}, {"segment.bytes", "4MiB"}, {"stall.limit", "200ms"}};
  const auto and_also = [](std::vector<client::TopicSetting> settings,
                           const client::TopicSetting& more) {
    settings.push_back(more);
    return settings;
  };
  static const std::vector<TopicKind> kKinds{
      {"log",
       kSmall,
       {{"producer", 3}, {"named", 2}, {"postponer", 1}, {"reader", 2}, {"member", 4}}},
      {"sequenced",
       and_also(kSmall, {"ingest", "sequenced"}),
       {{"producer", 2}, {"reader", 1}, {"member", 2}}},
      {"queue", kSmall, {{"producer", 2}, {"postponer", 1}, {"queuer", 5}}},
      {"events",
       and_also(kSmall, {"type", "events"}),
       {{"appender", 3}, {"browser", 1}, {"reader", 1}, {"member", 2}}},
  };
  return kKinds;
}

class Soak {
 public:
  explicit Soak(const SoakOptions& options)
      : options_(options),
        daemon_({.process = {.limit_s = options.seconds + 900}}),
        history_(daemon_.folder() / "history"),
        dice_(options.seed),
        cast_(daemon_, history_, options.seed, options.sabotage) {
    std::filesystem::create_directory(history_);
  }

  SoakOutcome run() {
    if (daemon_.start() && begin()) {
      hurt();
      calm_down();
      drain();
      audit();
    } else {
      cast_.find("the soak could not begin: " + daemon_.log());
    }
    return judge();
  }

 private:
  int roll(int below) { return static_cast<int>(dice_() % static_cast<unsigned>(below)); }
  /// Between the two, small ones as often as large ones.
  BootNanos some_ms(double least, double most) {
    const double part = static_cast<double>(dice_()) / static_cast<double>(dice_.max());
    return static_cast<BootNanos>(least * std::pow(most / least, part) * kMillisecond);
  }

  [[nodiscard]] std::unique_ptr<client::Connection> connect() {
    auto opened = client::Connection::open({.runtime_dir = daemon_.runtime_dir(), .name = "soak"});
    if (opened) return std::move(*opened);
    cast_.find("connect: " + opened.error().sentence());
    return nullptr;
  }

  bool begin();
  void hurt();
  void hurt_somebody();
  void hurt_broker();
  void tend_broker();
  void restart();
  void calm_down();
  void drain();
  [[nodiscard]] bool has_drained(client::Admin& admin, const std::string& topic,
                                 const std::string& group);
  void audit();
  SoakOutcome judge();
  void keep_log() {
    std::ofstream{daemon_.folder() / "daemon.log", std::ios::app} << daemon_.log();
  }

  SoakOptions options_;
  Daemon daemon_;
  std::string history_;
  std::mt19937 dice_;
  Cast cast_;
  BootNanos broker_goes_on_ns_ = 0;
  std::size_t tries_ = 0;  ///< of a keeper that had given up
};

bool Soak::begin() {
  const auto connection = connect();
  if (!connection) return false;
  for (const TopicKind& kind : topic_kinds()) {
    const auto made =
        client::Admin{*connection}.create_topic(kind.name, kPartitions, kind.settings);
    if (!made) {
      cast_.find(made.error().sentence());
      return false;
    }
    for (const auto& [role, count] : kind.parties)
      for (int i = 0; i < count; ++i)
        cast_.add(role, {kind.name, std::string{kind.name} + "-" + std::to_string(i % kGroups)});
  }
  return true;
}

void Soak::hurt() {
  const Deadline end = Deadline::after_ms(static_cast<std::int64_t>(options_.seconds * 1000));
  BootNanos now = boot_now_ns();
  BootNanos somebody = now + some_ms(50, 500);
  BootNanos broker = now + some_ms(1'000, 5'000);
  BootNanos everything = now + some_ms(8'000, 60'000);
  for (; !end.has_passed() && cast_.findings().empty(); now = boot_now_ns()) {
    cast_.go_on(now);
    tend_broker();
    if (now >= somebody) {
      hurt_somebody();
      somebody = now + some_ms(20, 800);
    }
    if (now >= broker) {
      hurt_broker();
      broker = now + some_ms(500, 8'000);
    }
    if (now >= everything) {
      restart();
      everything = boot_now_ns() + some_ms(15'000, 90'000);
    }
    cast_.look_for_dead();
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
}

void Soak::hurt_somebody() {
  auto& parties = cast_.parties();
  Party& party = parties[static_cast<std::size_t>(roll(static_cast<int>(parties.size())))];
  if (roll(2) == 0)
    cast_.replace(party);
  else
    cast_.stop(party, some_ms(5, 4'000));
}

void Soak::hurt_broker() {
  if (broker_goes_on_ns_ != 0) return;
  if (roll(2) == 0) {
    cast_.note("kill broker SIGKILL");
    daemon_.signal_broker(SIGKILL);
  } else {
    cast_.note("kill broker SIGSTOP");
    daemon_.signal_broker(SIGSTOP);
    broker_goes_on_ns_ = boot_now_ns() + some_ms(5, 2'000);
  }
}

/// Wakes a stopped one, and lets a keeper that has seen too many deaths go on.
void Soak::tend_broker() {
  if (broker_goes_on_ns_ != 0 && boot_now_ns() >= broker_goes_on_ns_) {
    daemon_.signal_broker(SIGCONT);
    broker_goes_on_ns_ = 0;
  }
  if (daemon_.broker_pid() != 0) return;
  const std::string log = daemon_.log();
  std::size_t given_up = 0;
  for (auto at = log.find("broker died too often"); at != std::string::npos;
       at = log.find("broker died too often", at + 1))
    ++given_up;
  if (given_up <= tries_) return;
  tries_ = given_up;
  daemon_.process().send(SIGUSR1);
}

void Soak::restart() {
  daemon_.signal_broker(SIGCONT);
  broker_goes_on_ns_ = 0;
  const BootNanos since = boot_now_ns();
  while (daemon_.broker_pid() == 0 && boot_now_ns() - since < 10 * kSecond) {
    tend_broker();
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  cast_.note("kill daemon SIGTERM");
  const Ended ended = daemon_.stop();
  keep_log();
  if (ended.exit_code != 0) cast_.find("the daemon did not end well: " + daemon_.log());
  tries_ = 0;
  if (!daemon_.start()) cast_.find("the daemon did not start again: " + daemon_.log());
  cast_.note("restarted " + std::to_string(since));
}

void Soak::calm_down() {
  cast_.go_on();
  daemon_.signal_broker(SIGCONT);
  broker_goes_on_ns_ = 0;
  const Deadline patience = Deadline::after_ms(20'000);
  while (daemon_.broker_pid() == 0 && !patience.has_passed()) {
    tend_broker();
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  cast_.end({"producer", "named", "postponer", "appender"});
  const auto connection = connect();
  bool waits = connection != nullptr;
  for (const Deadline due = Deadline::after_ms(kDrainsWithinMs); waits && !due.has_passed();) {
    waits = false;
    const auto listed = client::Admin{*connection}.list_delayed({}, [&waits](const auto&) {
      waits = true;
      return false;
    });
    if (!listed) waits = true;
    if (waits) std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
  if (waits) cast_.find("delayed records were not delivered");
}

bool Soak::has_drained(client::Admin& admin, const std::string& topic, const std::string& group) {
  const auto partitions = admin.describe_group(group);
  if (!partitions) return false;
  std::size_t done = 0;
  for (const auto& one : *partitions)
    if (one.topic == topic && (one.lag == 0 || one.end_offset == 0)) ++done;
  if (done < kPartitions) return false;
  for (const auto& one : *partitions)
    if (one.topic == topic)
      cast_.note("drained " + topic + ' ' + group + ' ' + std::to_string(one.partition) + ' ' +
                 std::to_string(one.current_offset.value_or(0)));
  return true;
}

void Soak::drain() {
  const auto connection = connect();
  if (!connection) return;
  client::Admin admin{*connection};
  for (const TopicKind& kind : topic_kinds())
    for (int i = 0; i < kGroups; ++i) {
      const std::string group = std::string{kind.name} + "-" + std::to_string(i);
      const Deadline patience = Deadline::after_ms(kDrainsWithinMs);
      bool done = false;
      while (!done && !patience.has_passed() && cast_.findings().empty()) {
        cast_.look_for_dead();
        done = has_drained(admin, kind.name, group);
        if (!done) std::this_thread::sleep_for(std::chrono::milliseconds{20});
      }
      if (!done) cast_.find(group + " never came to the end of " + kind.name);
    }
  cast_.end({"reader", "member", "queuer", "browser"});
}

void Soak::audit() {
  for (int round = 0; round < 2; ++round) {
    if (round == 1) restart();
    for (const TopicKind& kind : topic_kinds()) cast_.run("auditor", {kind.name});
    cast_.run("archivist", {"events"});
  }
  const Ended ended = daemon_.stop();
  if (ended.exit_code != 0) cast_.find("the daemon did not end well");
  const Finished verified =
      test::run({binary("mallbots"), "verify", "--deep", "--data-dir", daemon_.data_dir()});
  if (verified.ended.exit_code != 0)
    cast_.find("verify --deep ended with " + std::to_string(verified.ended.exit_code) + ": " +
               verified.output + verified.errors);
}

SoakOutcome Soak::judge() {
  SoakOutcome outcome;
  keep_log();
  for (Party& party : cast_.parties()) party.process.reset();
  if (const auto history = load_history(history_))
    outcome.verdict = check(*history);
  else
    cast_.find(history.error().sentence());
  outcome.failures = cast_.findings();
  if (!outcome.good()) {
    daemon_.keep_folder();
    outcome.kept = daemon_.folder().path();
  }
  return outcome;
}

}  // namespace

SoakOutcome run_soak(const SoakOptions& options) { return Soak{options}.run(); }

std::string SoakOutcome::report() const {
  std::string text = test::report(verdict);
  for (const std::string& failure : failures) text += "failure: " + failure + '\n';
  if (kept.empty()) return text;
  const std::string folder = kept.string();
  return text + "kept: " + folder + "\n  the findings again:  history_check " + folder +
         "/history\n  one record's life:   grep -hw VALUE " + folder +
         "/history/* | sort -n\n  the log on disk:     mallbots verify --deep --data-dir " +
         folder + "/data\n  the daemon's words:  less " + folder + "/daemon.log\n";
}

}  // namespace mallbots::test
