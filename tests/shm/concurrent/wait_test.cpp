// Lost wake-ups hang these tests: the cap on sleeps is switched off.
#include "shm/concurrent/wait.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include "tests/support/process.h"

namespace mallbots::test {
namespace {

struct WaitTest : testing::Test {
  WaitTest() { shm::set_sleep_cap(INT64_MAX); }
  ~WaitTest() override { shm::set_sleep_cap(100 * kMillisecond); }
};

/// Sleeps until `condition`; the loop every user of an eventcount writes.
template <class Condition>
void await(std::atomic<std::uint32_t>& word, const Condition& condition) {
  while (!condition()) {
    const std::uint32_t key = shm::prepare_wait(word);
    if (condition()) return;
    shm::wait(word, key, Deadline::never());
  }
}

TEST_F(WaitTest, WakeThatNobodyWaitsForLeavesTheWordAlone) {
  std::atomic<std::uint32_t> word{8};
  shm::wake_if_waited(word);
  EXPECT_EQ(word.load(), 8U);
}

TEST_F(WaitTest, WakeClearsTheBitAndRaisesTheEpochInOneStep) {
  std::atomic<std::uint32_t> word{8};
  EXPECT_EQ(shm::prepare_wait(word), 9U);
  EXPECT_EQ(shm::prepare_wait(word), 9U);  // a second waiter, the same key
  shm::wake_if_waited(word);
  EXPECT_EQ(word.load(), 10U);
}

TEST_F(WaitTest, EpochGoesRound) {
  std::atomic<std::uint32_t> word{UINT32_MAX - 1};
  const std::uint32_t key = shm::prepare_wait(word);
  EXPECT_EQ(key, UINT32_MAX);
  shm::wake_if_waited(word);
  EXPECT_EQ(word.load(), 0U);
  shm::wait(word, key, Deadline::never());  // returns at once
}

TEST_F(WaitTest, WaiterThatComesLateDoesNotSleep) {
  std::atomic<std::uint32_t> word{0};
  const std::uint32_t key = shm::prepare_wait(word);
  shm::wake_if_waited(word);
  shm::wait(word, key, Deadline::never());
}

TEST_F(WaitTest, SleepEndsAtTheDeadlineAndATryDoesNotSleep) {
  std::atomic<std::uint32_t> word{0}, other{0};
  const std::uint32_t key = shm::prepare_wait(word);
  const BootNanos before = boot_now_ns();
  shm::wait(word, key, Deadline::passed());
  shm::wait(word, key, Deadline::after_ms(20));
  EXPECT_GE(boot_now_ns() - before, 20 * kMillisecond);
  const std::array<shm::WaitOn, 2> both{{{&word, key}, {&other, shm::prepare_wait(other)}}};
  shm::wait_any(both, Deadline::passed());
  shm::wait_any(both, Deadline::after_ms(20));
  EXPECT_GE(boot_now_ns() - before, 40 * kMillisecond);
}

TEST_F(WaitTest, CapEndsASleepThatNobodyEnds) {
  shm::set_sleep_cap(10 * kMillisecond);
  EXPECT_EQ(shm::sleep_cap_ns(), 10 * kMillisecond);
  std::atomic<std::uint32_t> word{0}, other{0};
  const std::uint32_t key = shm::prepare_wait(word);
  shm::wait(word, key, Deadline::never());
  const std::array<shm::WaitOn, 2> both{{{&word, key}, {&other, shm::prepare_wait(other)}}};
  shm::wait_any(both, Deadline::never());
}

TEST_F(WaitTest, UnconditionalWakeReachesASleeper) {
  std::atomic<std::uint32_t> word{0};
  std::atomic<bool> done{false};
  std::jthread waiter([&] { await(word, [&] { return done.load(); }); });
  done.store(true);
  shm::wake(word);
}

TEST_F(WaitTest, AnyOf127WordsAndADoorbellWakes) {
  std::vector<std::atomic<std::uint32_t>> words(shm::kMaxWaitWords + 1);
  std::atomic<std::size_t> rung{SIZE_MAX};
  std::atomic<std::size_t> seen{SIZE_MAX};
  std::jthread waiter([&] {
    for (std::size_t i = 0; i < words.size(); ++i) {
      std::vector<shm::WaitOn> all;
      while (rung.load() != i) {
        all.clear();
        for (auto& word : words) all.push_back({&word, shm::prepare_wait(word)});
        if (rung.load() == i) break;
        shm::wait_any(all, Deadline::never());
      }
      seen.store(i);
      shm::wake(words[i]);
    }
  });
  for (std::size_t i = 0; i < words.size(); ++i) {
    rung.store(i);
    shm::wake_if_waited(words[i]);
    await(words[i], [&] { return seen.load() == i; });
  }
}

TEST_F(WaitTest, NoWakeIsLostBetweenOneWakerAndThreeWaiters) {
  constexpr int kRounds = 20'000;
  std::atomic<std::uint32_t> go{0}, back{0};
  std::atomic<int> round{0};
  std::atomic<int> arrived{0};
  std::vector<std::jthread> waiters;
  for (int i = 0; i < 3; ++i)
    waiters.emplace_back([&] {
      for (int mine = 1; mine <= kRounds; ++mine) {
        await(go, [&] { return round.load() >= mine; });
        arrived.fetch_add(1);
        shm::wake_if_waited(back);
      }
    });
  for (int i = 1; i <= kRounds; ++i) {
    round.store(i);
    shm::wake_if_waited(go);
    await(back, [&] { return arrived.load() == 3 * i; });
  }
}

TEST_F(WaitTest, NoWakeIsLostBetweenManyWakersAndAWaiterOnSeveralWords) {
  constexpr int kRounds = 20'000, kWakers = 3;
  std::array<std::atomic<std::uint32_t>, kWakers> words{};
  std::array<std::atomic<int>, kWakers> published{};
  std::atomic<std::uint32_t> back{0};
  std::array<std::atomic<int>, kWakers> taken{};
  std::vector<std::jthread> wakers;
  for (int i = 0; i < kWakers; ++i)
    wakers.emplace_back([&, i] {
      for (int round = 1; round <= kRounds; ++round) {
        published[i].store(round);
        shm::wake_if_waited(words[i]);
        if (round % 5 == 0) await(back, [&] { return taken[i].load() == round; });
      }
    });
  const auto take = [&] {
    bool any = false;
    for (int i = 0; i < kWakers; ++i) {
      const int now = published[i].load();
      any = any || now != taken[i].load();
      taken[i].store(now);
    }
    if (any) shm::wake_if_waited(back);
    return any;
  };
  const auto finished = [&] {
    for (const auto& one : taken)
      if (one.load() != kRounds) return false;
    return true;
  };
  while (!finished()) {
    if (take()) continue;
    std::array<shm::WaitOn, kWakers> keys{};
    for (int i = 0; i < kWakers; ++i) keys[i] = {&words[i], shm::prepare_wait(words[i])};
    if (take()) continue;
    shm::wait_any(keys, Deadline::never());
  }
}

TEST_F(WaitTest, WakesAcrossProcesses) {
  struct Shared {
    std::atomic<std::uint32_t> there, back;
    std::atomic<int> ping, pong;
  };
  void* const memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto& shared = *new (memory) Shared{};
  constexpr int kRounds = 5'000;
  Process child = Process::call([&] {
    for (int i = 1; i <= kRounds; ++i) {
      await(shared.there, [&] { return shared.ping.load() == i; });
      shared.pong.store(i);
      shm::wake_if_waited(shared.back);
    }
    return 0;
  });
  for (int i = 1; i <= kRounds; ++i) {
    shared.ping.store(i);
    shm::wake_if_waited(shared.there);
    await(shared.back, [&] { return shared.pong.load() == i; });
  }
  EXPECT_EQ(child.wait().exit_code, 0);
  munmap(memory, sizeof(Shared));
}

TEST(LockBackoff, TrySpinsAHundredTimesAndNeverSleeps) {
  shm::LockBackoff backoff;
  int pauses = 0;
  while (backoff.pause(Deadline::passed())) ++pauses;
  EXPECT_EQ(pauses, 100);
  EXPECT_TRUE(backoff.about_to_sleep());
  EXPECT_FALSE(backoff.about_to_sleep());  // said once
}

TEST(LockBackoff, SleepsDoubleUpToAMillisecondUntilTheDeadline) {
  shm::LockBackoff backoff;
  int pauses = 0;
  const BootNanos before = boot_now_ns();
  const Deadline deadline = Deadline::after_ms(50);
  while (backoff.pause(deadline)) ++pauses;
  EXPECT_GE(boot_now_ns() - before, 50 * kMillisecond);
  EXPECT_GT(pauses, 100);
  EXPECT_LE(pauses, 100 + 5 + 50);
}

}  // namespace
}  // namespace mallbots::test
