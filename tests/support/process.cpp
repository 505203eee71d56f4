#include "tests/support/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "shm/base/check.h"
#include "shm/base/clock.h"

namespace mallbots::test {
namespace {

/// What the child turns into after fork; only calls that are safe there.
struct Stage {
  int input;
  int output;
  int errors;
  uid_t run_as;
};

void become_child(const Stage& stage) {
  setpgid(0, 0);
  dup2(stage.input, STDIN_FILENO);
  dup2(stage.output, STDOUT_FILENO);
  dup2(stage.errors, STDERR_FILENO);
  if (stage.run_as != 0 && (setresgid(stage.run_as, stage.run_as, stage.run_as) != 0 ||
                            setresuid(stage.run_as, stage.run_as, stage.run_as) != 0))
    _exit(126);
  prctl(PR_SET_DUMPABLE, 1);  // a changed user hides /proc/self from itself otherwise
}

/// Every process gets its own file description, so that two readers do not share a position.
shm::UniqueFd memory_file(const char* name) {
  shm::UniqueFd fd{memfd_create(name, MFD_CLOEXEC)};
  CHECK(fd);
  return fd;
}

std::string content_of(int fd) {
  std::string text;
  char piece[65536];
  for (;;) {
    const ssize_t got = pread(fd, piece, sizeof piece, static_cast<off_t>(text.size()));
    if (got <= 0) return text;
    text.append(piece, static_cast<std::size_t>(got));
  }
}

bool wait_readable(int fd, double limit_s) {
  const Deadline deadline = Deadline::after_ms(static_cast<std::int64_t>(limit_s * 1000));
  for (;;) {
    pollfd item{fd, POLLIN, 0};
    const auto left = deadline.remaining_ns() / kMillisecond;
    const int ready = poll(&item, 1, static_cast<int>(left) + (deadline.has_passed() ? 0 : 1));
    if (ready > 0) return true;
    if (ready == 0 && deadline.has_passed()) return false;
  }
}

}  // namespace

Process Process::start(const std::vector<std::string>& arguments, const ProcessOptions& options) {
  std::vector<char*> words;
  for (const std::string& argument : arguments)
    words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  return call(
      [&words] {
        execvp(words[0], words.data());
        return 127;
      },
      options);
}

Process Process::call(const std::function<int()>& body, const ProcessOptions& options) {
  Process process;
  process.output_ = memory_file("output");
  process.errors_ = memory_file("errors");
  const shm::UniqueFd input = memory_file("input");
  CHECK(write(input.get(), options.input.data(), options.input.size()) ==
        static_cast<ssize_t>(options.input.size()));
  CHECK(lseek(input.get(), 0, SEEK_SET) == 0);
  fcntl(process.output_.get(), F_SETFL, O_APPEND);
  fcntl(process.errors_.get(), F_SETFL, O_APPEND);
  const Stage stage{input.get(), process.output_.get(), process.errors_.get(), options.run_as};
  process.pid_ = fork();
  CHECK(process.pid_ >= 0);
  if (process.pid_ == 0) {
    become_child(stage);
    for (const auto& [name, value] : options.environment) setenv(name.c_str(), value.c_str(), 1);
    _exit(body());
  }
  setpgid(process.pid_, process.pid_);  // both sides: whoever comes first
  process.pidfd_ = shm::UniqueFd{static_cast<int>(syscall(SYS_pidfd_open, process.pid_, 0))};
  CHECK(process.pidfd_);
  process.start_watchdog(options.limit_s);
  return process;
}

void Process::start_watchdog(double limit_s) {
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  leash_ = shm::UniqueFd{ends[1]};
  const std::string bark =
      fmt::format("watchdog: process {} ran for {} s and is killed\n", pid_, limit_s);
  watchdog_ = fork();
  CHECK(watchdog_ >= 0);
  if (watchdog_ == 0) {
    setsid();
    // A copy of another process's leash would keep that watchdog from seeing the test's end.
    if (ends[0] > STDERR_FILENO + 1)
      close_range(STDERR_FILENO + 1, static_cast<unsigned>(ends[0]) - 1, 0);
    close_range(static_cast<unsigned>(ends[0]) + 1, ~0U, 0);
    pollfd leash{ends[0], POLLIN, 0};
    const int ready = poll(&leash, 1, static_cast<int>(limit_s * 1000));
    char let_go = 0;
    if (ready <= 0 || read(ends[0], &let_go, 1) != 1) kill(-pid_, SIGKILL);
    if (ready == 0 && write(STDERR_FILENO, bark.data(), bark.size()) < 0) _exit(1);
    _exit(0);
  }
  close(ends[0]);
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      watchdog_(std::exchange(other.watchdog_, -1)),
      pidfd_(std::move(other.pidfd_)),
      leash_(std::move(other.leash_)),
      output_(std::move(other.output_)),
      errors_(std::move(other.errors_)),
      reaped_(other.reaped_),
      ended_(other.ended_) {}

Process& Process::operator=(Process&& other) noexcept {
  if (this == &other) return *this;
  Process old{std::move(*this)};
  pid_ = std::exchange(other.pid_, -1);
  watchdog_ = std::exchange(other.watchdog_, -1);
  pidfd_ = std::move(other.pidfd_);
  leash_ = std::move(other.leash_);
  output_ = std::move(other.output_);
  errors_ = std::move(other.errors_);
  reaped_ = other.reaped_;
  ended_ = other.ended_;
  return *this;
}

Process::~Process() {
  if (pid_ < 0) return;
  kill_all();
  const char let_go = 1;
  ::send(leash_.get(), &let_go, 1, MSG_NOSIGNAL);  // it may have let go already, at the limit
  leash_.reset();
  waitpid(watchdog_, nullptr, 0);
}

bool Process::running() const { return !reaped_ && !wait_readable(pidfd_.get(), 0); }

void Process::send(int signal) const {
  if (!reaped_) syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0);
}

Ended Process::wait(double limit_s) {
  if (reaped_) return ended_;
  if (!wait_readable(pidfd_.get(), limit_s)) return Ended{.in_time = false};
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0) CHECK(errno == EINTR);
  reaped_ = true;
  if (WIFEXITED(status)) ended_.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) ended_.signal = WTERMSIG(status);
  return ended_;
}

void Process::kill_all() {
  kill(-pid_, SIGKILL);
  static_cast<void>(wait(10));
}

std::string Process::output() const { return content_of(output_.get()); }
std::string Process::errors() const { return content_of(errors_.get()); }

bool Process::says(const std::string& text, double limit_s) const {
  const auto holds = [&] {
    return errors().find(text) != std::string::npos || output().find(text) != std::string::npos;
  };
  return eventually([&] { return holds() || !running(); }, limit_s) && holds();
}

Finished run(const std::vector<std::string>& arguments, const ProcessOptions& options) {
  Process process = Process::start(arguments, options);
  const Ended ended = process.wait(options.limit_s);
  return {ended, process.output(), process.errors()};
}

std::string binary(const std::string& name) {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
}

bool eventually(const std::function<bool()>& condition, double limit_s) {
  const Deadline deadline = Deadline::after_ms(static_cast<std::int64_t>(limit_s * 1000));
  while (!condition()) {
    if (deadline.has_passed()) return condition();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

std::vector<pid_t> children_of(pid_t pid) {
  const std::string number = std::to_string(pid);
  std::ifstream file("/proc/" + number + "/task/" + number + "/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;) children.push_back(child);
  return children;
}

}  // namespace mallbots::test
