// rtt.*: a question through one topic, the answer through another, one at a time.
//
// The leader appends and polls, the follower polls and appends what it was given as the answer, out
// of the question's memory; every record's number is checked on both sides, and the leader writes
// the next one into its buffer while it waits. In slices (harness/slices.h). Compared with the bare
// ring that does the same (limits/ring_limits.cpp). In place: the follower copies the question
// straight into the answer's memory, and the leader its payload straight into the question's.
//
// Beside a stalled neighbour: a third process has read from the question's topic and appended to
// it, and is stopped (SIGSTOP) with its pin and its session for as long as the measurement takes.
#include <unistd.h>

#include <array>
#include <atomic>

#include "bench/harness/child_process.h"
#include "bench/harness/clock.h"
#include "bench/harness/roles.h"
#include "bench/harness/shared_block.h"
#include "bench/harness/slices.h"
#include "bench/scenarios/payload.h"
#include "bench/scenarios/scenarios.h"
#include "bench/scenarios/stage.h"

namespace mallbots::bench {
namespace {

struct Outcome {
  Slices slices;
  std::uint64_t touched = 0;        ///< keeps the reads alive
  std::atomic<pid_t> neighbour{0};  ///< from when it is there until it goes on
};

struct Trip {
  std::string runtime_dir;
  std::size_t payload = 64;
  SlicePlan plan;
  client::Waiting waiting = client::Waiting::kSpin;
};

/// Copies the payload into the log, as most producers do.
class Copying {
 public:
  static Result<Copying> open(client::Connection& connection, const std::string& topic) {
    auto producer = produce_to(connection, topic);
    if (!producer) return std::unexpected(std::move(producer).error());
    return Copying{std::move(*producer)};
  }
  Result<void> send(std::span<const std::byte> bytes) {
    const auto sent = producer_->append({.payload = bytes}, {.partition = 0});
    if (!sent) return std::unexpected(sent.error());
    return {};
  }

 private:
  explicit Copying(std::unique_ptr<client::Producer> producer) : producer_(std::move(producer)) {}
  std::unique_ptr<client::Producer> producer_;
};

class InPlace {
 public:
  static Result<InPlace> open(client::Connection& connection, const std::string& topic) {
    auto producer = client::ExclusiveProducer::open(connection, topic);
    if (!producer) return std::unexpected(std::move(producer).error());
    return InPlace{std::move(*producer)};
  }
  Result<void> send(std::span<const std::byte> bytes) {
    const auto place = producer_->reserve(bytes.size());
    if (!place) return std::unexpected(place.error());
    std::memcpy(place->data(), bytes.data(), bytes.size());
    const auto sent = producer_->commit();
    if (!sent) return std::unexpected(sent.error());
    return {};
  }

