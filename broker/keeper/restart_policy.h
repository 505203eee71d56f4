// RestartPolicy: when a broker that died is started again. The first time at once (a restart after
// one kill must not be felt), then with growing pauses, and after too many deaths in a short time
// not at all: something is wrong that restarting does not mend. Pure; time comes in.
#pragma once

#include <deque>
#include <optional>

#include "shm/base/clock.h"

namespace mallbots::broker {

struct RestartLimits {
  std::size_t deaths = 5;              ///< this many ...
  BootNanos window_ns = 60 * kSecond;  ///< ... in this time, and the keeper waits for a person
  BootNanos first_pause_ns = 100 * kMillisecond;  ///< before the second restart; then times four
};

class RestartPolicy {
 public:
  explicit RestartPolicy(RestartLimits limits) : limits_(limits) {}

  /// The broker died: how long to wait before the next start; nothing: wait for a person.
  [[nodiscard]] std::optional<BootNanos> died(BootNanos now) {
    while (!deaths_.empty() && now - deaths_.front() > limits_.window_ns) deaths_.pop_front();
    deaths_.push_back(now);
    if (deaths_.size() >= limits_.deaths) return std::nullopt;
    BootNanos pause = 0;
    for (std::size_t i = 1; i < deaths_.size(); ++i)
      pause = pause == 0 ? limits_.first_pause_ns : pause * 4;
    return pause;
  }
  /// A person asked for another try.
  void forgive() { deaths_.clear(); }
  [[nodiscard]] std::size_t recent_deaths() const noexcept { return deaths_.size(); }

 private:
  RestartLimits limits_;
  std::deque<BootNanos> deaths_;
};

}  // namespace mallbots::broker
