// The soak: a daemon with producers (some have names, some put their records off), plain readers,
// group members, writers and readers of event streams on topics of every kind, each a process, of
// which somebody is killed (SIGKILL) or stopped for a while (SIGSTOP, SIGCONT) all the time, the
// broker too; now and then everything is ended and started again. At the end nobody is hurt any
// more: the producers end, what was put off comes, the groups read what is left, auditors read
// every topic before and after a last restart, and the history of all (tests/history) must have no
// finding.
//
// The seed decides who is hurt when and how; what the machine makes of it is its own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/history/checks.h"

namespace mallbots::test {

struct SoakOptions {
  double seconds = 600;
  unsigned seed = 1;
  /// drop, double or swap: workers falsify their notes, which must be found. Empty: they do not.
  std::string sabotage{};
};

struct SoakOutcome {
  Verdict verdict;                    ///< of the history
  std::vector<std::string> failures;  ///< parties that did not end well, groups that never drained
  std::filesystem::path kept;         ///< history, data and log of the daemon; empty: all was well

  [[nodiscard]] bool good() const { return failures.empty() && verdict.found == 0; }
  /// Figures, findings, and how to look at what was kept.
  [[nodiscard]] std::string report() const;
};

[[nodiscard]] SoakOutcome run_soak(const SoakOptions& options);

}  // namespace mallbots::test