 private:
  explicit InPlace(std::unique_ptr<client::ExclusiveProducer> producer)
      : producer_(std::move(producer)) {}
  std::unique_ptr<client::ExclusiveProducer> producer_;
};

/// The next record; its payload is valid until the next poll.
Result<std::span<const std::byte>> receive(client::Consumer& consumer, std::uint64_t number) {
  const auto records = consumer.poll(Deadline::never(), 1);
  if (!records) return std::unexpected(records.error());
  const std::span<const std::byte> payload = records->front().payload;
  MALLBOTS_TRY(expect_number(number, number_in(payload)));
  return payload;
}

template <class Sender>
Result<void> lead(RoleContext& role, const Trip& trip, Outcome& outcome) {
  role.meet();
  auto connection = attach(trip.runtime_dir, trip.waiting);
  if (!connection) return std::unexpected(connection.error());
  auto sender = Sender::open(**connection, "there");
  if (!sender) return std::unexpected(sender.error());
  auto consumer = read_from_now(**connection, "back");
  if (!consumer) return std::unexpected(consumer.error());
  PayloadBuffer buffer;
  role.meet();
  const auto play = [&](std::uint64_t from, std::uint64_t to, const auto& record) -> Result<void> {
    std::uint64_t before = ticks();
    for (std::uint64_t round = from; round < to; ++round) {
      MALLBOTS_TRY(sender->send(buffer.first(trip.payload)));
      put_number(buffer.bytes.data(), round + 1);
      const auto answer = receive(**consumer, round);
      if (!answer) return std::unexpected(answer.error());
      outcome.touched += touch_lines(*answer);
      const std::uint64_t now = ticks();
      record(now - before);
      before = now;
    }
    return {};
  };
  MALLBOTS_TRY(lead_slices(outcome.slices, trip.plan, play));
  // Again and again: it may only be about to stop.
  for (pid_t stopped = 0; (stopped = outcome.neighbour.load()) != 0; ::usleep(1'000))
    resume_process(stopped);
  role.meet();
  return {};
}

template <class Sender>
Result<void> follow(RoleContext& role, const Trip& trip, Outcome& outcome) {
  role.meet();
  auto connection = attach(trip.runtime_dir, trip.waiting);
  if (!connection) return std::unexpected(connection.error());
  auto sender = Sender::open(**connection, "back");
  if (!sender) return std::unexpected(sender.error());
  auto consumer = read_from_now(**connection, "there");
  if (!consumer) return std::unexpected(consumer.error());
  role.meet();
  const auto play = [&](std::uint64_t from, std::uint64_t to) -> Result<void> {
    for (std::uint64_t round = from; round < to; ++round) {
      const auto question = receive(**consumer, round);
      if (!question) return std::unexpected(question.error());
      MALLBOTS_TRY(sender->send(*question));
    }
    return {};
  };
  MALLBOTS_TRY(follow_slices(outcome.slices, trip.plan, play));
  role.meet();
  return {};
}

/// Holds a pin and a producer's seat, and stops.
Result<void> stall(RoleContext& role, const Trip& trip, Outcome& outcome) {
  auto connection = attach(trip.runtime_dir, client::Waiting::kBlock);
  if (!connection) return std::unexpected(connection.error());
  auto consumer = read_from_now(**connection, "there");
  if (!consumer) return std::unexpected(consumer.error());
  auto producer = produce_to(**connection, "there");
  if (!producer) return std::unexpected(producer.error());
  const PayloadBuffer buffer;
  const auto sent = (*producer)->append({.payload = buffer.first(trip.payload)}, {.partition = 0});
  if (!sent) return std::unexpected(sent.error());
  const auto seen = (*consumer)->poll(Deadline::after_ms(1'000));
  if (!seen) return std::unexpected(seen.error());
  outcome.neighbour.store(::getpid());
  role.meet();
  role.meet();
  stop_this_process();
  outcome.neighbour.store(0);
  role.meet();
  return {};
}

struct Game {
  std::size_t payload = 64;
  std::uint64_t rounds = 100'000;
  client::Waiting waiting = client::Waiting::kSpin;
  std::vector<TopicSpec> topics;
  bool stalled_neighbour = false;
};

template <class Sender>
Result<Figures> play(const RunContext& run, const Game& game) {
  auto stage = Stage::open(run, game.topics);
  if (!stage) return std::unexpected(stage.error());
  auto outcome = Shared<Outcome>::create();
  if (!outcome) return std::unexpected(outcome.error());
  // A sleeper's time is not that of the line, and its limit is not cut: the run's probes judge, and
  // few of its rounds shall follow on spinning.
  const bool sleeps = game.waiting == client::Waiting::kBlock;
  const Trip trip{
      (*stage)->runtime_dir(), game.payload,
      SlicePlan::of(run.times(game.rounds, 200), sleeps ? kAnywhere : run.near, sleeps ? 10 : 100),
      game.waiting};
  std::vector roles{
      Role{"leader", run.cpu_a,
           [&](RoleContext& role) { return lead<Sender>(role, trip, **outcome); }},
      Role{"follower", run.cpu_b,
           [&](RoleContext& role) { return follow<Sender>(role, trip, **outcome); }},
  };
  if (game.stalled_neighbour)
    roles.push_back(Role{"neighbour", kUnpinned,
                         [&](RoleContext& role) { return stall(role, trip, **outcome); }});
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {outcome->bytes()}}));
  return (*outcome)->slices.figures();
}

std::vector<TopicSpec> in_memory(const std::string& slot_bytes) {
  return {memory_topic("there", slot_bytes), memory_topic("back", slot_bytes)};
}

Line p50(std::string work, std::string limit, double budget) {
  return Line{.work = std::move(work),
              .figure = "p50",
              .limit = {{std::move(limit), "p50"}},
              .bound = Bound::kRatioAtMost,
              .budget = budget};
}

Line shown(std::string work, std::string figure, std::string limit = {}) {
  Line line{.work = std::move(work), .figure = figure};
  if (!limit.empty()) line.limit = {{std::move(limit), std::move(figure)}};
  return line;
}

void add_small(Registry& registry, bool on_disk) {
  const std::string what = on_disk ? "round trip 64 B, storage=disk," : "round trip 64 B";
  registry.add(Row{
      .name = on_disk ? "rtt.64_disk" : "rtt.64",
      .placement = on_disk ? "two processes, pinned, spinning; acks=committed; the broker persists "
                             "on the same two cores"
                           : "two processes, pinned, spinning; acks=committed, storage=memory",
      .peer = "Aeron exclusive IPC 0.9 to 1.0 x; iceoryx 13 x",
      .lines = {p50(what + " p50", "limit.cache_line", 1.1),
                Line{.work = what + " p99",
                     .figure = "p99",
                     .limit = {{"limit.cache_line", "p50"}},
                     .bound = Bound::kRatioAtMost,
                     .budget = 1.7},
                shown("  p50 beside a bare log's", "p50", "limit.log_rtt_64"),
                shown("  p50 beside a bare ring's", "p50", "limit.ring_rtt_64_hot"),
                shown("  p99 beside a bare ring's", "p99", "limit.ring_rtt_64_hot"),
                shown("  p99.9 beside a bare ring's", "p99.9", "limit.ring_rtt_64_hot")},
      .measure = [on_disk](const RunContext& run) {
        Game game{.topics = in_memory("2MiB")};
        if (on_disk) game.topics = {TopicSpec{"there"}, TopicSpec{"back"}};
        return play<Copying>(run, game);
      }});
}

void add_large(Registry& registry) {
  registry.add(
      Row{.name = "rtt.1k",
          .placement = "two processes, pinned, spinning; acks=committed, storage=memory",
          .peer = "Aeron 1.05 x",
          .lines = {p50("round trip 1 KiB p50", "limit.ring_rtt_1k", 1.05),
                    shown("  beside the ring in hot memory", "p50", "limit.ring_rtt_1k_hot")},
          .measure = [](const RunContext& run) {
            return play<Copying>(run, {.payload = 1024, .topics = in_memory("1MiB")});
          }});
  registry.add(
      Row{.name = "rtt.16k",
          .placement = "two exclusive producers writing in place, pinned, spinning; storage=memory",
          .peer = "Aeron 0.95 x",
          .lines = {p50("round trip 16 KiB in place p50", "limit.ring_rtt_16k", 0.9),
                    shown("  beside the ring in hot memory", "p50", "limit.ring_rtt_16k_hot")},
          .measure = [](const RunContext& run) {
            return play<InPlace>(run, {.payload = 16384,
                                       .rounds = 20'000,
                                       .topics = {exclusive_memory_topic("there", "256KiB"),
                                                  exclusive_memory_topic("back", "256KiB")}});
          }});
}

}  // namespace

void add_round_trip_rows(Registry& registry) {
  add_small(registry, false);
  add_small(registry, true);
  add_large(registry);
  registry.add(Row{
      .name = "rtt.64_stalled_neighbour",
      .placement = "as rtt.64, beside a stopped process that reads and produces on the same topic",
      .lines = {shown("round trip 64 B, neighbour stopped, p50", "p50", "limit.ring_rtt_64_hot"),
                shown("  p99 beside a bare ring's", "p99", "limit.ring_rtt_64_hot"),
                shown("  p99.9 beside a bare ring's", "p99.9", "limit.ring_rtt_64_hot")},
      .measure = [](const RunContext& run) {
        return play<Copying>(run, {.topics = in_memory("2MiB"), .stalled_neighbour = true});
      }});
  registry.add(
      Row{.name = "rtt.sleeping",
          .placement = "two processes, pinned, both sleeping (waiting=block); storage=memory",
          .peer = "Boost message_queue 1.03 x",
          .lines = {p50("round trip 64 B, sleeping sides, p50", "limit.futex_rtt", 1.05),
                    shown("  p99 beside the bare futex's", "p99", "limit.futex_rtt")},
          .measure = [](const RunContext& run) {
            return play<Copying>(
                run,
                {.rounds = 8'000, .waiting = client::Waiting::kBlock, .topics = in_memory("2MiB")});
          }});
}

}  // namespace mallbots::bench
