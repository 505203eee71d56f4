// durable.*: appends that survive a power cut: one at a time, by 64 processes that each wait for
// their own, and with 64 in flight from one process.
//
// The rows of 64 measure the rate of one right before, in the same run on the same daemon: their
// limit is that figure of their own. One at a time goes in turns with the bare flush, because the
// disk's pace changes from second to second (docs/decisions/0017); to budgets of 15 and 40 times
// that matters less.
#include <array>
#include <deque>

#include "bench/harness/clock.h"
#include "bench/harness/roles.h"
#include "bench/harness/shared_block.h"
#include "bench/limits/bare_flush.h"
#include "bench/scenarios/payload.h"
#include "bench/scenarios/scenarios.h"
#include "bench/scenarios/stage.h"

namespace mallbots::bench {
namespace {

constexpr std::size_t kPayload = 256;
constexpr std::size_t kMany = 64;
constexpr const char* kTopic = "orders";

struct Outcome {
  Histogram times;
  std::array<std::uint64_t, kMany> acknowledged{};
  FlushTimes flushes;
};

double seconds_of(const RunContext& run) { return run.quick ? 0.05 : 1.0; }

std::uint64_t end_after(double seconds) { return ticks() + ns_to_ticks(seconds * 1e9); }

/// Appends and waits, until the time is over; `times` may be null.
Result<void> append_for(client::Producer& producer, const PayloadBuffer& buffer, double seconds,
                        std::uint64_t& acknowledged, Histogram* times) {
  const std::uint64_t end = end_after(seconds);
  std::uint64_t before = ticks();
  while (before < end) {
    const auto sent = producer.append({.payload = buffer.first(kPayload)},
                                      {.partition = 0, .acks = client::Acks::kDurable});
    if (!sent) return std::unexpected(sent.error());
    const std::uint64_t now = ticks();
    if (times != nullptr) times->record(now - before);
    ++acknowledged;
    before = now;
  }
  return {};
}

Result<void> one_at_a_time(RoleContext& role, const std::string& runtime_dir, double seconds,
                           std::uint64_t& acknowledged) {
  auto connection = attach(runtime_dir);
  if (!connection) return std::unexpected(connection.error());
  auto producer = produce_to(**connection, kTopic);
  if (!producer) return std::unexpected(producer.error());
  const PayloadBuffer buffer;
  role.meet();
  MALLBOTS_TRY(append_for(**producer, buffer, seconds, acknowledged, nullptr));
  role.meet();
  return {};
}

/// A twentieth of the time, then as long the bare flush, and so on.
Result<void> in_turns_with_the_flush(RoleContext& role, const std::string& runtime_dir,
                                     const RunContext& run, double seconds, Outcome& outcome) {
  constexpr int kTurns = 20;
  auto connection = attach(runtime_dir);
  if (!connection) return std::unexpected(connection.error());
  auto producer = produce_to(**connection, kTopic);
  if (!producer) return std::unexpected(producer.error());
  auto flush = BareFlush::open(run.scratch_dir);
  if (!flush) return std::unexpected(std::move(flush).error());
  const PayloadBuffer buffer;
  role.meet();
  for (int turn = 0; turn < kTurns; ++turn) {
    MALLBOTS_TRY(
        append_for(**producer, buffer, seconds / kTurns, outcome.acknowledged[0], &outcome.times));
    MALLBOTS_TRY(flush->turn({.seconds = seconds / kTurns / kFlushWays.size()}, outcome.flushes));
  }
  role.meet();
  return {};
}

/// Keeps kMany records under way; waits for the oldest when all are.
Result<void> many_in_flight(RoleContext& role, const std::string& runtime_dir, double seconds,
                            std::uint64_t& acknowledged) {
  auto connection = attach(runtime_dir);
  if (!connection) return std::unexpected(connection.error());
  auto producer = produce_to(**connection, kTopic);
  if (!producer) return std::unexpected(producer.error());
  const PayloadBuffer buffer;
  std::deque<client::Receipt> in_flight;
  role.meet();
  const std::uint64_t end = end_after(seconds);
  while (ticks() < end) {
    while (in_flight.size() < kMany) {
      const auto sent = (*producer)->append({.payload = buffer.first(kPayload)}, {.partition = 0});
      if (!sent) return std::unexpected(sent.error());
      in_flight.push_back(*sent);
    }
    MALLBOTS_TRY((*producer)->wait_durable(in_flight.front(), Deadline::after_ms(10'000)));
    const Offset durable = (*producer)->durable_offset(0);
    while (!in_flight.empty() && in_flight.front().last_offset() < durable) {
      in_flight.pop_front();
      ++acknowledged;
    }
  }
  role.meet();
  return {};
}

Result<double> rate_of_one(const std::string& runtime_dir, double seconds, Outcome& outcome) {
  outcome = Outcome{};
  const std::array roles{Role{"producer", kUnpinned, [&](RoleContext& role) {
                                return one_at_a_time(role, runtime_dir, seconds,
                                                     outcome.acknowledged[0]);
                              }}};
  MALLBOTS_TRY(run_roles(roles, {}));
  return static_cast<double>(outcome.acknowledged[0]) / seconds;
}

Result<double> rate_of_many_processes(const std::string& runtime_dir, double seconds,
                                      Outcome& outcome) {
  outcome = Outcome{};
  std::vector<Role> roles;
  roles.reserve(kMany);
  for (std::size_t i = 0; i < kMany; ++i) {
    roles.push_back(Role{fmt::format("producer {}", i), kUnpinned, [&, i](RoleContext& role) {
                           return one_at_a_time(role, runtime_dir, seconds,
                                                outcome.acknowledged[i]);
                         }});
  }
  MALLBOTS_TRY(run_roles(roles, {}));
  std::uint64_t sum = 0;
  for (const std::uint64_t acknowledged : outcome.acknowledged) sum += acknowledged;
  return static_cast<double>(sum) / seconds;
}

Result<double> rate_in_flight(const std::string& runtime_dir, double seconds, Outcome& outcome) {
  outcome = Outcome{};
  const std::array roles{Role{"producer", kUnpinned, [&](RoleContext& role) {
                                return many_in_flight(role, runtime_dir, seconds,
                                                      outcome.acknowledged[0]);
                              }}};
  MALLBOTS_TRY(run_roles(roles, {}));
  return static_cast<double>(outcome.acknowledged[0]) / seconds;
}

using Rate = Result<double> (*)(const std::string&, double, Outcome&);

Result<Figures> beside_one(const RunContext& run, Rate many) {
  auto stage = Stage::open(run, {TopicSpec{kTopic}});
  if (!stage) return std::unexpected(stage.error());
  auto outcome = Shared<Outcome>::create();
  if (!outcome) return std::unexpected(outcome.error());
  const double seconds = seconds_of(run);
  const auto one = rate_of_one((*stage)->runtime_dir(), seconds, **outcome);
  if (!one) return std::unexpected(one.error());
  const auto all = many((*stage)->runtime_dir(), seconds, **outcome);
  if (!all) return std::unexpected(all.error());
  return Figures{{"one", *one}, {"rate", *all}};
}

Result<Figures> one(const RunContext& run) {
  auto stage = Stage::open(run, {TopicSpec{kTopic}});
  if (!stage) return std::unexpected(stage.error());
  auto outcome = Shared<Outcome>::create();
  if (!outcome) return std::unexpected(outcome.error());
  const std::array roles{Role{"producer", kUnpinned, [&](RoleContext& role) {
                                return in_turns_with_the_flush(role, (*stage)->runtime_dir(), run,
                                                               seconds_of(run), **outcome);
                              }}};
  MALLBOTS_TRY(run_roles(roles, {}));
  Figures figures = latency_figures((*outcome)->times);
  figures.merge((*outcome)->flushes.figures());
  return figures;
}

Line beside_one_line(std::string work, double budget) {
  return Line{.work = std::move(work),
              .figure = "rate",
              .unit = Unit::kPerSecond,
              .limit = {{"", "one"}},
              .bound = Bound::kRatioAtLeast,
              .budget = budget};
}

}  // namespace

void add_durable_rows(Registry& registry) {
  registry.add(Row{.name = "durable.one",
                   .placement = "one process and the broker, not pinned, default waiting; 256 B, "
                                "acks=durable, storage=disk; in turns of 50 ms with the bare flush",
                   .peer = "Redis always 135 us",
                   .probe = ProbeRule::kShownOnly,
                   .lines = {Line{.work = "one durable append at a time, p50",
                                  .figure = "p50",
                                  .limit = {{"", "flush_p50"}, {"limit.futex_wake", "p50", 2.0}},
                                  .bound = Bound::kRatioAtMost,
                                  .budget = 1.25},
                             Line{.work = "  p99 beside the bare flush's",
                                  .figure = "p99",
                                  .limit = {{"", "flush_p99"}}}},
                   .measure = one});
  registry.add(Row{
      .name = "durable.64_waiting",
      .placement = "64 processes and the broker, not pinned; 256 B into one partition, "
                   "acks=durable, storage=disk; limit: the rate of one",
      .probe = ProbeRule::kShownOnly,
      .lines = {beside_one_line("durable, 64 processes each waiting", 15)},
      .measure = [](const RunContext& run) { return beside_one(run, rate_of_many_processes); }});
  registry.add(
      Row{.name = "durable.64_in_flight",
          .placement = "one process and the broker, not pinned; 256 B, 64 appended and "
                       "not yet durable, storage=disk; limit: the rate of one",
          .peer = "Redis pipelined 24 x",
          .probe = ProbeRule::kShownOnly,
          .lines = {beside_one_line("durable, 64 in flight from one process", 40)},
          .measure = [](const RunContext& run) { return beside_one(run, rate_in_flight); }});
}

}  // namespace mallbots::bench
