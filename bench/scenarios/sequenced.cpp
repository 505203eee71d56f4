// sequenced.*: records handed in to the broker, one at a time, from append() to its answer.
//
// The producer is pinned to the first core and spins; the sequencer spins too while it has work, on
// whatever core the kernel gives it, which with two cores is the other one.
#include <array>

#include "bench/harness/clock.h"
#include "bench/harness/roles.h"
#include "bench/harness/shared_block.h"
#include "bench/scenarios/payload.h"
#include "bench/scenarios/scenarios.h"
#include "bench/scenarios/stage.h"

namespace mallbots::bench {
namespace {

constexpr std::size_t kPayload = 64;

Result<void> hand_in_all(RoleContext& role, const std::string& runtime_dir, std::uint64_t rounds,
                         Histogram& times) {
  role.meet();
  auto connection = attach(runtime_dir, client::Waiting::kSpin);
  if (!connection) return std::unexpected(connection.error());
  auto producer = produce_to(**connection, "t");
  if (!producer) return std::unexpected(producer.error());
  PayloadBuffer buffer;
  role.meet();
  std::uint64_t before = ticks();
  for (std::uint64_t round = 0; round < rounds; ++round) {
    put_number(buffer.bytes.data(), round);
    const auto sent = (*producer)->append({.payload = buffer.first(kPayload)}, {.partition = 0});
    if (!sent) return std::unexpected(sent.error());
    MALLBOTS_TRY(expect_number(round, sent->offset));
    const std::uint64_t now = ticks();
    if (round >= rounds / 10) times.record(now - before);
    before = now;
  }
  role.meet();
  return {};
}

Result<Figures> hand_in(const RunContext& run, TopicSpec topic) {
  topic.settings.push_back({"ingest", "sequenced"});
  auto stage = Stage::open(run, {topic});
  if (!stage) return std::unexpected(stage.error());
  auto times = Shared<Histogram>::create();
  if (!times) return std::unexpected(times.error());
  const std::string& runtime_dir = (*stage)->runtime_dir();
  const std::uint64_t rounds = run.times(100'000, 200);
  const std::array roles{Role{"producer", run.cpu_a, [&](RoleContext& role) {
                                return hand_in_all(role, runtime_dir, rounds, **times);
                              }}};
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {times->bytes()}}));
  return latency_figures(**times);
}

std::vector<Line> lines(const std::string& work) {
  return {Line{.work = work + " p50",
               .figure = "p50",
               .limit = {{"limit.cache_line", "p50"}},
               .bound = Bound::kRatioAtMost,
               .budget = 4.0},
          Line{.work = "  p99 beside a bare ring's",
               .figure = "p99",
               .limit = {{"limit.ring_rtt_64_hot", "p99"}}}};
}

}  // namespace

void add_sequenced_rows(Registry& registry) {
  registry.add(Row{
      .name = "sequenced.append",
      .placement = "producer pinned and spinning; the broker's sequencer spins on the other core, "
                   "not pinned; acks=committed, storage=memory",
      .lines = lines("sequenced append 64 B, spinning"),
      .measure = [](const RunContext& run) { return hand_in(run, memory_topic("t")); }});
  registry.add(Row{
      .name = "sequenced.append_disk",
      .placement = "as sequenced.append with storage=disk; the broker persists on the same cores",
      .lines = lines("sequenced append 64 B, storage=disk"),
      .measure = [](const RunContext& run) { return hand_in(run, TopicSpec{"t"}); }});
}

}  // namespace mallbots::bench
