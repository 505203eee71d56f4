// Keeper: the foreground process of mallbotsd. It holds the shared memory while brokers come and
// go, and restarts a broker that dies. Protocol section 9.
//
//   starting ──▶ serving ──▶ dead ──▶ serving      at once, then after a pause
//                  │           └────▶ holding      5 deaths in 60 s: keeps the memory, says what
//                  ▼                     │         to do; SIGUSR1: another try
//               stopping ◀───────────────┘         SIGTERM, SIGINT
//
//   starting -> gone      the first broker exits before it was ready: its exit code is ours
//   serving  -> stopping  SIGTERM goes to the broker, which drains
//   stopping -> gone      the broker has drained: its exit code. If it dies instead, one more is
//                         started to drain in its place, twice at most
//   serving  -> gone      the broker exited with 0 by itself
//
// One thread, no parsing, no log data, no file; nothing here may fail for lack of memory but the
// fork. SIGHUP does nothing. A SIGKILL of the keeper closes the socket to the broker, which drains.
#pragma once

#include <functional>

#include "broker/keeper/link.h"
#include "broker/keeper/restart_policy.h"

namespace mallbots::broker {

/// What a new broker is told.
struct BrokerStart {
  KeeperLink link;
  pid_t keeper_pid = 0;
  std::size_t deaths = 0;  ///< of its predecessors in the last minute; 0: the first
  std::uint64_t note = 0;  ///< what the predecessor passed to KeeperLink::ready; 0: nothing yet
  bool draining = false;   ///< start only to persist what is in memory, then exit
};

struct KeeperOptions {
  RestartLimits restarts;
  /// Runs in the child; what it returns is the child's exit code.
  std::function<int(BrokerStart)> broker;
};

/// Until the instance has ended; the exit code of mallbotsd. Call with one thread only.
[[nodiscard]] int run_keeper(const KeeperOptions& options);

}  // namespace mallbots::broker
