#include "bench/harness/roles.h"

#include <fmt/core.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>

#include "bench/harness/clock.h"
#include "bench/harness/futex.h"
#include "bench/harness/shared_block.h"

namespace mallbots::bench {
namespace {

constexpr std::size_t kMaxRoles = 256;

struct RoleReport {
  std::uint16_t code = 0;
  std::array<char, 510> detail{};
};

/// What parent and children share for the run itself.
struct Control {
  FutexWord arrived;   ///< roles waiting at the barrier
  FutexWord meetings;  ///< barriers passed
  std::array<RoleReport, kMaxRoles> reports{};
};

class ChildContext final : public RoleContext {
 public:
  ChildContext(Control& control, std::uint32_t roles) : control_(control), roles_(roles) {}

  void meet() override {
    const std::uint32_t meeting = control_.meetings.load();
    if (control_.arrived.fetch_add(1) + 1 == roles_) {
      control_.arrived.store(0);
      control_.meetings.fetch_add(1);
      futex_wake(control_.meetings, INT_MAX);
      return;
    }
    while (control_.meetings.load() == meeting) futex_wait(control_.meetings, meeting);
  }

 private:
  Control& control_;
  std::uint32_t roles_;
};

struct Child {
  pid_t pid = -1;
  int pidfd = -1;
  bool running = false;
};

void report(RoleReport& slot, const Error& error) {
  slot.code = static_cast<std::uint16_t>(error.code);
  const std::size_t size = std::min(error.detail.size(), slot.detail.size() - 1);
  std::memcpy(slot.detail.data(), error.detail.data(), size);
}

[[noreturn]] void live(const Role& role, Control& control, std::size_t index, std::uint32_t roles,
                       const RoleOptions& options, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it died before the line above
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  Result<void> outcome;
  if (role.cpu != kUnpinned) outcome = pin_to(role.cpu);
  if (outcome) {
    for (const std::span<std::byte> block : options.populate) populate(block);
    ChildContext context{control, roles};
    context.meet();
    outcome = role.body(context);
  }
  if (!outcome) report(control.reports[index], outcome.error());
  std::fflush(nullptr);
  ::_exit(outcome ? 0 : 1);
}

/// Owns the children: none survives it.
class Family {
 public:
  Family() = default;
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;
  ~Family() {
    for (const Child& child : children_) {
      if (child.running) ::kill(child.pid, SIGKILL);  // not reaped yet, so the pid is still its own
    }
    for (const Child& child : children_) {
      if (child.running) ::waitpid(child.pid, nullptr, 0);
      if (child.pidfd >= 0) ::close(child.pidfd);
    }
  }

  Result<void> start(std::span<const Role> roles, Control& control, const RoleOptions& options) {
    std::fflush(nullptr);
    const pid_t parent = ::getpid();
    children_.reserve(roles.size());
    for (std::size_t i = 0; i < roles.size(); ++i) {
      const pid_t pid = ::fork();
      if (pid == 0) {
        live(roles[i], control, i, static_cast<std::uint32_t>(roles.size()), options, parent);
      }
      if (pid < 0) {
        return fail(ErrorCode::kIo,
                    fmt::format("starting process '{}': {}", roles[i].name, std::strerror(errno)));
      }
      const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
      children_.push_back(Child{pid, pidfd, true});
      if (pidfd < 0) {
        return fail(ErrorCode::kIo,
                    fmt::format("pidfd of '{}': {}", roles[i].name, std::strerror(errno)));
      }
    }
    return {};
  }

  Result<void> wait(std::span<const Role> roles, Control& control, double limit_s) {
    const std::uint64_t end_ns = raw_now_ns() + static_cast<std::uint64_t>(limit_s * 1e9);
    while (true) {
      std::vector<pollfd> waiting;
      waiting.reserve(children_.size());
      for (const Child& child : children_) {
        waiting.push_back(pollfd{child.running ? child.pidfd : -1, POLLIN, 0});
      }
      if (std::ranges::all_of(waiting, [](const pollfd& p) { return p.fd < 0; })) return {};
      const std::uint64_t now_ns = raw_now_ns();
      if (now_ns >= end_ns) return fail(ErrorCode::kTimeout, overdue(roles, limit_s));
      const auto left_ms = static_cast<int>((end_ns - now_ns) / 1'000'000 + 1);
      if (::poll(waiting.data(), waiting.size(), left_ms) < 0 && errno != EINTR) {
        return fail(ErrorCode::kIo, fmt::format("poll of pidfds: {}", std::strerror(errno)));
      }
      for (std::size_t i = 0; i < waiting.size(); ++i) {
        if ((waiting[i].revents & POLLIN) == 0) continue;
        MALLBOTS_TRY(reap(children_[i], roles[i], control.reports[i]));
      }
    }
  }

 private:
  static Result<void> reap(Child& child, const Role& role, const RoleReport& slot) {
    int status = 0;
    ::waitpid(child.pid, &status, 0);
    child.running = false;
    if (WIFSIGNALED(status)) {
      return fail(ErrorCode::kIo,
                  fmt::format("process '{}' died of signal {}", role.name, WTERMSIG(status)));
    }
    if (slot.code != 0) {
      return fail(static_cast<ErrorCode>(slot.code),
                  fmt::format("{}: {}", role.name, slot.detail.data()));
    }
    if (WEXITSTATUS(status) != 0) {
      return fail(ErrorCode::kIo, fmt::format("process '{}' ended with exit code {}", role.name,
                                              WEXITSTATUS(status)));
    }
    return {};
  }

  std::string overdue(std::span<const Role> roles, double limit_s) const {
    std::string names;
    for (std::size_t i = 0; i < children_.size(); ++i) {
      if (children_[i].running) names += (names.empty() ? "'" : ", '") + roles[i].name + "'";
    }
    return fmt::format("{} not done after {} s", names, limit_s);
  }

  std::vector<Child> children_;
};

}  // namespace

Result<void> run_roles(std::span<const Role> roles, const RoleOptions& options) {
  if (roles.empty() || roles.size() > kMaxRoles) {
    return fail(ErrorCode::kBadArgument,
                fmt::format("{} roles; 1 to {} are possible", roles.size(), kMaxRoles));
  }
  static_cast<void>(clock_info());  // so that the children inherit it
  auto control = Shared<Control>::create();
  if (!control) return std::unexpected(std::move(control).error());
  Family family;
  MALLBOTS_TRY(family.start(roles, **control, options));
  return family.wait(roles, **control, options.limit_s);
}

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

Result<void> pin_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
  if (::sched_setaffinity(0, sizeof set, &set) == 0) return {};
  return fail(ErrorCode::kIo, fmt::format("pinning to core {}: {}", cpu, std::strerror(errno)));
}

}  // namespace mallbots::bench
