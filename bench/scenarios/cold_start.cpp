// cold_start.10gib: a daemon that finds 10 GiB of closed segments on the disk and no memory of
// them.
//
// A producer fills four partitions through the daemon. Then twice: the daemon ends, another one is
// started on the same folders, and the clock runs from its exec until one record appended to the
// topic is durable. The first time it was drained; the second time keeper and broker died of
// SIGKILL, so that every open segment is read and the log epoch rises. The page cache is not
// dropped: what the broker writes goes past it, but names and inodes may be in memory.
#include <array>
#include <filesystem>

#include "bench/harness/clock.h"
#include "bench/harness/roles.h"
#include "bench/scenarios/payload.h"
#include "bench/scenarios/scenarios.h"
#include "bench/scenarios/stage.h"

namespace mallbots::bench {
namespace {

constexpr PartitionIndex kPartitions = 4;
constexpr std::size_t kPayload = 4032;  ///< 4 KiB on disk
constexpr std::size_t kBatch = 128;
constexpr std::uint64_t kBatchBytes = kBatch * (kPayload + 64);
constexpr double kFillLimitS = 120;
constexpr const char* kTopic = "history";

Result<void> fill(const std::string& runtime_dir, std::uint64_t bytes) {
  auto connection = attach(runtime_dir);
  if (!connection) return std::unexpected(connection.error());
  auto producer = produce_to(**connection, kTopic);
  if (!producer) return std::unexpected(producer.error());
  const PayloadBuffer buffer;
  const std::vector<client::Record> batch(kBatch,
                                          client::Record{.payload = buffer.first(kPayload)});
  for (std::uint64_t i = 0; i * kBatchBytes < bytes; ++i) {
    const auto sent = (*producer)->append_batch(
        batch, {.partition = static_cast<PartitionIndex>(i % kPartitions)});
    if (!sent) return std::unexpected(sent.error());
  }
  return (*producer)->flush(Deadline::after_ms(20'000));
}

/// From the start of the daemon until a record is durable.
Result<double> first_append(Stage& stage, Stage::End how) {
  MALLBOTS_TRY(stage.end(how));
  const std::uint64_t started = ticks();
  MALLBOTS_TRY(stage.start_again());
  auto connection = stage.connect();
  if (!connection) return std::unexpected(connection.error());
  auto producer = client::Producer::open(**connection, kTopic);
  if (!producer) return std::unexpected(producer.error());
  const PayloadBuffer buffer;
  const auto sent = (*producer)->append({.payload = buffer.first(kPayload)},
                                        {.partition = 0, .acks = client::Acks::kDurable});
  if (!sent) return std::unexpected(sent.error());
  return ticks_to_ns(ticks() - started);
}

Result<Figures> measure(const RunContext& run) {
  const std::uint64_t bytes = run.times(std::uint64_t{10} << 30, std::uint64_t{64} << 20);
  std::error_code unknown;
  const auto space = std::filesystem::space(run.scratch_dir, unknown);
  if (!unknown && space.available < bytes + bytes / 4)
    return fail(ErrorCode::kDiskFull,
                fmt::format("{} has {} MiB free, the row writes {} MiB; name another folder with "
                            "--scratch",
                            run.scratch_dir.string(), space.available >> 20, bytes >> 20));
  auto stage = Stage::open(run, {TopicSpec{.name = kTopic, .partitions = kPartitions}});
  if (!stage) return std::unexpected(stage.error());
  const std::array filler{Role{"filler", kUnpinned,
                               [&](RoleContext&) { return fill((*stage)->runtime_dir(), bytes); }}};
  MALLBOTS_TRY(run_roles(filler, RoleOptions{.limit_s = kFillLimitS}));
  const auto drained = first_append(**stage, Stage::End::kDrained);
  if (!drained) return std::unexpected(drained.error());
  const auto killed = first_append(**stage, Stage::End::kKilled);
  if (!killed) return std::unexpected(killed.error());
  return Figures{{"drained", *drained}, {"killed", *killed}};
}

}  // namespace

void add_cold_start_rows(Registry& registry) {
  registry.add(Row{.name = "cold_start.10gib",
                   .placement =
                       "one process and the daemon, not pinned; 10 GiB in 160 closed segments of 4 "
                       "partitions, from exec of mallbotsd to a durable record",
                   .peer = "JetStream minutes",
                   .probe = ProbeRule::kShownOnly,
                   .lines = {Line{.work = "cold start with 10 GiB, after a clean stop",
                                  .figure = "drained",
                                  .bound = Bound::kAtMost,
                                  .budget = 1e9},
                             Line{.work = "  after kill -9 of keeper and broker",
                                  .figure = "killed",
                                  .bound = Bound::kAtMost,
                                  .budget = 1e9}},
                   .measure = measure});
}

}  // namespace mallbots::bench
