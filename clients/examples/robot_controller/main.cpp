// A robot's control loop on MallBots: 100 poses a second, each with try_append (no waiting, no
// allocation), commands read as a group of one, lateness printed at the end.
//
//   robot_controller [--runtime-dir DIR] [--seconds S] [--rate HZ]
//
// The loop's thread runs under SCHED_FIFO with its memory locked where that is allowed. What needs
// the broker's answer happens behind the pose of a cycle, in tend() and poll().

#include <sched.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "clients/admin.h"
#include "clients/consumer.h"
#include "clients/producer.h"

namespace {

using namespace mallbots;

struct Options {
  std::string runtime_dir;
  double seconds = 5;
  double rate_hz = 100;
};

/// What goes into a record, byte for byte.
struct Pose {
  std::int64_t boot_ns;
  double x_m;
  double y_m;
  double heading_rad;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--runtime-dir") options.runtime_dir = argv[i + 1];
    if (name == "--seconds") options.seconds = std::stod(argv[i + 1]);
    if (name == "--rate") options.rate_hz = std::stod(argv[i + 1]);
  }
  return options;
}

/// Ticks at a fixed rate, whatever the loop's body takes.
class Ticker {
 public:
  explicit Ticker(double rate_hz)
      : period_ns_(static_cast<BootNanos>(1e9 / rate_hz)), due_ns_(boot_now_ns() + period_ns_) {
    fd_ = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
    const itimerspec at{.it_interval = to_timespec(period_ns_), .it_value = to_timespec(due_ns_)};
    timerfd_settime(fd_, TFD_TIMER_ABSTIME, &at, nullptr);
  }
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;
  ~Ticker() { close(fd_); }

  /// Waits for the next tick; how late the loop was woken.
  BootNanos wait() {
    std::uint64_t ticks = 0;
    if (read(fd_, &ticks, sizeof ticks) != sizeof ticks) return 0;
    const BootNanos late =
        boot_now_ns() - (due_ns_ + static_cast<BootNanos>(ticks - 1) * period_ns_);
    due_ns_ += static_cast<BootNanos>(ticks) * period_ns_;
    return late;
  }

 private:
  static timespec to_timespec(BootNanos ns) {
    return {.tv_sec = ns / kSecond, .tv_nsec = ns % kSecond};
  }
  int fd_ = -1;
  BootNanos period_ns_;
  BootNanos due_ns_;
};

void become_real_time() {
  const sched_param priority{.sched_priority = 50};
  const bool fifo = sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
  const bool locked = mlockall(MCL_CURRENT) == 0;
  std::printf("scheduling: %s, memory %s\n", fifo ? "SCHED_FIFO 50" : "normal (SCHED_FIFO refused)",
              locked ? "locked" : "not locked");
}

void print_distribution(const char* what, std::vector<BootNanos>& values) {
  if (values.empty()) return;
  std::sort(values.begin(), values.end());
  const auto at = [&](double part) {
    return static_cast<double>(
               values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))]) /
           1e3;
  };
  std::printf("%s_us p50=%.1f p99=%.1f max=%.1f\n", what, at(0.5), at(0.99), at(1.0));
}

/// The first error ends the program, as a sentence.
template <class T>
T need(Result<T> result) {
  if (result) {
    if constexpr (!std::is_void_v<T>)
      return std::move(*result);
    else
      return;
  }
  std::fprintf(stderr, "robot_controller: %s\n", result.error().sentence().c_str());
  std::exit(static_cast<int>(error_entry(result.error().code).exit_code));
}

void create_if_missing(client::Connection& connection, const std::string& topic) {
  const auto created = client::Admin{connection}.create_topic(topic, 1, {{"class", "small"}});
  if (!created && created.error().code != ErrorCode::kTopicExists)
    need<client::CreatedTopic>(created);
}

int run(const Options& options) {
  const auto connection =
      need(client::Connection::open({.runtime_dir = options.runtime_dir, .name = "robot 2"}));
  create_if_missing(*connection, "poses");
  create_if_missing(*connection, "commands");
  const auto poses = need(client::Producer::open(*connection, "poses"));
  need(poses->prepare());
  // A robot acts on commands at once; positions are kept, so none is missed or done twice.
  const auto commands =
      need(client::Consumer::open(*connection, {.read = client::ReadLevel::kCommitted,
                                                .auto_commit = client::AutoCommit::kOnPoll}));
  const std::string topics[] = {"commands"};
  need(commands->subscribe(topics, "robot 2"));

  const auto cycles = static_cast<std::size_t>(options.seconds * options.rate_hz);
  std::vector<BootNanos> lateness;
  std::vector<BootNanos> append_ns;
  lateness.reserve(cycles);
  append_ns.reserve(cycles);
  std::uint64_t missed = 0;
  std::uint64_t obeyed = 0;
  double speed = 0.5;
  Pose pose{};
  become_real_time();
  Ticker ticker{options.rate_hz};
  for (std::size_t i = 0; i < cycles; ++i) {
    lateness.push_back(ticker.wait());
    pose.heading_rad = std::fmod(pose.heading_rad + 0.01 * speed, 6.283);
    pose.x_m += 0.01 * speed * std::cos(pose.heading_rad);
    pose.y_m += 0.01 * speed * std::sin(pose.heading_rad);
    pose.boot_ns = boot_now_ns();
    const auto sent = poses->try_append({.payload = std::as_bytes(std::span{&pose, 1})});
    append_ns.push_back(boot_now_ns() - pose.boot_ns);
    if (!sent) ++missed;

    if (const auto batch = commands->poll(Deadline::passed(), 16)) {
      for (const client::Message& command : *batch) {
        if (command.text() == "stop") speed = 0;
        if (command.text() == "go") speed = 0.5;
        ++obeyed;
      }
    }
    // A broker that is away is no reason to stop driving.
    static_cast<void>(poses->tend());
  }
  std::printf("poses=%zu missed=%llu commands=%llu x=%.2f y=%.2f\n", cycles,
              static_cast<unsigned long long>(missed), static_cast<unsigned long long>(obeyed),
              pose.x_m, pose.y_m);
  print_distribution("lateness", lateness);
  print_distribution("try_append", append_ns);
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return run(parse(argc, argv)); }
