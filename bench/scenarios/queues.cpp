// queue.*: one member of a queue that takes a message, acknowledges it and waits until the broker
// says that it is done: what a service pays per message that it settles by itself. Each message
// must come once, in its first attempt.
#include <array>

#include "bench/harness/clock.h"
#include "bench/harness/roles.h"
#include "bench/harness/shared_block.h"
#include "bench/scenarios/payload.h"
#include "bench/scenarios/scenarios.h"
#include "bench/scenarios/stage.h"
#include "clients/producer.h"
#include "clients/queue_consumer.h"

namespace mallbots::bench {
namespace {

constexpr std::size_t kPayload = 64;
constexpr std::int64_t kPatienceMs = 10'000;

Result<void> fill(client::Connection& connection, std::uint64_t messages) {
  auto producer = client::Producer::open(connection, "queue");
  if (!producer) return std::unexpected(producer.error());
  const PayloadBuffer buffer;
  for (std::uint64_t i = 0; i < messages; ++i)
    if (const auto sent = (*producer)->append({.payload = buffer.first(kPayload)}); !sent)
      return std::unexpected(sent.error());
  return {};
}

/// Takes 64 at a time and settles them one after the other.
Result<void> settle_all(const std::string& runtime_dir, std::uint64_t messages, Histogram& times) {
  auto connection = attach(runtime_dir, client::Waiting::kHybrid);
  if (!connection) return std::unexpected(connection.error());
  MALLBOTS_TRY(fill(**connection, messages));
  auto member = client::QueueConsumer::open(**connection);
  if (!member) return std::unexpected(member.error());
  const std::array<std::string, 1> topics{"queue"};
  MALLBOTS_TRY((*member)->subscribe(topics, "bench"));
  for (std::uint64_t done = 0; done < messages;) {
    const auto taken = (*member)->poll(Deadline::after_ms(kPatienceMs));
    if (!taken) return std::unexpected(taken.error());
    if (taken->empty()) return fail(ErrorCode::kTimeout, "the queue gives no more messages");
    for (const client::QueueMessage& message : *taken) {
      MALLBOTS_TRY(expect_number(1, message.attempt));
      const std::uint64_t before = ticks();
      MALLBOTS_TRY((*member)->ack(message.token()));
      MALLBOTS_TRY((*member)->flush(Deadline::after_ms(kPatienceMs)));
      if (done++ >= messages / 10) times.record(ticks() - before);
    }
  }
  return {};
}

Result<Figures> measure_ack(const RunContext& run) {
  auto stage = Stage::open(run, {memory_topic("queue")});
  if (!stage) return std::unexpected(stage.error());
  auto times = Shared<Histogram>::create();
  if (!times) return std::unexpected(times.error());
  const std::string& runtime_dir = (*stage)->runtime_dir();
  const std::uint64_t messages = run.times(10'000, 100);
  const std::array roles{Role{"member", kUnpinned, [&](RoleContext&) {
                                return settle_all(runtime_dir, messages, **times);
                              }}};
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {times->bytes()}}));
  return latency_figures(**times);
}

}  // namespace

void add_queue_rows(Registry& registry) {
  // Two sleeping sides wake each other, as in the limit; where the limit has one futex call on each
  // side, here are a packet sent, a poller's return, a packet taken, an entry of the journal, and a
  // doorbell beside the answer: five calls for one, but the wakes are what costs. 2 x.
  registry.add(Row{.name = "queue.ack",
                   .placement = "one member, not pinned, sleeping; 64 B, storage=memory; each "
                                "message acknowledged by itself and the answer waited for",
                   .probe = ProbeRule::kShownOnly,
                   .lines = {Line{.work = "queue, ack until confirmed, p50",
                                  .figure = "p50",
                                  .limit = {{"limit.futex_rtt", "p50"}},
                                  .bound = Bound::kRatioAtMost,
                                  .budget = 2},
                             Line{.work = "  p99", .figure = "p99"}},
                   .measure = measure_ack});
}

}  // namespace mallbots::bench
