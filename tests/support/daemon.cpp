#include "tests/support/daemon.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "shm/base/clock.h"
#include "shm/region/fd.h"

namespace mallbots::test {

Daemon::Daemon(DaemonOptions options) : options_(std::move(options)) {
  if (!options_.config.empty()) std::ofstream(folder_ / "config.toml") << options_.config;
  if (options_.process.run_as != 0)
    static_cast<void>(chown(folder_.path().c_str(), options_.process.run_as, 0));
}

std::vector<std::string> Daemon::command() const {
  std::vector<std::string> words{binary("mallbotsd"), "--data-dir", data_dir(), "--runtime-dir",
                                 runtime_dir()};
  if (!options_.config.empty()) words.insert(words.end(), {"--config", folder_ / "config.toml"});
  words.insert(words.end(), options_.arguments.begin(), options_.arguments.end());
  return words;
}

void Daemon::launch() {
  process_.reset();
  process_ = Process::start(command(), options_.process);
}

bool Daemon::start() {
  launch();
  return ready();
}

std::size_t Daemon::times_ready() const {
  const std::string text = log();
  std::size_t count = 0;
  for (auto at = text.find(" ready version="); at != std::string::npos;
       at = text.find(" ready version=", at + 1))
    ++count;
  return count;
}

bool Daemon::ready(std::size_t nth) const {
  return eventually([&] { return times_ready() >= nth || !process_->running(); }, 30) &&
         times_ready() >= nth;
}

Ended Daemon::stop(double limit_s) {
  process_->send(SIGTERM);
  return process_->wait(limit_s);
}

pid_t Daemon::broker_pid() const {
  const auto children = children_of(keeper_pid());
  return children.empty() ? 0 : children.front();
}

void Daemon::signal_broker(int signal) const {
  const pid_t pid = broker_pid();
  if (pid == 0) return;
  const shm::UniqueFd pidfd{static_cast<int>(syscall(SYS_pidfd_open, pid, 0))};
  if (pidfd) syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0);
}

bool Daemon::stop_broker() {
  signal_broker(SIGSTOP);
  const std::filesystem::path tasks = "/proc/" + std::to_string(broker_pid()) + "/task";
  const auto stands = [](const std::filesystem::directory_entry& task) {
    std::ifstream stat{task.path() / "stat"};
    std::string pid;
    std::string name;
    std::string state;
    return stat >> pid >> name >> state && state == "T";
  };
  for (const Deadline patience = Deadline::after_ms(10'000); !patience.has_passed();) {
    std::error_code gone;
    const std::filesystem::directory_iterator threads{tasks, gone};
    if (gone) return false;
    if (std::ranges::all_of(threads, stands)) return true;
    std::this_thread::yield();
  }
  return false;
}

bool Daemon::kill_broker() {
  const std::size_t before = times_ready();
  signal_broker(SIGKILL);
  return ready(before + 1);
}

}  // namespace mallbots::test
