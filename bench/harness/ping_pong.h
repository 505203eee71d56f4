// One word, there and back, between two spinning processes: the loop of the near/far probe and one
// of the two methods of the cache-line limit.
//
// serve() in one process, answer() in the other, with the same count; neither returns before the
// other has played along (the watchdog of run_roles ends a game whose partner died).
#pragma once

#include <atomic>
#include <cstdint>

#include "bench/harness/clock.h"
#include "bench/harness/histogram.h"

namespace mallbots::bench {

struct PingPong {
  alignas(128) std::atomic<std::uint32_t> ping;
  alignas(128) std::atomic<std::uint32_t> pong;
};

// SYNC bench_ping: release in PingPong serve, acquire in PingPong answer.
// SYNC bench_pong: release in PingPong answer, acquire in PingPong serve.
// No pause instruction in these loops: it would add 40 to 140 cycles to what they measure.

/// Plays rounds from+1 .. to; records the ticks of each when `times` is given.
inline void serve(PingPong& game, std::uint32_t from, std::uint32_t to, Histogram* times) noexcept {
  std::uint64_t before = ticks();
  for (std::uint32_t round = from + 1; round <= to; ++round) {
    game.ping.store(round, std::memory_order_release);            // SYNC bench_ping
    while (game.pong.load(std::memory_order_acquire) != round) {  // SYNC bench_pong
    }
    const std::uint64_t now = ticks();
    if (times != nullptr) times->record(now - before);
    before = now;
  }
}

inline void answer(PingPong& game, std::uint32_t rounds) noexcept {
  for (std::uint32_t round = 1; round <= rounds; ++round) {
    while (game.ping.load(std::memory_order_acquire) != round) {  // SYNC bench_ping
    }
    game.pong.store(round, std::memory_order_release);  // SYNC bench_pong
  }
}

}  // namespace mallbots::bench
