// restart.100: kill -9 of the broker with 100 partitions of a topic on disk.
//
// Just before, every partition gets records that are not yet durable. Right after the kill one
// process appends a record to each of the 100 partitions and waits until each of them is durable:
// that, counted from the kill, is the figure. Meanwhile another process appends 1,000 records a
// second to a partition of another topic, and a third reads them: its longest pause around the kill
// shows whether readers stop.

#include <array>
#include <atomic>

#include "bench/harness/child_process.h"
#include "bench/harness/clock.h"
#include "bench/harness/roles.h"
#include "bench/harness/schedule.h"
#include "bench/harness/shared_block.h"
#include "bench/scenarios/payload.h"
#include "bench/scenarios/scenarios.h"
#include "bench/scenarios/stage.h"

namespace mallbots::bench {
namespace {

constexpr PartitionIndex kPartitions = 100;
constexpr std::size_t kPayload = 256;
constexpr int kRecordsBefore = 20;
constexpr double kPerSecond = 1'000;
constexpr std::uint64_t kSendsAfter = 300;  ///< of the neighbour, once all is durable again

struct Outcome {
  std::atomic<bool> is_over;
  double first_append_ns = 0;
  double durable_ns = 0;
  std::atomic<std::uint64_t> sent;  ///< by the neighbour; final with is_sent
  std::atomic<bool> is_sent;
  double longest_append_ns = 0;
  double longest_pause_ns = 0;
};

struct Scene {
  std::string runtime_dir;
  pid_t broker = 0;
  Outcome& outcome;
};

Result<void> kill_and_go_on(RoleContext& role, const Scene& scene) {
  auto connection = attach(scene.runtime_dir);
  if (!connection) return std::unexpected(connection.error());
  auto producer = produce_to(**connection, "hundred");
  if (!producer) return std::unexpected(producer.error());
  const PayloadBuffer buffer;
  const client::Record record{.payload = buffer.first(kPayload)};
  role.meet();
  for (PartitionIndex i = 0; i < kPartitions; ++i) {
    const auto sent = (*producer)->append(record, {.partition = i, .acks = client::Acks::kDurable});
    if (!sent) return std::unexpected(sent.error());
  }
  for (int i = 0; i < kRecordsBefore * static_cast<int>(kPartitions); ++i) {
    const auto sent =
        (*producer)->append(record, {.partition = static_cast<PartitionIndex>(i) % kPartitions});
    if (!sent) return std::unexpected(sent.error());
  }
  const std::uint64_t killed = ticks();
  kill_process(scene.broker);
  std::vector<client::Receipt> receipts;
  receipts.reserve(kPartitions);
  for (PartitionIndex i = 0; i < kPartitions; ++i) {
    const auto sent = (*producer)->append(record, {.partition = i});
    if (!sent) return std::unexpected(sent.error());
    receipts.push_back(*sent);
  }
  scene.outcome.first_append_ns = ticks_to_ns(ticks() - killed);
  for (const client::Receipt& receipt : receipts)
    MALLBOTS_TRY((*producer)->wait_durable(receipt, Deadline::after_ms(10'000)));
  scene.outcome.durable_ns = ticks_to_ns(ticks() - killed);
  scene.outcome.is_over.store(true);
  role.meet();
  return {};
}

Result<void> append_steadily(RoleContext& role, const Scene& scene) {
  auto connection = attach(scene.runtime_dir);
  if (!connection) return std::unexpected(connection.error());
  auto producer = produce_to(**connection, "neighbour");
  if (!producer) return std::unexpected(producer.error());
  const PayloadBuffer buffer;
  role.meet();
  Outcome& outcome = scene.outcome;
  const Schedule schedule{ticks(), kPerSecond, Schedule::Waiting::kSleep};
  std::uint64_t longest = 0;
  std::uint64_t last = UINT64_MAX;
  for (std::uint64_t send = 0; send < last; ++send) {
    if (last == UINT64_MAX && outcome.is_over.load()) last = send + kSendsAfter;
    const std::uint64_t intended = schedule.wait_for(send);
    const auto sent = (*producer)->append({.payload = buffer.first(kPayload)}, {.partition = 0});
    if (!sent) return std::unexpected(sent.error());
    longest = std::max(longest, ticks() - intended);
    outcome.sent.store(send + 1);
  }
  outcome.longest_append_ns = ticks_to_ns(longest);
  outcome.is_sent.store(true);
  role.meet();
  return {};
}

Result<void> read_steadily(RoleContext& role, const Scene& scene) {
  auto connection = attach(scene.runtime_dir);
  if (!connection) return std::unexpected(connection.error());
  auto consumer = read_from_now(**connection, "neighbour", client::ReadLevel::kCommitted);
  if (!consumer) return std::unexpected(consumer.error());
  role.meet();
  Outcome& outcome = scene.outcome;
  std::uint64_t received = 0;
  std::uint64_t longest = 0;
  std::uint64_t before = ticks();
  while (!outcome.is_sent.load() || received < outcome.sent.load()) {
    const auto records = (*consumer)->poll(Deadline::after_ms(1'000));
    if (!records) return std::unexpected(records.error());
    const std::uint64_t now = ticks();
    if (records->empty()) continue;
    received += records->size();
    longest = std::max(longest, now - before);
    before = now;
  }
  outcome.longest_pause_ns = ticks_to_ns(longest);
  role.meet();
  return {};
}

Result<Figures> measure(const RunContext& run) {
  auto stage = Stage::open(run, {TopicSpec{.name = "hundred",
                                           .partitions = kPartitions,
                                           .settings = {{"slot.bytes", "128KiB"}}},
                                 TopicSpec{.name = "neighbour"}});
  if (!stage) return std::unexpected(stage.error());
  auto outcome = Shared<Outcome>::create();
  if (!outcome) return std::unexpected(outcome.error());
  const auto broker = (*stage)->broker_pid();
  if (!broker) return std::unexpected(broker.error());
  const Scene scene{(*stage)->runtime_dir(), *broker, **outcome};
  const std::array roles{
      Role{"producer of 100", kUnpinned,
           [&](RoleContext& role) { return kill_and_go_on(role, scene); }},
      Role{"neighbour", kUnpinned, [&](RoleContext& role) { return append_steadily(role, scene); }},
      Role{"reader", kUnpinned, [&](RoleContext& role) { return read_steadily(role, scene); }},
  };
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {outcome->bytes()}}));
  return Figures{{"append", (*outcome)->first_append_ns},
                 {"durable", (*outcome)->durable_ns},
                 {"neighbour", (*outcome)->longest_append_ns},
                 {"pause", (*outcome)->longest_pause_ns}};
}

}  // namespace

void add_restart_rows(Registry& registry) {
  registry.add(Row{.name = "restart.100",
                   .placement =
                       "three processes and the broker, not pinned; kill -9 of the broker, 100 "
                       "partitions, storage=disk; a run has one kill",
                   .probe = ProbeRule::kShownOnly,
                   .lines = {Line{.work = "appends to 100 partitions after kill -9",
                                  .figure = "append",
                                  .bound = Bound::kAtMost,
                                  .budget = 100e6},
                             Line{.work = "  all of them durable",
                                  .figure = "durable",
                                  .bound = Bound::kAtMost,
                                  .budget = 100e6},
                             Line{.work = "  another topic at 1,000/s: longest append",
                                  .figure = "neighbour",
                                  .bound = Bound::kAtMost,
                                  .budget = 100e6},
                             Line{.work = "  its reader: longest pause", .figure = "pause"}},
                   .measure = measure});
}

}  // namespace mallbots::bench
