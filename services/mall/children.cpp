#include "services/mall/children.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <ranges>

#include "clients/toolkit/clock.h"

extern char** environ;

namespace mallbots::mall {
namespace {

constexpr std::int64_t kFirstWaitMs = 100;
constexpr std::int64_t kLongestWaitMs = 5'000;
constexpr BootNanos kLongEnoughNs = 10 * kSecond;
constexpr BootNanos kLookNs = 10 * kMillisecond;

/// Attributes and file actions of one start.
class SpawnSettings {
 public:
  SpawnSettings() {
    posix_spawnattr_init(&attributes_);
    posix_spawn_file_actions_init(&actions_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    posix_spawnattr_destroy(&attributes_);
    posix_spawn_file_actions_destroy(&actions_);
  }
  void prepare(const std::string& log_file) {
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions_, 1, log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                     0600);
    posix_spawn_file_actions_adddup2(&actions_, 1, 2);
  }
  [[nodiscard]] const posix_spawnattr_t* attributes() const noexcept { return &attributes_; }
  [[nodiscard]] const posix_spawn_file_actions_t* actions() const noexcept { return &actions_; }

 private:
  posix_spawnattr_t attributes_{};
  posix_spawn_file_actions_t actions_{};
};

}  // namespace

Children::~Children() { end(); }

Result<pid_t> Children::spawn(const ChildPlan& plan) {
  SpawnSettings settings;
  settings.prepare(plan.log_file);
  std::vector<char*> words;
  for (const std::string& word : plan.words) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_t pid = 0;
  const int refused = posix_spawnp(&pid, words.front(), settings.actions(), settings.attributes(),
                                   words.data(), environ);
  if (refused != 0)
    return fail(ErrorCode::kIo, "cannot start '" + plan.words.front() + "' with its log '" +
                                    plan.log_file + "': " + std::strerror(refused));
  return pid;
}

Result<void> Children::start(ChildPlan plan) {
  const auto pid = spawn(plan);
  if (!pid) return std::unexpected(pid.error());
  children_.push_back({.plan = std::move(plan), .pid = *pid, .began_ns = boot_now_ns()});
  return {};
}

void Children::took_in(Child& child) {
  const BootNanos now = boot_now_ns();
  child.pid = 0;
  child.wait_ms = now - child.began_ns > kLongEnoughNs
                      ? 0
                      : std::clamp(child.wait_ms * 2, kFirstWaitMs, kLongestWaitMs);
  child.due_ns = now + child.wait_ms * kMillisecond;
}

std::optional<std::string> Children::tend() {
  std::optional<std::string> failed;
  for (Child& child : children_) {
    int status = 0;
    if (child.pid != 0 && waitpid(child.pid, &status, WNOHANG) == child.pid) {
      if (WIFEXITED(status) && WEXITSTATUS(status) != 0) failed = child.plan.name;
      took_in(child);
    }
    if (child.pid != 0 || child.due_ns > boot_now_ns()) continue;
    const auto pid = spawn(child.plan);
    child.began_ns = boot_now_ns();
    if (!pid) {
      took_in(child);
      continue;
    }
    child.pid = *pid;
    ++restarts_;
  }
  return failed;
}

bool Children::all_run() const noexcept {
  return std::ranges::all_of(children_, [](const Child& child) { return child.pid != 0; });
}

void Children::end(std::int64_t grace_ms) {
  for (Child& child : children_ | std::views::reverse) {
    if (child.pid == 0) continue;
    ::kill(child.pid, SIGTERM);
    const Deadline patience = Deadline::after_ms(grace_ms);
    while (waitpid(child.pid, nullptr, WNOHANG) == 0) {
      if (patience.has_passed()) {
        ::kill(child.pid, SIGKILL);
        waitpid(child.pid, nullptr, 0);
        break;
      }
      static_cast<void>(toolkit::system_clock().pause_until(boot_now_ns() + kLookNs, {}));
    }
    child.pid = 0;
  }
  children_.clear();
}

std::string program(const std::string& name) {
  std::error_code gone;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", gone);
  const auto beside = self.parent_path() / name;
  return !gone && std::filesystem::exists(beside, gone) ? beside.string() : name;
}

std::string last_line(const std::string& file) {
  std::ifstream text{file};
  std::string last;
  for (std::string line; std::getline(text, line);)
    if (!line.empty()) last = std::move(line);
  return last;
}

}  // namespace mallbots::mall
