#include "bench/harness/scratch_dir.h"

#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>

namespace mallbots::bench {
namespace {

void remove_tree(const std::filesystem::path& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

[[noreturn]] void guard(const std::filesystem::path& path, int owner) {
  ::setsid();  // Ctrl-C is for the owner
  pollfd end{owner, POLLIN, 0};
  while (::poll(&end, 1, -1) < 0 && errno == EINTR) {
  }
  remove_tree(path);
  ::_exit(0);
}

}  // namespace

Result<ScratchDir> ScratchDir::create(const std::filesystem::path& parent) {
  std::string name = (parent / "mallbots-bench.XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    return fail(ErrorCode::kIo, fmt::format("creating a folder in '{}': {}", parent.string(),
                                            std::strerror(errno)));
  }
  // Opened before the fork: a pidfd names this process even if it is dead when the guardian looks.
  const int owner = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));
  const pid_t guardian = owner < 0 ? -1 : ::fork();
  if (guardian == 0) guard(name, owner);
  const int reason = errno;
  if (owner >= 0) ::close(owner);
  if (guardian < 0) {
    remove_tree(name);
    return fail(ErrorCode::kIo,
                fmt::format("starting the guardian of '{}': {}", name, std::strerror(reason)));
  }
  return ScratchDir{name, guardian};
}

ScratchDir::~ScratchDir() {
  if (guardian_ <= 0) return;
  ::kill(guardian_, SIGKILL);
  ::waitpid(guardian_, nullptr, 0);
  remove_tree(path_);
}

}  // namespace mallbots::bench
