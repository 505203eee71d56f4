// What the litmus programs share: shm/concurrent compiled with the machine's atomics, futex and
// eventfd, one slot with what stands around it, and the two questions asked of a program. Included
// once, by litmus_test.cpp, first of all.
#pragma once

#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "shm/base/hash.h"
#include "tests/shm/litmus/machine.h"

// From here on the code under test is compiled with the machine's atomics, futex and eventfd.
namespace std {
template <class T>
using litmus_atomic = mallbots::test::litmus::Atomic<T>;
using mallbots::test::litmus::thread_fence;
}  // namespace std

namespace mallbots::test::litmus {

template <class... Rest>
long system_call(long, const Atomic<std::uint32_t>* word, int operation, std::uint32_t value,
                 Rest...) noexcept {
  Machine* const machine = Machine::current();
  if (operation == FUTEX_WAIT) {
    machine->futex_wait(word, word->newest(), value);
  } else {  // FUTEX_WAKE_OP: one step
    const_cast<Atomic<std::uint32_t>*>(word)->fetch_add(1);
    machine->wake(word);
  }
  return 0;
}
inline long system_call(long, const void*, std::size_t, int, const void*, int) noexcept {
  return -1;
}
/// The broker's eventfd: a number of its own, which stays until it is read.
inline Atomic<std::uint64_t> bell;
inline long ring(int, const void*, std::size_t size) noexcept {
  bell.store(1);
  Machine::current()->wake(&bell);
  return static_cast<long>(size);
}

}  // namespace mallbots::test::litmus

#define atomic litmus_atomic
#define atomic_thread_fence thread_fence
#define syscall ::mallbots::test::litmus::system_call
#define write ::mallbots::test::litmus::ring
#include "shm/concurrent/cells.h"
#include "shm/concurrent/ingest.h"
#include "shm/concurrent/partition.cpp"
#include "shm/concurrent/reclaim.cpp"
#include "shm/concurrent/wait.cpp"
#undef atomic
#undef atomic_thread_fence
#undef syscall
#undef write

namespace mallbots::test::litmus {

using shm::LogEnd;
using shm::SlotHeader;
using shm::Word;

constexpr SlotGen kGen = 3;
constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;
constexpr auto kAcqRel = std::memory_order_acq_rel;

/// One slot, one word that stands for the bytes of a record, and what stands around them.
struct World {
  World() {
    shm::init_slot(slot, init(kGen));
    for (shm::SlotEntry& entry : board.entries) entry.n.store(shm::kNoSlot);
    header.slots = 4;
    header.slot_bytes = 4096;
    shm::set_sleep_cap(INT64_MAX);
    bell.store(0);
  }
  static shm::SlotInit init(SlotGen slot_gen) {
    return {slot_gen, PartitionId{7}, 1, 256, LogEnd{100, 1000}};
  }
  /// What run_section does between acquire and publication, for a record of one unit. The word
  /// that was acquired; nothing if it was not to be had or the commit failed.
  bool append(SessionIndex me, std::uint64_t bytes) {
    const Word seen = shm::load_word(slot);
    if (seen.owned() || seen.sealed() || !shm::try_acquire(slot, seen, me)) return false;
    return commit_held(seen.acquired_by(me), bytes);
  }
  bool commit_held(Word held, std::uint64_t bytes) {
    const std::uint32_t tail = held.tail_units();
    const auto end = tail == 0 ? shm::load_base(slot, kGen) : shm::find_pair(slot, kGen, tail);
    if (!end) {
      Machine::fail("a holder does not find where the log ends");
      return false;
    }
    if (end->last_timestamp_ms != static_cast<UnixMillis>(end->next_offset * 10))
      Machine::fail("a holder reads a torn pair");
    if (tail != 0 && record[tail - 1].load(kRelaxed) == 0)
      Machine::fail("a holder does not see the record before its own");
    record[tail].store(bytes, kRelaxed);
    const Offset next = end->next_offset + 1;
    shm::store_pair(slot, kGen, tail, tail + 1, {next, static_cast<UnixMillis>(next * 10)});
    if (!shm::commit(slot, held, tail + 1)) return false;
    if (handed_over) Machine::fail("a commit after the hand-over");
    shm::publish(slot, kGen, held.released().with_tail(tail + 1));
    return true;
  }
  [[nodiscard]] shm::PartitionParts parts() {
    shm::PartitionParts all;
    all.topic = &header;
    all.board = &board;
    all.knock_header = &knock_header;
    all.knock = &knock;
    all.broker_eventfd = 0;
    return all;
  }

  SlotHeader slot{};
  std::array<Atomic<std::uint64_t>, 4> record{};
  shm::BoardHeader header{};
  shm::PartitionBoard board{};
  shm::KnockHeader knock_header{};
  shm::KnockLine knock{};
  shm::SessionHeader session{};
  shm::ReaderCell cell{};
  bool handed_over = false;  // of the program, not of the code: no step
};

using Make = std::function<void(World&, Program&)>;

inline Verdict explore(const Make& make, const std::function<void(World&, Program&)>& mistake = {},
                       const Limits& limits = {}) {
  const Verdict verdict = Machine::explore(
      [&] {
        auto world = std::make_shared<World>();
        Program program;
        make(*world, program);
        if (mistake) mistake(*world, program);
        program.state = std::move(world);
        return program;
      },
      limits);
  return verdict;
}

inline void expect_right(const Make& make, const Limits& limits = {}) {
  const Verdict verdict = explore(make, {}, limits);
  EXPECT_EQ(verdict.violation, "");
  EXPECT_TRUE(verdict.complete) << "not all executions were tried";
  testing::Test::RecordProperty("executions", std::to_string(verdict.executions));
  std::printf("  %llu executions\n", static_cast<unsigned long long>(verdict.executions));
}

using Mistakes = std::vector<Weaker>;

/// The same program with operations made weaker.
inline void expect_caught(const Make& make, const std::function<Mistakes(World&)>& mistakes,
                          const Limits& limits = {}) {
  const auto make_them = [&](World& w, Program& program) {
    for (const Weaker& mistake : mistakes(w)) program.weaker.push_back(mistake);
  };
  EXPECT_NE(explore(make, make_them, limits).violation, "");
}

}  // namespace mallbots::test::litmus
