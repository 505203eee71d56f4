// The parties of a soak: each a process that is killed and started again as another life, or
// stopped for a while. One thread.
#pragma once

#include <deque>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "shm/base/clock.h"
#include "tests/support/daemon.h"

namespace mallbots::test {

/// One party through all its lives.
struct Party {
  std::string role;                ///< of soak_worker
  std::string name;                ///< "member-3"; a life is "member-3.7"
  std::vector<std::string> words;  ///< topic, group
  int lives = 0;
  std::optional<Process> process{};
  BootNanos go_on_ns = 0;  ///< stopped until then; 0: not stopped

  [[nodiscard]] std::string who() const { return name + '.' + std::to_string(lives); }
};

class Cast {
 public:
  /// `history`: the folder for their notes.
  Cast(Daemon& daemon, std::string history, unsigned seed, std::string sabotage);

  void add(const std::string& role, const std::vector<std::string>& words);
  [[nodiscard]] std::deque<Party>& parties() noexcept { return parties_; }

  void start(Party& party);
  /// SIGKILL, and its next life.
  void replace(Party& party);
  void stop(Party& party, BootNanos nanoseconds);
  /// Sends SIGCONT to those whose time has come; nothing: to all.
  void go_on(std::optional<BootNanos> now = {});
  /// SIGTERM to all of these roles, and waits; findings of those that did not end well.
  void end(const std::vector<std::string>& roles);
  /// Starts it, and waits until it has ended by itself.
  void run(const std::string& role, const std::vector<std::string>& words);
  /// Looks for those that ended by themselves, which is a finding.
  void look_for_dead();

  /// A line of the driver's own history.
  void note(const std::string& words);
  [[nodiscard]] const std::vector<std::string>& findings() const noexcept { return findings_; }
  void find(const std::string& finding) { findings_.push_back(finding); }

 private:
  void settle(Party& party, const Ended& ended);

  Daemon& daemon_;
  std::string history_;
  std::string sabotage_;
  std::mt19937 dice_;
  std::deque<Party> parties_;
  std::vector<std::string> findings_;
};

}  // namespace mallbots::test
