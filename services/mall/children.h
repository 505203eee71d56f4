// Children: processes that are kept running. One that dies is started again, after 100 ms, then
// twice as long each time up to 5 s, and at once again when it has run for 10 s. Each is in a
// process group of its own, so that a terminal's Ctrl-C reaches this process alone, which then ends
// them in the reverse order of their start.
//
// Who calls: the main thread of `mall up`, with SIGCHLD blocked. Errors: Io (a program or its log
// file cannot be opened).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shm/base/clock.h"
#include "shm/base/result.h"

namespace mallbots::mall {

struct ChildPlan {
  std::string name;
  std::vector<std::string> words;  ///< the first is the program's path
  std::string log_file;            ///< what it says is added to it
};

class Children {
 public:
  Children() = default;
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;
  /// end()
  ~Children();

  [[nodiscard]] Result<void> start(ChildPlan plan);
  /// Takes in those that died and starts those that are due. Gives the name of one that ended by
  /// itself, with a code other than 0.
  [[nodiscard]] std::optional<std::string> tend();
  /// SIGTERM to each, the last one first; each has so long to end, then it is killed.
  void end(std::int64_t grace_ms = 15'000);
  [[nodiscard]] bool all_run() const noexcept;
  [[nodiscard]] std::size_t restarts() const noexcept { return restarts_; }

 private:
  struct Child {
    ChildPlan plan;
    pid_t pid = 0;  ///< 0: does not run
    BootNanos began_ns = 0;
    BootNanos due_ns = 0;
    std::int64_t wait_ms = 0;
  };
  [[nodiscard]] static Result<pid_t> spawn(const ChildPlan& plan);
  void took_in(Child& child);

  std::vector<Child> children_;
  std::size_t restarts_ = 0;
};

/// The program of that name beside this one, or else the one in PATH.
[[nodiscard]] std::string program(const std::string& name);
/// The last line of a file, for a message that says why.
[[nodiscard]] std::string last_line(const std::string& file);

}  // namespace mallbots::mall
