#include "bench/harness/child_process.h"

#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace mallbots::bench {
namespace {

constexpr int kNoSuchProgram = 127;

[[noreturn]] void become(const std::vector<char*>& arguments, int output_fd, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  ::dup2(output_fd, STDOUT_FILENO);
  ::dup2(output_fd, STDERR_FILENO);
  ::execvp(arguments.front(), arguments.data());
  ::_exit(kNoSuchProgram);
}

}  // namespace

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return fail(ErrorCode::kBadArgument, "no program to start");
  const int output_fd = ::memfd_create("bench_child_output", MFD_CLOEXEC);
  if (output_fd < 0) {
    return fail(ErrorCode::kIo, fmt::format("memory for the output of '{}': {}", arguments.front(),
                                            std::strerror(errno)));
  }
  std::vector<std::string> copies = arguments;
  std::vector<char*> pointers;
  pointers.reserve(copies.size() + 1);
  for (std::string& argument : copies) pointers.push_back(argument.data());
  pointers.push_back(nullptr);

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(pointers, output_fd, parent);
  if (pid < 0) {
    const int reason = errno;
    ::close(output_fd);
    return fail(ErrorCode::kIo,
                fmt::format("starting '{}': {}", arguments.front(), std::strerror(reason)));
  }
  return ChildProcess{pid, static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), output_fd};
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  if (pidfd_ >= 0) ::close(pidfd_);
  if (output_fd_ >= 0) ::close(output_fd_);
}

void ChildProcess::send(int signal) const noexcept {
  if (pid_ > 0) ::kill(pid_, signal);  // not reaped, so the pid is still its own
}

void kill_process(pid_t pid) noexcept {
  if (pid > 0) ::kill(pid, SIGKILL);
}

void stop_this_process() noexcept { ::raise(SIGSTOP); }

void resume_process(pid_t pid) noexcept {
  if (pid > 0) ::kill(pid, SIGCONT);
}

Result<int> ChildProcess::wait(double limit_s) {
  if (pid_ <= 0) return fail(ErrorCode::kBadArgument, "the process was waited for already");
  pollfd end{pidfd_, POLLIN, 0};
  if (::poll(&end, 1, static_cast<int>(limit_s * 1000)) <= 0) {
    return fail(ErrorCode::kTimeout, fmt::format("process {} runs after {} s", pid_, limit_s));
  }
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
  if (WEXITSTATUS(status) == kNoSuchProgram) {
    return fail(ErrorCode::kUnsupported, "the program is not installed");
  }
  return WEXITSTATUS(status);
}

std::string ChildProcess::output() const {
  std::string text;
  std::array<char, 4096> buffer{};
  off_t at = 0;
  while (true) {
    const ssize_t got = ::pread(output_fd_, buffer.data(), buffer.size(), at);
    if (got <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    at += got;
  }
}

}  // namespace mallbots::bench
