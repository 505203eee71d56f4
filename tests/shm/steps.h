// Stopping at the crash points of shm/concurrent inside one process: a thread that stalls at a
// chosen point until it is resumed, or dies there (nothing behind the point runs, no destructor).
// Needs shm/ compiled with MALLBOTS_CRASH_POINTS (the library shm_steps).
#pragma once

#include <functional>
#include <future>
#include <string>
#include <thread>

namespace mallbots::test {

/// Which visit of a crash point: the `visit`-th (from 0) of any, or of `name` if it is not empty.
struct StepAt {
  int visit = 0;
  std::string name;
};

/// Runs `body` in this thread until the point and abandons it there. The name of the point; empty
/// if the body ended before it.
[[nodiscard]] std::string die_at(const StepAt& at, const std::function<void()>& body);

/// Runs `body` in a thread of its own that stops at the point.
class Stalled {
 public:
  Stalled(const StepAt& at, std::function<void()> body);
  Stalled(const Stalled&) = delete;
  Stalled& operator=(const Stalled&) = delete;
  /// Resumes.
  ~Stalled();

  /// The name of the point where it stands; empty if the body ended before it.
  [[nodiscard]] const std::string& where() const noexcept { return where_; }
  /// Lets it go on and waits for its end.
  void resume();

 private:
  std::promise<std::string> stopped_;
  std::promise<void> go_;
  std::string where_;
  std::thread thread_;
};

}  // namespace mallbots::test
