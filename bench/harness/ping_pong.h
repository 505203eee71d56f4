// One word, there and back, between two spinning processes: the loop of the near/far probe and of
// the cache-line limit.
//
// Where a line's home is in the mesh of a large processor follows from its address, and with it the
// round trip (210 to 320 ns on one machine, the same for a whole invocation). So the game moves on
// to another pair of lines every `stay` rounds, and figures are over all of them.
//
// serve() in one process, answer() in the other, with the same rounds; neither returns before the
// other has played along (the watchdog of run_roles ends a game whose partner died).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "bench/harness/clock.h"

namespace mallbots::bench {

struct PingPong {
  static constexpr std::uint32_t kStay = 50;  ///< rounds on one pair, as a rule
  static constexpr std::uint32_t kPairs = 64;

  struct Pair {
    alignas(128) std::atomic<std::uint32_t> ping;
    alignas(128) std::atomic<std::uint32_t> pong;
  };
  std::array<Pair, kPairs> pairs;

  Pair& pair_of(std::uint32_t round, std::uint32_t stay) noexcept {
    return pairs[round / stay % kPairs];
  }
};

// SYNC bench_ping: release in PingPong serve, acquire in PingPong answer.
// SYNC bench_pong: release in PingPong answer, acquire in PingPong serve.
// No pause instruction in these loops: it would add 40 to 140 cycles to what they measure.

/// Plays rounds from+1 .. to; `done()` is called after each.
template <class Done>
void serve(PingPong& game, std::uint32_t from, std::uint32_t to, Done done,
           std::uint32_t stay = PingPong::kStay) noexcept {
  for (std::uint32_t round = from + 1; round <= to; ++round) {
    PingPong::Pair& pair = game.pair_of(round, stay);
    pair.ping.store(round, std::memory_order_release);            // SYNC bench_ping
    while (pair.pong.load(std::memory_order_acquire) != round) {  // SYNC bench_pong
    }
    done();
  }
}

/// As above, and gives record() the ticks of each round.
template <class Record>
void serve_stamped(PingPong& game, std::uint32_t from, std::uint32_t to, Record record,
                   std::uint32_t stay = PingPong::kStay) noexcept {
  std::uint64_t before = ticks();
  const auto stamp = [&] {
    const std::uint64_t now = ticks();
    record(now - before);
    before = now;
  };
  serve(game, from, to, stamp, stay);
}

/// The other side of rounds from+1 .. to.
inline void answer(PingPong& game, std::uint32_t from, std::uint32_t to,
                   std::uint32_t stay = PingPong::kStay) noexcept {
  for (std::uint32_t round = from + 1; round <= to; ++round) {
    PingPong::Pair& pair = game.pair_of(round, stay);
    while (pair.ping.load(std::memory_order_acquire) != round) {  // SYNC bench_ping
    }
    pair.pong.store(round, std::memory_order_release);  // SYNC bench_pong
  }
}

}  // namespace mallbots::bench
