// failover.group: kill -9 of a member of a group of two, again and again; from the kill to the
// heir's first record of the partition that the dead one had.
//
// The topic has two partitions with records in them, nobody commits: whoever gets a partition reads
// it from its start, so there is always a next record. The victim is a process that waits to be
// killed; its host starts the next one. The heir is the other member, and the one that kills.
#include <unistd.h>

#include <array>
#include <atomic>
#include <utility>

#include "bench/harness/child_process.h"
#include "bench/harness/clock.h"
#include "bench/harness/roles.h"
#include "bench/harness/shared_block.h"
#include "bench/scenarios/payload.h"
#include "bench/scenarios/scenarios.h"
#include "bench/scenarios/stage.h"

namespace mallbots::bench {
namespace {

constexpr std::size_t kPayload = 64;
constexpr std::size_t kBatch = 256;
constexpr int kBatches = 16;
constexpr PartitionIndex kPartitions = 2;
constexpr const char* kTopic = "work";
constexpr const char* kGroup = "workers";
constexpr const char* kVictim = "victim";

struct Scene {
  std::atomic<pid_t> victim;              ///< 0: none that has read yet
  std::atomic<PartitionIndex> partition;  ///< what the victim reads
  Histogram times;
};

Result<void> fill(const std::string& runtime_dir) {
  auto connection = attach(runtime_dir);
  if (!connection) return std::unexpected(connection.error());
  auto producer = produce_to(**connection, kTopic);
  if (!producer) return std::unexpected(producer.error());
  const PayloadBuffer buffer;
  const std::vector<client::Record> batch(kBatch,
                                          client::Record{.payload = buffer.first(kPayload)});
  for (int i = 0; i < kBatches; ++i) {
    for (PartitionIndex partition = 0; partition < kPartitions; ++partition) {
      const auto sent = (*producer)->append_batch(batch, {.partition = partition});
      if (!sent) return std::unexpected(sent.error());
    }
  }
  return (*producer)->flush(Deadline::after_ms(10'000));
}

Result<std::unique_ptr<client::Consumer>> join(client::Connection& connection) {
  auto consumer = client::Consumer::open(connection);
  if (!consumer) return consumer;
  const std::array<std::string, 1> topics{kTopic};
  MALLBOTS_TRY((*consumer)->subscribe(topics, kGroup));
  return consumer;
}

/// Reads until it is killed; tells once it has read.
Result<void> be_victim(const std::string& runtime_dir, Scene& scene) {
  auto connection = attach(runtime_dir);
  if (!connection) return std::unexpected(connection.error());
  auto consumer = join(**connection);
  if (!consumer) return std::unexpected(consumer.error());
  // Once: the heir takes its name away before it kills, and must not find it there again.
  bool told = false;
  while (true) {
    const auto records = (*consumer)->poll(Deadline::after_ms(1'000));
    if (!records) return std::unexpected(records.error());
    if (records->empty() || std::exchange(told, true)) continue;
    scene.partition.store(records->front().partition);
    scene.victim.store(::getpid());
  }
}

Result<void> host_victims(const std::string& runtime_dir, Scene& scene, std::uint64_t kills) {
  for (std::uint64_t kill = 0; kill < kills; ++kill) {
    const std::array victim{
        Role{kVictim, kUnpinned, [&](RoleContext&) { return be_victim(runtime_dir, scene); }}};
    const auto ended = run_roles(victim, {});
    // It never ends by itself: killed, or something is wrong.
    if (ended || ended.error().detail != "process 'victim' died of signal 9") {
      return ended ? fail(ErrorCode::kIo, "the victim ended by itself") : ended;
    }
  }
  return {};
}

/// Reads its own partition until there is a victim, kills it, and reads until the victim's comes.
Result<void> inherit(RoleContext& role, const std::string& runtime_dir, Scene& scene,
                     std::uint64_t kills) {
  auto connection = attach(runtime_dir);
  if (!connection) return std::unexpected(connection.error());
  auto consumer = join(**connection);
  if (!consumer) return std::unexpected(consumer.error());
  role.meet();
  std::uint64_t killed = 0;
  PartitionIndex awaited = 0;
  while (kills > 0) {
    const auto records = (*consumer)->poll(Deadline::after_ms(killed == 0 ? 1 : 1'000));
    if (!records) return std::unexpected(records.error());
    const std::uint64_t now = ticks();
    if (killed == 0) {
      if (const pid_t victim = scene.victim.load(); victim != 0) {
        awaited = scene.partition.load();
        scene.victim.store(0);
        killed = ticks();
        kill_process(victim);
      }
      continue;
    }
    for (const client::Message& record : *records) {
      if (record.partition != awaited) continue;
      scene.times.record(now - killed);
      killed = 0;
      --kills;
      break;
    }
  }
  return {};
}

Result<Figures> measure(const RunContext& run) {
  auto stage = Stage::open(run, {TopicSpec{.name = kTopic, .partitions = kPartitions}});
  if (!stage) return std::unexpected(stage.error());
  auto scene = Shared<Scene>::create();
  if (!scene) return std::unexpected(scene.error());
  const std::string& runtime_dir = (*stage)->runtime_dir();
  const std::uint64_t kills = run.times(40, 2);
  const std::array filler{
      Role{"filler", kUnpinned, [&](RoleContext&) { return fill(runtime_dir); }}};
  MALLBOTS_TRY(run_roles(filler, {}));
  const std::array roles{
      Role{"host", kUnpinned,
           [&](RoleContext& role) {
             role.meet();
             return host_victims(runtime_dir, **scene, kills);
           }},
      Role{"heir", kUnpinned,
           [&](RoleContext& role) { return inherit(role, runtime_dir, **scene, kills); }},
  };
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {scene->bytes()}}));
  return latency_figures((*scene)->times);
}

}  // namespace

void add_failover_rows(Registry& registry) {
  registry.add(Row{
      .name = "failover.group",
      .placement = "two members and the broker, not pinned, default waiting; "
                   "storage=disk, read=durable; a run has 40 kills",
      .peer = "Kafka 45 s, JetStream 30 s",
      .probe = ProbeRule::kShownOnly,
      .lines = {Line{.work = "heir's next record after kill -9, p99",
                     .figure = "p99",
                     .bound = Bound::kAtMost,
                     .budget = 10e6},
                Line{.work = "  p50", .figure = "p50"}, Line{.work = "  worst", .figure = "max"}},
      .measure = measure});
}

}  // namespace mallbots::bench
