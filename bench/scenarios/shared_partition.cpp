// throughput.shared: 1, 2, 4 and 8 producer processes append to one partition at once, a commit per
// record, for a fixed time. Nobody reads: the row is about what the writers cost each other.
//
// All four are measured in the same run on topics of one daemon; the limit of the others is the
// rate of one.
#include <fmt/core.h>

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
constexpr std::size_t kMostProducers = 8;
/// Between two looks at the clock.
constexpr std::uint64_t kStride = 64;

struct Outcome {
  /// Appended by each until the time was over.
  std::array<std::uint64_t, kMostProducers> appended{};
};

Result<void> produce(RoleContext& role, const std::string& runtime_dir, double seconds,
                     std::uint64_t& appended) {
  auto connection = attach(runtime_dir);
  if (!connection) return std::unexpected(connection.error());
  auto producer = produce_to(**connection, "shared");
  if (!producer) return std::unexpected(producer.error());
  const PayloadBuffer buffer;
  std::uint64_t count = 0;
  role.meet();
  const std::uint64_t end = ticks() + ns_to_ticks(seconds * 1e9);
  while (ticks() < end) {
    for (std::uint64_t i = 0; i < kStride; ++i) {
      const auto sent = (*producer)->append({.payload = buffer.first(kPayload)}, {.partition = 0});
      if (!sent) return std::unexpected(sent.error());
    }
    count += kStride;
  }
  appended = count;
  role.meet();
  return {};
}

struct Share {
  double rate = 0;     ///< of all
  double slowest = 0;  ///< of the mean
};

Result<Share> append_together(const std::string& runtime_dir, std::size_t producers,
                              double seconds) {
  auto outcome = Shared<Outcome>::create();
  if (!outcome) return std::unexpected(outcome.error());
  std::vector<Role> roles;
  for (std::size_t i = 0; i < producers; ++i) {
    roles.push_back(Role{fmt::format("producer {}", i), kUnpinned, [&, i](RoleContext& role) {
                           return produce(role, runtime_dir, seconds, (*outcome)->appended[i]);
                         }});
  }
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {outcome->bytes()}}));
  std::uint64_t sum = 0;
  std::uint64_t slowest = UINT64_MAX;
  for (std::size_t i = 0; i < producers; ++i) {
    sum += (*outcome)->appended[i];
    slowest = std::min(slowest, (*outcome)->appended[i]);
  }
  const double mean = static_cast<double>(sum) / static_cast<double>(producers);
  return Share{static_cast<double>(sum) / seconds, static_cast<double>(slowest) / mean};
}

Result<Figures> measure(const RunContext& run) {
  auto stage = Stage::open(run, {memory_topic("shared")});
  if (!stage) return std::unexpected(stage.error());
  Figures figures;
  for (const std::size_t producers : {1, 2, 4, 8}) {
    const auto share = append_together((*stage)->runtime_dir(), producers, run.quick ? 0.02 : 0.5);
    if (!share) return std::unexpected(share.error());
    figures[fmt::format("rate{}", producers)] = share->rate;
    figures[fmt::format("slowest{}", producers)] = 100 * share->slowest;
  }
  return figures;
}

}  // namespace

void add_shared_partition_rows(Registry& registry) {
  Row row{.name = "throughput.shared",
          .placement =
              "producer processes, not pinned, default waiting; acks=committed, "
              "storage=memory, one partition, no reader; limit: one producer",
          .probe = ProbeRule::kShownOnly,
          .measure = measure};
  row.lines.push_back(
      Line{.work = "one producer, 64 B", .figure = "rate1", .unit = Unit::kPerSecond});
  for (const int producers : {2, 4, 8}) {
    row.lines.push_back(Line{.work = fmt::format("{} producers, sum", producers),
                             .figure = fmt::format("rate{}", producers),
                             .unit = Unit::kPerSecond,
                             .limit = {{"", "rate1"}},
                             .bound = Bound::kRatioAtLeast,
                             .budget = 0.5});
    row.lines.push_back(Line{.work = fmt::format("{} producers, slowest, of the mean", producers),
                             .figure = fmt::format("slowest{}", producers),
                             .unit = Unit::kPercent,
                             .bound = Bound::kAtLeast,
                             .budget = 30});
  }
  registry.add(std::move(row));
}

}  // namespace mallbots::bench
