// limit.cache_line: how fast two cores can tell each other anything at all, each writing a line of
// its own, as the two directions of any exchange of records do. One loop stamps every round with
// ticks(), the other reads CLOCK_MONOTONIC_RAW around blocks of rounds. "wall" is the time of all
// rounds that count by that second clock, divided: it must agree with the mean.
//
// limit.cache_line_turns: one line that both write in turns. Some processors hand such a line over
// faster, but no log can use that: it would have to send and answer in the same bytes. Only shown.
#include <algorithm>
#include <array>
#include <atomic>

#include "bench/harness/roles.h"
#include "bench/harness/shared_block.h"
#include "bench/harness/slices.h"
#include "bench/limits/limits.h"

namespace mallbots::bench {
namespace {

struct Game {
  PingPong lines;
  Slices slices;
};

// Each plays the rounds from+1 .. to of its side.
struct TwoLines {
  static void follow(PingPong& lines, std::uint32_t from, std::uint32_t to) {
    answer(lines, from, to);
  }
};

struct EachStamped : TwoLines {
  template <class Record>
  static void lead(PingPong& lines, std::uint32_t from, std::uint32_t to, Record record) {
    serve_stamped(lines, from, to, record);
  }
};

/// A block's mean hides its slowest round, so this has no tail.
struct Blocks : TwoLines {
  template <class Record>
  static void lead(PingPong& lines, std::uint32_t from, std::uint32_t to, Record record) {
    std::uint64_t before = raw_now_ns();
    for (std::uint32_t at = from; at < to;) {
      const std::uint32_t rounds = std::min(PingPong::kStay, to - at);
      serve(lines, at, at + rounds, [] {});
      at += rounds;
      const std::uint64_t now = raw_now_ns();
      record(ns_to_ticks(static_cast<double>(now - before) / rounds));
      before = now;
    }
  }
};

/// One word of each pair for both directions: odd numbers go there, even ones come back.
// SYNC bench_turn: release in Turns lead and follow, acquire in Turns follow and lead.
struct Turns {
  template <class Record>
  static void lead(PingPong& lines, std::uint32_t from, std::uint32_t to, Record record) {
    std::uint64_t before = ticks();
    for (std::uint32_t round = from + 1; round <= to; ++round) {
      std::atomic<std::uint32_t>& word = lines.pair_of(round, PingPong::kStay).ping;
      word.store(2 * round + 1, std::memory_order_release);            // SYNC bench_turn
      while (word.load(std::memory_order_acquire) != 2 * round + 2) {  // SYNC bench_turn
      }
      const std::uint64_t now = ticks();
      record(now - before);
      before = now;
    }
  }
  static void follow(PingPong& lines, std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t round = from + 1; round <= to; ++round) {
      std::atomic<std::uint32_t>& word = lines.pair_of(round, PingPong::kStay).ping;
      while (word.load(std::memory_order_acquire) != 2 * round + 1) {  // SYNC bench_turn
      }
      word.store(2 * round + 2, std::memory_order_release);  // SYNC bench_turn
    }
  }
};

template <class Way>
Result<Figures> play(const RunContext& run) {
  auto memory = Shared<Game>::create();
  if (!memory) return std::unexpected(std::move(memory).error());
  Game& game = **memory;
  const SlicePlan plan = SlicePlan::of(run.times(200'000, 1'000), run.near);
  const auto small = [](std::uint64_t round) { return static_cast<std::uint32_t>(round); };
  const std::array roles{
      Role{"first core", run.cpu_a,
           [&](RoleContext&) {
             return lead_slices(
                 game.slices, plan,
                 [&](std::uint64_t from, std::uint64_t to, const auto& record) -> Result<void> {
                   Way::lead(game.lines, small(from), small(to), record);
                   return {};
                 });
           }},
      Role{"second core", run.cpu_b,
           [&](RoleContext&) {
             return follow_slices(game.slices, plan,
                                  [&](std::uint64_t from, std::uint64_t to) -> Result<void> {
                                    Way::follow(game.lines, small(from), small(to));
                                    return {};
                                  });
           }},
  };
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {memory->bytes()}}));
  Figures figures = game.slices.figures();
  if (game.slices.near > 0)
    figures["wall"] = game.slices.near_ns / static_cast<double>(game.slices.near * plan.rounds);
  return figures;
}

Result<Figures> play_blocks(const RunContext& run) {
  auto figures = play<Blocks>(run);
  if (figures)
    for (const char* tail : {"p90", "p99", "p99.9", "max"}) figures->erase(tail);
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
      .methods = {{"each round stamped", play<EachStamped>},
                  {"blocks of 50 by the second clock", play_blocks}},
  });
  registry.add(Limit{
      .name = "limit.cache_line_turns",
      .work = "one line written in turns, round trip",
      .placement = "two processes, pinned, spinning",
      .main_figure = "p50",
      .figures = {"p50", "p99"},
      .methods = {{"each round stamped", play<Turns>}},
  });
}

}  // namespace mallbots::bench
