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

void stamp_each(Game& game, const Length& length) {
  serve(game.lines, 0, length.warm_up, [] {});
  game.wall_ns = raw_now_ns();
  serve_stamped(game.lines, length.warm_up, length.rounds, game.times);
  game.wall_ns = raw_now_ns() - game.wall_ns;
}

void stamp_blocks(Game& game, const Length& length) {
  serve(game.lines, 0, length.warm_up, [] {});
  const std::uint64_t start = raw_now_ns();
  std::uint64_t before = start;
  for (std::uint32_t at = length.warm_up; at < length.rounds; at += PingPong::kStay) {
    serve(game.lines, at, at + PingPong::kStay, [] {});
    const std::uint64_t now = raw_now_ns();
    game.times.record((now - before) / PingPong::kStay);
    before = now;
  }
  game.wall_ns = before - start;
}

void answer_lines(Game& game, const Length& length) { answer(game.lines, length.rounds); }

// One word of each pair for both directions: odd numbers go there, even ones come back.
// SYNC bench_turn: release in first_turn and second_turn, acquire in second_turn and first_turn.
void first_turn(Game& game, const Length& length) {
  std::uint64_t before = ticks();
  for (std::uint32_t round = 1; round <= length.rounds; ++round) {
    std::atomic<std::uint32_t>& word = game.lines.pair_of(round).ping;
    word.store(2 * round + 1, std::memory_order_release);            // SYNC bench_turn
    while (word.load(std::memory_order_acquire) != 2 * round + 2) {  // SYNC bench_turn
    }
    const std::uint64_t now = ticks();
    if (round > length.warm_up) game.times.record(now - before);
    before = now;
  }
}

void second_turn(Game& game, const Length& length) {
  for (std::uint32_t round = 1; round <= length.rounds; ++round) {
    std::atomic<std::uint32_t>& word = game.lines.pair_of(round).ping;
    while (word.load(std::memory_order_acquire) != 2 * round + 1) {  // SYNC bench_turn
    }
    word.store(2 * round + 2, std::memory_order_release);  // SYNC bench_turn
  }
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
  if (game.wall_ns > 0)
    figures["wall"] = static_cast<double>(game.wall_ns) / (length.rounds - length.warm_up);
  return figures;
}

}  // namespace

void add_cache_line_limit(Registry& registry) {
  registry.add(Limit{
      .name = "limit.cache_line",
      .work = "cache line, round trip",
      .placement = "two processes, pinned, spinning",
      .main_figure = "p50",
      .figures = {"p50", "p99", "p99.9", "max", "wall"},
      .methods = {{"each round stamped",
                   [](const RunContext& run) { return play(run, stamp_each, answer_lines, 0); }},
                  {"blocks of 50 by the second clock",
                   [](const RunContext& run) { return play(run, stamp_blocks, answer_lines, 1); }}},
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
