#include "shm/concurrent/wait.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "shm/base/crash_point.h"

namespace mallbots::shm {
namespace {

constinit std::atomic<BootNanos> sleep_cap{100 * kMillisecond};

long futex(const std::atomic<std::uint32_t>* word, int operation, std::uint32_t value,
           const void* timeout_or_value2, const std::atomic<std::uint32_t>* word2,
           std::uint32_t value3) noexcept {
  return syscall(SYS_futex, word, operation, value, timeout_or_value2, word2, value3);
}

/// How long to sleep, at most until the deadline and the cap.
BootNanos bounded(Deadline deadline) noexcept {
  return std::min(deadline.remaining_ns(), sleep_cap_ns());
}

timespec to_timespec(BootNanos nanoseconds) noexcept {
  return {.tv_sec = nanoseconds / kSecond, .tv_nsec = nanoseconds % kSecond};
}

}  // namespace

BootNanos sleep_cap_ns() noexcept { return sleep_cap.load(); }
void set_sleep_cap(BootNanos nanoseconds) noexcept {
  // no crash point: a private variable of this process
  sleep_cap.store(nanoseconds);
}

std::uint32_t prepare_wait(std::atomic<std::uint32_t>& word) noexcept {
  std::uint32_t seen = word.load(std::memory_order_seq_cst);
  while ((seen & 1) == 0) {
    CRASH_POINT("wait.announce");
    // SYNC knock: seq_cst CAS before the waiter's re-check; seq_cst load in wake_if_waited.
    if (word.compare_exchange_weak(seen, seen | 1, std::memory_order_seq_cst)) return seen | 1;
  }
  return seen;
}

void wait(const std::atomic<std::uint32_t>& word, std::uint32_t key, Deadline deadline) noexcept {
  const BootNanos longest = bounded(deadline);
  if (longest <= 0) return;
  const timespec timeout = to_timespec(longest);
  futex(&word, FUTEX_WAIT, key, longest == INT64_MAX ? nullptr : &timeout, nullptr, 0);
}

void wait_any(std::span<const WaitOn> words, Deadline deadline) noexcept {
  if (words.empty()) return;
  if (words.size() == 1) return wait(*words[0].word, words[0].key, deadline);
  const BootNanos longest = bounded(deadline);
  if (longest <= 0) return;
  std::array<futex_waitv, kMaxWaitWords + 1> vector{};
  const std::size_t count = std::min(words.size(), vector.size());
  for (std::size_t i = 0; i < count; ++i) {
    vector[i].uaddr = reinterpret_cast<std::uintptr_t>(words[i].word);
    vector[i].val = words[i].key;
    vector[i].flags = FUTEX_32;
  }
  // futex_waitv(2) takes an absolute time.
  timespec until{};
  if (longest != INT64_MAX) until = to_timespec(monotonic_now_ns() + longest);
  syscall(SYS_futex_waitv, vector.data(), count, 0, longest == INT64_MAX ? nullptr : &until,
          CLOCK_MONOTONIC);
}

void wake(std::atomic<std::uint32_t>& word) noexcept {
  CRASH_POINT("wait.wake");
  // Clearing the bit, raising the epoch and waking are one step of the kernel: a waker stopped
  // between two steps would leave sleepers behind a cleared bit (tests/models/wait_wake).
  constexpr auto kAddOne =
      static_cast<std::uint32_t>(FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0));
  futex(&word, FUTEX_WAKE_OP, INT_MAX, nullptr, &word, kAddOne);
}

bool LockBackoff::pause(Deadline deadline) noexcept {
  if (spins_ < kSpins) {
    ++spins_;
    cpu_relax();
    return true;
  }
  const BootNanos left = deadline.remaining_ns();
  if (left <= 0) return false;
  const timespec nap = to_timespec(std::min(sleep_ns_, left));
  nanosleep(&nap, nullptr);
  sleep_ns_ = std::min<BootNanos>(sleep_ns_ * 2, kMillisecond);
  return true;
}

}  // namespace mallbots::shm
