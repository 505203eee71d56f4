// end_to_end.*: 1,000 records a second, each counted from when it was meant to be sent to when a
// sleeping reader has it (bench/README.md, "Intended send time"). Durable ones go in turns with the
// bare flush (docs/decisions/0017).
#include <array>
#include <optional>

#include "bench/harness/clock.h"
#include "bench/harness/roles.h"
#include "bench/harness/schedule.h"
#include "bench/harness/shared_block.h"
#include "bench/limits/bare_flush.h"
#include "bench/scenarios/payload.h"
#include "bench/scenarios/scenarios.h"
#include "bench/scenarios/stage.h"

namespace mallbots::bench {
namespace {

constexpr double kPerSecond = 1'000;
constexpr std::size_t kPayload = 64;
constexpr std::uint64_t kTurns = 20;
constexpr std::uint64_t kSends = 600;
static_assert(kSends % kTurns == 0);

struct Flow {
  TopicSpec topic;
  client::Acks acks;
  client::ReadLevel level;
};

struct Outcome {
  Histogram times;
  FlushTimes flushes;
};

Result<void> send_all(RoleContext& role, const RunContext& run, const std::string& runtime_dir,
                      const Flow& flow, std::uint64_t sends, FlushTimes& flushes) {
  auto connection = attach(runtime_dir, client::Waiting::kBlock);
  if (!connection) return std::unexpected(connection.error());
  auto producer = produce_to(**connection, flow.topic.name);
  if (!producer) return std::unexpected(producer.error());
  std::optional<BareFlush> flush;
  if (flow.acks == client::Acks::kDurable) {
    auto opened = BareFlush::open(run.scratch_dir);
    if (!opened) return std::unexpected(std::move(opened).error());
    flush.emplace(*std::move(opened));
  }
  PayloadBuffer buffer;
  role.meet();
  const std::uint64_t turns = flush ? kTurns : 1;
  const std::uint64_t of_turn = sends / turns;
  for (std::uint64_t turn = 0; turn < turns; ++turn) {
    const Schedule schedule{ticks(), kPerSecond, Schedule::Waiting::kSleep};
    for (std::uint64_t send = 0; send < of_turn; ++send) {
      put_number(buffer.bytes.data(), schedule.wait_for(send));
      const auto appended = (*producer)->append({.payload = buffer.first(kPayload)},
                                                {.partition = 0, .acks = flow.acks});
      if (!appended) return std::unexpected(appended.error());
    }
    // As many of each as of the product's, so that a slow stretch of the disk weighs alike.
    if (flush) MALLBOTS_TRY(flush->turn({.flushes = of_turn}, flushes));
  }
  role.meet();
  return {};
}

Result<void> receive_all(RoleContext& role, const std::string& runtime_dir, const Flow& flow,
                         std::uint64_t sends, Histogram& times) {
  auto connection = attach(runtime_dir, client::Waiting::kBlock);
  if (!connection) return std::unexpected(connection.error());
  auto consumer = read_from_now(**connection, flow.topic.name, flow.level);
  if (!consumer) return std::unexpected(consumer.error());
  role.meet();
  for (std::uint64_t received = 0; received < sends;) {
    const auto records = (*consumer)->poll(Deadline::never());
    if (!records) return std::unexpected(records.error());
    const std::uint64_t now = ticks();
    for (const client::Message& record : *records) {
      const std::uint64_t intended = number_in(record.payload);
      if (received++ >= sends / 10) times.record(now > intended ? now - intended : 0);
    }
  }
  role.meet();
  return {};
}

Result<Figures> flow_through(const RunContext& run, const Flow& flow) {
  auto stage = Stage::open(run, {flow.topic});
  if (!stage) return std::unexpected(stage.error());
  auto outcome = Shared<Outcome>::create();
  if (!outcome) return std::unexpected(outcome.error());
  const std::string& runtime_dir = (*stage)->runtime_dir();
  const std::uint64_t sends = run.times(kSends, kTurns);
  const std::array roles{
      Role{"sender", kUnpinned,
           [&](RoleContext& role) {
             return send_all(role, run, runtime_dir, flow, sends, (*outcome)->flushes);
           }},
      Role{"receiver", kUnpinned,
           [&](RoleContext& role) {
             return receive_all(role, runtime_dir, flow, sends, (*outcome)->times);
           }},
  };
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {outcome->bytes()}}));
  Figures figures = latency_figures((*outcome)->times);
  figures.merge((*outcome)->flushes.figures());
  return figures;
}

}  // namespace

void add_end_to_end_rows(Registry& registry) {
  registry.add(Row{
      .name = "end_to_end.sleeping",
      .placement = "two processes, not pinned, reader sleeping; 1,000/s from the intended time; "
                   "acks=committed, storage=memory",
      .peer = "Redis 17 us, JetStream 71 us",
      .probe = ProbeRule::kShownOnly,
      .lines = {Line{.work = "end to end, sleeping reader, p50",
                     .figure = "p50",
                     .limit = {{"limit.futex_wake", "p50"}},
                     .bound = Bound::kRatioAtMost,
                     .budget = 2.0},
                Line{.work = "  p99 beside the bare wake's",
                     .figure = "p99",
                     .limit = {{"limit.futex_wake", "p99"}}}},
      .measure = [](const RunContext& run) {
        return flow_through(
            run, {memory_topic("flow"), client::Acks::kCommitted, client::ReadLevel::kCommitted});
      }});
  // Two wakes in a row: that of the sequencer, which parks between two records, and the reader's.
  registry.add(Row{
      .name = "end_to_end.sequenced_sleeping",
      .placement =
          "as end_to_end.sleeping on a topic with ingest=sequenced; the sequencer, a third "
          "thread that sleeps, not pinned either",
      .peer = "Redis 17 us, JetStream 71 us",
      .probe = ProbeRule::kShownOnly,
      .lines = {Line{.work = "end to end, sequenced, sleeping reader, p50",
                     .figure = "p50",
                     .limit = {{"limit.futex_wake", "p50", 2.0}},
                     .bound = Bound::kRatioAtMost,
                     .budget = 2.0},
                Line{.work = "  p99 beside the bare wakes'",
                     .figure = "p99",
                     .limit = {{"limit.futex_wake", "p99", 2.0}}}},
      .measure = [](const RunContext& run) {
        TopicSpec topic = memory_topic("flow");
        topic.settings.push_back({"ingest", "sequenced"});
        return flow_through(run, {topic, client::Acks::kCommitted, client::ReadLevel::kCommitted});
      }});
  registry.add(
      Row{.name = "end_to_end.durable",
          .placement = "two processes and the broker, not pinned, all sleeping; 1,000/s from the "
                       "intended time; acks=durable, read=durable, storage=disk; in turns of 30 "
                       "records with the "
                       "bare flush",
          .peer = "Redis 163 us",
          .probe = ProbeRule::kShownOnly,
          .lines = {Line{.work = "end to end, durable, p50",
                         .figure = "p50",
                         .limit = {{"", "flush_p50"}, {"limit.futex_wake", "p50", 2.0}},
                         .bound = Bound::kRatioAtMost,
                         .budget = 1.4},
                    Line{.work = "  p99 beside the bare flush's",
                         .figure = "p99",
                         .limit = {{"", "flush_p99"}}}},
          .measure = [](const RunContext& run) {
            return flow_through(
                run, {TopicSpec{"flow"}, client::Acks::kDurable, client::ReadLevel::kDurable});
          }});
}

}  // namespace mallbots::bench
