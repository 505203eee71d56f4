// run_roles: one process per role, started together, pinned where the role says so, watched by the
// calling process, which sleeps meanwhile and so takes no core from them.
//
// The caller maps what the roles share (SharedBlock) and captures pointers to it in their bodies;
// results travel through it. Each child faults the named blocks in, waits for the others at a
// barrier and runs its body. A body that fails ends its process, and with it all others.
//
// Errors: kTimeout when the time is over (the roles still running are named), kIo when a process
// cannot be started or dies by a signal, else the error of the first role that failed. In every
// case, no child is left when the call returns: they are killed by pidfd and reaped; if the caller
// itself dies, the kernel kills them (PR_SET_PDEATHSIG).
//
// Call it from a process with one thread (it forks); bodies must not return by exceptions.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "shm/base/result.h"

namespace mallbots::bench {

inline constexpr int kUnpinned = -1;

/// What a body knows about its run.
class RoleContext {
 public:
  virtual ~RoleContext() = default;
  /// Sleeps until every role has come here as often as this one; for set-up that is not timed.
  virtual void meet() = 0;
};

struct Role {
  std::string name;     ///< for messages
  int cpu = kUnpinned;  ///< number of the core, or kUnpinned
  std::function<Result<void>(RoleContext&)> body;
};

struct RoleOptions {
  double limit_s = 30.0;                       ///< the watchdog: after that all are killed
  std::vector<std::span<std::byte>> populate;  ///< blocks each role faults in before the barrier
};

[[nodiscard]] Result<void> run_roles(std::span<const Role> roles, const RoleOptions& options);

/// Cores this process may run on, lowest first.
[[nodiscard]] std::vector<int> allowed_cpus();

/// Error: kIo when the core is not there or not allowed.
[[nodiscard]] Result<void> pin_to(int cpu);

}  // namespace mallbots::bench
