// limit.cache_line: how fast two cores can tell each other anything at all, each writing a line of
// its own, as the two directions of any exchange of records do. One loop stamps every round with
// ticks(), the other reads CLOCK_MONOTONIC_RAW around blocks of rounds. "wall" is the time of all
// rounds by that second clock, divided: it must agree with the mean.
//
// limit.cache_line_turns: one line that both write in turns. Some processors hand such a line over
// faster, but no log can use that: it would have to send and answer in the same bytes. Only shown.
#include <array>
#include <atomic>

#include "bench/harness/ping_pong.h"
#include "bench/harness/roles.h"
#include "bench/harness/shared_block.h"
#include "bench/limits/limits.h"

namespace mallbots::bench {
namespace {

struct Game {
  PingPong lines;
  alignas(128) std::atomic<std::uint32_t> turn;
  alignas(128) Histogram times;
  std::uint64_t wall_ns = 0;
};

struct Length {
  std::uint32_t warm_up;
  std::uint32_t rounds;  ///< the warm-up included
};

Length length_of(const RunContext& run) {
  const auto rounds = static_cast<std::uint32_t>(run.times(200'000, 1'000));
  return Length{rounds / 10, rounds};
}

void serve_stamped(Game& game, const Length& length) {
  serve(game.lines, 0, length.warm_up, nullptr);
  game.wall_ns = raw_now_ns();
  serve(game.lines, length.warm_up, length.rounds, &game.times);
  game.wall_ns = raw_now_ns() - game.wall_ns;
}

void serve_blocks(Game& game, const Length& length) {
  // As ping_pong.h's serve, without a clock inside.
  const auto play = [&](std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t round = from + 1; round <= to; ++round) {
      game.lines.ping.store(round, std::memory_order_release);            // SYNC bench_ping
      while (game.lines.pong.load(std::memory_order_acquire) != round) {  // SYNC bench_pong
      }
    }
  };
  constexpr std::uint32_t kBlock = 50;
  play(0, length.warm_up);
  const std::uint64_t start = raw_now_ns();
  std::uint64_t before = start;
  for (std::uint32_t at = length.warm_up; at + kBlock <= length.rounds; at += kBlock) {
    play(at, at + kBlock);
    const std::uint64_t now = raw_now_ns();
    game.times.record((now - before) / kBlock);
    before = now;
  }
  game.wall_ns = before - start;
}

// SYNC bench_turn: release in take_turns, acquire in take_turns.
void take_turns(Game& game, const Length& length, std::uint32_t side) {
  std::uint64_t before = ticks();
  for (std::uint32_t round = 0; round < length.rounds; ++round) {
    const std::uint32_t mine = 2 * round + side;
    while (game.turn.load(std::memory_order_acquire) != mine) {  // SYNC bench_turn
    }
    if (side == 0) {
      const std::uint64_t now = ticks();
      if (round == length.warm_up) game.wall_ns = raw_now_ns();
      if (round > length.warm_up) game.times.record(now - before);
      before = now;
    }
    game.turn.store(mine + 1, std::memory_order_release);  // SYNC bench_turn
  }
  if (side == 0) game.wall_ns = raw_now_ns() - game.wall_ns;
}

using Side = void (*)(Game&, const Length&);

/// `ns_per_count`: what one count of the histogram is; 0: a tick.
Result<Figures> play(const RunContext& run, Side first, Side second, double ns_per_count) {
  const Length length = length_of(run);
  auto memory = Shared<Game>::create();
  if (!memory) return std::unexpected(std::move(memory).error());
  Game& game = **memory;
  const auto body = [&](Side side) {
    return [&, side](RoleContext&) -> Result<void> {
      side(game, length);
      return {};
    };
  };
  const std::array roles{Role{"first core", run.cpu_a, body(first)},
                         Role{"second core", run.cpu_b, body(second)}};
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {memory->bytes()}}));
  Figures figures = latency_figures(game.times);
  if (ns_per_count > 0) {
    for (auto& [name, value] : figures) value *= ns_per_count / clock_info().ns_per_tick;
    // A block's mean hides its slowest round.
    for (const char* tail : {"p90", "p99", "p99.9", "max"}) figures.erase(tail);
  }
  figures["wall"] = static_cast<double>(game.wall_ns) / (length.rounds - length.warm_up);
  return figures;
}

void answer_lines(Game& game, const Length& length) { answer(game.lines, length.rounds); }
void first_turn(Game& game, const Length& length) { take_turns(game, length, 0); }
void second_turn(Game& game, const Length& length) { take_turns(game, length, 1); }

}  // namespace

void add_cache_line_limit(Registry& registry) {
  registry.add(Limit{
      .name = "limit.cache_line",
      .work = "cache line, round trip",
      .placement = "two processes, pinned, spinning",
      .main_figure = "p50",
      .figures = {"p50", "p99", "p99.9", "max", "wall"},
      .methods = {{"each round stamped",
                   [](const RunContext& run) { return play(run, serve_stamped, answer_lines, 0); }},
                  {"blocks of 50 by the second clock",
                   [](const RunContext& run) { return play(run, serve_blocks, answer_lines, 1); }}},
  });
  registry.add(Limit{
      .name = "limit.cache_line_turns",
      .work = "one line written in turns, round trip",
      .placement = "two processes, pinned, spinning",
      .main_figure = "p50",
      .figures = {"p50", "p99"},
      .methods = {{"each round stamped",
                   [](const RunContext& run) { return play(run, first_turn, second_turn, 0); }}},
  });
}

}  // namespace mallbots::bench
