// Sleeping and waking between processes: eventcounts on futexes. Callable from any thread of any
// process that has the word mapped; waiting needs a writable mapping because a waiter says so in
// bit 0 (protocol section 6, proof in tests/models/wait_wake).
//
//   waiter: key = prepare_wait(word); if (condition) done; else wait(word, key, deadline); again
//   waker:  make the condition true (seq_cst); wake_if_waited(word)
//
// A wake that nobody waits for costs one load. A waiter that dies leaves one spurious wake behind.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <utility>

#include "shm/base/clock.h"

namespace mallbots::shm {

/// How a client waits: spin burns a core for the lowest latency; hybrid spins some microseconds,
/// then sleeps; block sleeps at once.
enum class WaitStrategy : std::uint8_t { kSpin, kHybrid, kBlock };

inline void cpu_relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  asm volatile("yield" ::: "memory");
#endif
}

/// Longest sleep although a wake is due to come; a lost wake-up would show as this latency. Test
/// builds switch it off (set_sleep_cap), so that a lost wake-up hangs the test instead of hiding.
[[nodiscard]] BootNanos sleep_cap_ns() noexcept;
void set_sleep_cap(BootNanos nanoseconds) noexcept;

/// Announces a waiter; the key to sleep on. Re-check the condition before wait().
[[nodiscard]] std::uint32_t prepare_wait(std::atomic<std::uint32_t>& word) noexcept;

/// Sleeps until the word is no longer `key`, the deadline, the cap or a signal. Says nothing about
/// why it returned: the caller looks at its condition again.
void wait(const std::atomic<std::uint32_t>& word, std::uint32_t key, Deadline deadline) noexcept;

/// One word and the key from prepare_wait, for sleeping on several.
struct WaitOn {
  const std::atomic<std::uint32_t>* word;
  std::uint32_t key;
};
/// futex_waitv takes this many; callers with more sleep on their doorbell alone.
inline constexpr std::size_t kMaxWaitWords = 127;
void wait_any(std::span<const WaitOn> words, Deadline deadline) noexcept;

/// Unconditional: raises the epoch and wakes all. For wake-ups that a dead process may have owed.
void wake(std::atomic<std::uint32_t>& word) noexcept;

inline void wake_if_waited(std::atomic<std::uint32_t>& word) noexcept {
  // SYNC knock: seq_cst load here after the caller's seq_cst publication; seq_cst CAS in
  // prepare_wait before the waiter's re-check. One of the two sees the other (Dekker).
  if ((word.load(std::memory_order_seq_cst) & 1) != 0) wake(word);
}

/// Sleep between attempts at a lock that nobody wakes: 50 us doubling to 1 ms.
class LockBackoff {
 public:
  /// Spins the first 100 times, then sleeps. False: the deadline has passed (a try only spins).
  [[nodiscard]] bool pause(Deadline deadline) noexcept;
  /// True once: the next pause() is the first that sleeps.
  [[nodiscard]] bool about_to_sleep() noexcept {
    return spins_ == kSpins && !std::exchange(told_, true);
  }

 private:
  static constexpr std::uint32_t kSpins = 100;
  bool told_ = false;
  std::uint32_t spins_ = 0;
  BootNanos sleep_ns_ = 50'000;
};

}  // namespace mallbots::shm
