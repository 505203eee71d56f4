// The bare futex calls between processes (futex(2)), for the limits and for the start barrier of
// run_roles. The product's own waiting is in shm/concurrent; a limit must not go through it.
//
// Callable from any process that maps the word. A wait may return early for no reason: look again.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace mallbots::bench {

using FutexWord = std::atomic<std::uint32_t>;
static_assert(sizeof(FutexWord) == 4 && FutexWord::is_always_lock_free);

/// Sleeps while `word` holds `expected`.
inline void futex_wait(FutexWord& word, std::uint32_t expected) noexcept {
  ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, nullptr, nullptr, 0);
}

/// Wakes up to `sleepers`; returns how many slept.
inline long futex_wake(FutexWord& word, int sleepers = 1) noexcept {
  return ::syscall(SYS_futex, &word, FUTEX_WAKE, sleepers, nullptr, nullptr, 0);
}

}  // namespace mallbots::bench
