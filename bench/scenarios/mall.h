// Parts of the mall as a scenario runs them beside its stage: services in a process of their own,
// and what such a process costs. Used by the parent process of a run, which has one thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bench/harness/child_process.h"
#include "bench/harness/row.h"
#include "bench/scenarios/stage.h"

namespace mallbots::bench {

/// User and system time of the process so far, in seconds.
[[nodiscard]] double cpu_s(pid_t pid);
/// What it has resident.
[[nodiscard]] double memory_bytes(pid_t pid);

/// kTimeout: not within a minute; `what` says of what.
[[nodiscard]] Result<void> wait_until(const std::string& what,
                                      const std::function<bool()>& condition);

/// `mall run` with these services and settings, once it is ready. Its data are removed with
/// remove_mall().
[[nodiscard]] Result<ChildProcess> run_services(const RunContext& run, const Stage& stage,
                                                const std::vector<std::string>& words);
/// Another command of `mall` at the same place: what it has printed. kIo: it has failed.
[[nodiscard]] Result<std::string> ask_mall(const RunContext& run, const Stage& stage,
                                           const std::vector<std::string>& words);
[[nodiscard]] Result<void> end_services(ChildProcess& services);
void remove_mall(const RunContext& run);

}  // namespace mallbots::bench
