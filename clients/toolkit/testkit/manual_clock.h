// ManualClock: time that stands still until a test moves it. Boot time and wall time move together.
//
// Who calls: any thread. Who waits on it waits until the test has moved it far enough, or was
// notified, or his patience (real time) ends.
#pragma once

#include <atomic>
#include <list>
#include <mutex>

#include "clients/toolkit/clock.h"

namespace mallbots::toolkit {

class ManualClock final : public Clock {
 public:
  /// 2020-01-01 00:00:00 UTC, unless told otherwise.
  explicit ManualClock(UnixMillis wall_ms = 1'577'836'800'000) noexcept : wall_start_ms_(wall_ms) {}

  [[nodiscard]] BootNanos now_ns() const noexcept override { return now_ns_; }
  [[nodiscard]] UnixMillis wall_ms() const noexcept override {
    return wall_start_ms_ + now_ns_ / kMillisecond;
  }
  void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, Deadline patience,
            BootNanos at_ns) override;
  bool pause_until(BootNanos at_ns, const std::stop_token& stop) override;

  /// Moves on and wakes whoever waited for a moment up to then.
  void advance_ms(std::int64_t milliseconds);
  void advance_to_ns(BootNanos at_ns);

  /// Threads inside pause_until(), whose work goes on when time does.
  struct Pauses {
    std::size_t count = 0;
    BootNanos next_ns = kNever;
    std::uint64_t changes = 0;  ///< equal in two looks: nobody came or went between them
  };
  [[nodiscard]] Pauses pauses() const;

 private:
  struct Waiter {
    std::mutex* mutex;
    std::condition_variable* changed;
    BootNanos at_ns;
  };

  UnixMillis wall_start_ms_;
  std::atomic<BootNanos> now_ns_{kSecond};
  mutable std::mutex mutex_;
  std::list<Waiter> waiters_;
  std::list<BootNanos> pauses_;
  std::uint64_t changes_ = 0;
};

}  // namespace mallbots::toolkit
