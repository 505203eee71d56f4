#include "clients/toolkit/testkit/manual_clock.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace mallbots::toolkit {
namespace {

constexpr BootNanos kLongestWait = 3'600 * kSecond;

}  // namespace

void ManualClock::wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                       Deadline patience, BootNanos at_ns) {
  std::list<Waiter>::iterator mine;
  {
    const std::scoped_lock own{mutex_};
    if (now_ns_ >= at_ns) return;
    mine = waiters_.insert(waiters_.end(), {lock.mutex(), &changed, at_ns});
  }
  if (patience.is_never())
    changed.wait(lock);
  else
    changed.wait_for(lock,
                     std::chrono::nanoseconds{std::min(patience.remaining_ns(), kLongestWait)});
  const std::scoped_lock own{mutex_};
  waiters_.erase(mine);
}

bool ManualClock::pause_until(BootNanos at_ns, const std::stop_token& stop) {
  std::list<BootNanos>::iterator mine;
  {
    const std::scoped_lock own{mutex_};
    mine = pauses_.insert(pauses_.end(), at_ns);
    ++changes_;
  }
  const bool came = Clock::pause_until(at_ns, stop);
  const std::scoped_lock own{mutex_};
  pauses_.erase(mine);
  ++changes_;
  return came;
}

void ManualClock::advance_ms(std::int64_t milliseconds) {
  advance_to_ns(now_ns_ + milliseconds * kMillisecond);
}

/// A waiter holds its mutex from its look at the time until it sleeps, so whoever has the mutex
/// finds it asleep. It takes our mutex while it holds its own: we may only try for its.
void ManualClock::advance_to_ns(BootNanos at_ns) {
  std::unique_lock own{mutex_};
  if (at_ns <= now_ns_) return;
  now_ns_ = at_ns;
  ++changes_;
  for (bool missed = true; missed;) {
    missed = false;
    for (const Waiter& waiter : waiters_) {
      if (waiter.at_ns > at_ns) continue;
      if (std::unique_lock theirs{*waiter.mutex, std::try_to_lock}; theirs)
        waiter.changed->notify_all();
      else
        missed = true;
    }
    if (!missed) break;
    own.unlock();
    std::this_thread::yield();
    own.lock();
  }
}

ManualClock::Pauses ManualClock::pauses() const {
  const std::scoped_lock own{mutex_};
  Pauses pauses{.count = pauses_.size(), .changes = changes_};
  for (const BootNanos at : pauses_) pauses.next_ns = std::min(pauses.next_ns, at);
  return pauses;
}

}  // namespace mallbots::toolkit
