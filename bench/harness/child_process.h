// Another program as a child of the benchmark: the daemon under test, or a tool that measures the
// same limit in its own way. Started with an argument vector (no shell), killed by pid.
//
// Its standard output and error go to a file in memory, readable at any time with output(). If the
// benchmark dies, the kernel kills the child. The destructor kills and reaps it.
//
// Errors: kIo (cannot be started; the reason is the system's), kUnsupported (program not found),
// kTimeout (wait only). Call from one thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "shm/base/result.h"

namespace mallbots::bench {

class ChildProcess {
 public:
  /// `arguments[0]` is the program, searched in PATH when it has no slash.
  [[nodiscard]] static Result<ChildProcess> start(const std::vector<std::string>& arguments);

  ChildProcess(ChildProcess&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)),
        pidfd_(std::exchange(other.pidfd_, -1)),
        output_fd_(std::exchange(other.output_fd_, -1)) {}
  ChildProcess& operator=(ChildProcess&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(pidfd_, other.pidfd_);
    std::swap(output_fd_, other.output_fd_);
    return *this;
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Sends `signal`; does nothing once the child is reaped.
  void send(int signal) const noexcept;
  /// Waits for the end and reaps. The exit code, or 128 + signal.
  [[nodiscard]] Result<int> wait(double limit_s);
  /// What it has printed so far.
  [[nodiscard]] std::string output() const;

 private:
  ChildProcess(pid_t pid, int pidfd, int output_fd) noexcept
      : pid_(pid), pidfd_(pidfd), output_fd_(output_fd) {}
  pid_t pid_;
  int pidfd_;
  int output_fd_;
};

/// SIGKILL to a process that a scenario measures the death of: a role's sibling, the daemon's
/// broker.
void kill_process(pid_t pid) noexcept;
/// SIGSTOP to the calling process, as an operator's Ctrl-Z or a debugger does it.
void stop_this_process() noexcept;
/// SIGCONT to a process that has stopped so.
void resume_process(pid_t pid) noexcept;

}  // namespace mallbots::bench
