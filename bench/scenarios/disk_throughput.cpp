// throughput.to_disk: one producer flat out into a topic on disk, without waiting for the disk
// until memory is full. The clock stops when the last record is durable.
#include <array>

#include "bench/harness/clock.h"
#include "bench/harness/roles.h"
#include "bench/harness/shared_block.h"
#include "bench/scenarios/payload.h"
#include "bench/scenarios/scenarios.h"
#include "bench/scenarios/stage.h"

namespace mallbots::bench {
namespace {

constexpr std::size_t kPayload = 256;
constexpr std::size_t kRecordBytes = kPayload + 64;  ///< with its header, as it lies on disk
constexpr std::size_t kBatch = 256;

struct Outcome {
  std::uint64_t records = 0;
  double elapsed_ns = 0;
};

Result<void> produce(RoleContext& role, const std::string& runtime_dir, double seconds,
                     Outcome& outcome) {
  auto connection = attach(runtime_dir);
  if (!connection) return std::unexpected(connection.error());
  auto producer = produce_to(**connection, "stream");
  if (!producer) return std::unexpected(producer.error());
  const PayloadBuffer buffer;
  const std::vector<client::Record> batch(kBatch,
                                          client::Record{.payload = buffer.first(kPayload)});
  role.meet();
  const std::uint64_t start = ticks();
  const std::uint64_t end = start + ns_to_ticks(seconds * 1e9);
  while (ticks() < end) {
    const auto sent = (*producer)->append_batch(batch, {.partition = 0});
    if (!sent) return std::unexpected(sent.error());
    outcome.records += kBatch;
  }
  MALLBOTS_TRY((*producer)->flush(Deadline::after_ms(20'000)));
  outcome.elapsed_ns = ticks_to_ns(ticks() - start);
  role.meet();
  return {};
}

Result<Figures> measure(const RunContext& run) {
  auto stage = Stage::open(run, {TopicSpec{.name = "stream"}});
  if (!stage) return std::unexpected(stage.error());
  auto outcome = Shared<Outcome>::create();
  if (!outcome) return std::unexpected(outcome.error());
  const std::array roles{Role{"producer", kUnpinned, [&](RoleContext& role) {
                                return produce(role, (*stage)->runtime_dir(),
                                               run.quick ? 0.02 : 1.0, **outcome);
                              }}};
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {outcome->bytes()}}));
  const double rate = static_cast<double>((*outcome)->records) / ((*outcome)->elapsed_ns / 1e9);
  return Figures{{"rate", rate}, {"bytes", rate * kRecordBytes}};
}

}  // namespace

void add_disk_throughput_rows(Registry& registry) {
  registry.add(Row{.name = "throughput.to_disk",
                   .placement =
                       "one process and the broker, not pinned; batches of 256, acks=committed, "
                       "storage=disk, until the last record is durable",
                   .peer = "Redis everysec 0.39 M/s",
                   .probe = ProbeRule::kShownOnly,
                   .lines = {Line{.work = "sustained to disk, 256 B",
                                  .figure = "rate",
                                  .unit = Unit::kPerSecond,
                                  .bound = Bound::kAtLeast,
                                  .budget = 4e6},
                             Line{.work = "  in bytes with headers",
                                  .figure = "bytes",
                                  .unit = Unit::kBytesPerSecond,
                                  .limit = {{"limit.disk_stream", "bytes"}},
                                  .bound = Bound::kRatioAtLeast,
                                  .budget = 0.6}},
                   .measure = measure});
}

}  // namespace mallbots::bench
