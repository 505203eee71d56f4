// Process: another program, or a function of the test, as a child in a process group of its own.
//
// A watchdog process beside it kills the whole group (by its id) when the time limit passes or when
// the test program is gone, however it went; so neither a hanging broker nor a killed ctest leaves
// anything behind. The destructor kills and reaps what still runs.
//
// Standard output and error go to memory and can be read at any time. Call from one thread.
// A child that cannot be started aborts the test program.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "shm/region/fd.h"

namespace mallbots::test {

/// How a process ended.
struct Ended {
  int exit_code = -1;   ///< -1: it did not exit by itself
  int signal = 0;       ///< 0: none
  bool in_time = true;  ///< false: it still ran when wait() gave up
  friend bool operator==(const Ended&, const Ended&) = default;
};

struct ProcessOptions {
  std::vector<std::pair<std::string, std::string>> environment;  ///< added to the test's own
  std::string input;                                             ///< standard input, then its end
  double limit_s = 60;                                           ///< the watchdog's
  uid_t run_as = 0;  ///< not 0: this user (and group of the same number); the test must be root
};

class Process {
 public:
  /// `arguments[0]` is the program, searched in PATH when it has no slash; see binary().
  [[nodiscard]] static Process start(const std::vector<std::string>& arguments,
                                     const ProcessOptions& options = {});
  /// Runs `body` in a forked child and exits with what it returns. Only for tests that have no
  /// other thread at that moment.
  [[nodiscard]] static Process call(const std::function<int()>& body,
                                    const ProcessOptions& options = {});

  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// False once it has ended (it may not be reaped yet).
  [[nodiscard]] bool running() const;
  /// Sends `signal` to the child alone; nothing once it is reaped.
  void send(int signal) const;
  /// Waits for the end and reaps it; may be called again.
  [[nodiscard]] Ended wait(double limit_s = 30);
  /// SIGKILL to the whole group; waits for the child's end.
  void kill_all();
  [[nodiscard]] std::string output() const;  ///< standard output so far
  [[nodiscard]] std::string errors() const;  ///< standard error so far
  /// Waits until standard error (or output) holds `text`; false if the time passes or it ends
  /// without.
  [[nodiscard]] bool says(const std::string& text, double limit_s = 15) const;

 private:
  Process() = default;
  void start_watchdog(double limit_s);

  pid_t pid_ = -1;
  pid_t watchdog_ = -1;
  shm::UniqueFd pidfd_;
  shm::UniqueFd leash_;  ///< the watchdog's socket: its end means "kill", a byte means "go"
  shm::UniqueFd output_;
  shm::UniqueFd errors_;
  bool reaped_ = false;
  Ended ended_;
};

/// Starts, waits, gives everything back: for commands that end by themselves.
struct Finished {
  Ended ended;
  std::string output;
  std::string errors;
};
[[nodiscard]] Finished run(const std::vector<std::string>& arguments,
                           const ProcessOptions& options = {});

/// Full path of a program of this build, e.g. binary("mallbotsd"): it lies beside the test.
[[nodiscard]] std::string binary(const std::string& name);

/// Waits until `condition` holds, looking every millisecond; false if the time passes.
[[nodiscard]] bool eventually(const std::function<bool()>& condition, double limit_s = 10);

/// Pids of the direct children of `pid`, e.g. the broker of a keeper.
[[nodiscard]] std::vector<pid_t> children_of(pid_t pid);

}  // namespace mallbots::test
