// events.*: one client of an event topic: appends with an expected version, and reads of a stream
// of ten events that lies in memory. What was appended is checked by the versions.
#include <array>

#include "bench/harness/clock.h"
#include "bench/harness/roles.h"
#include "bench/harness/shared_block.h"
#include "bench/scenarios/payload.h"
#include "bench/scenarios/scenarios.h"
#include "bench/scenarios/stage.h"
#include "clients/event_store.h"

namespace mallbots::bench {
namespace {

constexpr std::size_t kPayload = 64;
constexpr std::uint64_t kStreams = 256;
constexpr std::uint64_t kEvents = 10;

TopicSpec event_topic() { return {.name = "events", .settings = {{"type", "events"}}}; }

std::string stream_of(std::uint64_t i) { return "stream-" + std::to_string(i % kStreams); }

Result<void> append_all(const std::string& runtime_dir, client::Acks acks, std::uint64_t appends,
                        Histogram& times) {
  auto connection = attach(runtime_dir, client::Waiting::kSpin);
  if (!connection) return std::unexpected(connection.error());
  auto store = client::EventStore::open(**connection, "events");
  if (!store) return std::unexpected(store.error());
  const PayloadBuffer buffer;
  const client::Event event{.payload = buffer.first(kPayload)};
  for (std::uint64_t i = 0; i < appends; ++i) {
    const std::string stream = stream_of(i);
    const std::uint64_t before = ticks();
    const auto made =
        (*store)->append(stream, client::Expected::at(i / kStreams), {&event, 1}, {.acks = acks});
    if (i >= appends / 10) times.record(ticks() - before);
    if (!made) return std::unexpected(made.error());
    MALLBOTS_TRY(expect_number(i / kStreams + 1, made->version));
  }
  return {};
}

Result<Figures> measure_append(const RunContext& run, client::Acks acks, std::uint64_t full) {
  auto stage = Stage::open(run, {event_topic()});
  if (!stage) return std::unexpected(stage.error());
  auto times = Shared<Histogram>::create();
  if (!times) return std::unexpected(times.error());
  const std::string& runtime_dir = (*stage)->runtime_dir();
  const std::uint64_t appends = run.times(full, 300);
  const std::array roles{Role{"writer", kUnpinned, [&](RoleContext&) {
                                return append_all(runtime_dir, acks, appends, **times);
                              }}};
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {times->bytes()}}));
  return latency_figures(**times);
}

Result<void> read_all(const std::string& runtime_dir, std::uint64_t reads, Histogram& times) {
  auto connection = attach(runtime_dir, client::Waiting::kSpin);
  if (!connection) return std::unexpected(connection.error());
  auto store = client::EventStore::open(**connection, "events");
  if (!store) return std::unexpected(store.error());
  const PayloadBuffer buffer;
  const client::Event event{.payload = buffer.first(kPayload)};
  for (std::uint64_t i = 0; i < kStreams * kEvents; ++i) {
    const auto made = (*store)->append(stream_of(i), client::Expected::any(), {&event, 1},
                                       {.acks = client::Acks::kCommitted});
    if (!made) return std::unexpected(made.error());
  }
  for (std::uint64_t i = 0; i < reads; ++i) {
    const std::string stream = stream_of(i);
    const std::uint64_t before = ticks();
    const auto events = (*store)->read(stream, {.durable = false});
    times.record(ticks() - before);
    if (!events) return std::unexpected(events.error());
    MALLBOTS_TRY(expect_number(kEvents, events->size()));
  }
  return {};
}

Result<Figures> measure_read(const RunContext& run) {
  auto stage = Stage::open(run, {event_topic()});
  if (!stage) return std::unexpected(stage.error());
  auto times = Shared<Histogram>::create();
  if (!times) return std::unexpected(times.error());
  const std::string& runtime_dir = (*stage)->runtime_dir();
  const std::uint64_t reads = run.times(20'000, 20);
  const std::array roles{Role{"reader", kUnpinned,
                              [&](RoleContext&) { return read_all(runtime_dir, reads, **times); }}};
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {times->bytes()}}));
  return latency_figures(**times);
}

}  // namespace

void add_event_rows(Registry& registry) {
  // 4 x: two hops there and two back (entry, record, answer), each about half a round trip, and the
  // copies and hashes of a record beside them.
  registry.add(Row{.name = "events.append",
                   .placement =
                       "one client, not pinned, spinning; 256 streams, expected versions, 64 B; "
                       "acks=committed, storage=disk",
                   .probe = ProbeRule::kShownOnly,
                   .lines = {Line{.work = "event append, spinning, p50",
                                  .figure = "p50",
                                  .limit = {{"limit.cache_line", "p50"}},
                                  .bound = Bound::kRatioAtMost,
                                  .budget = 4},
                             Line{.work = "  p99", .figure = "p99"}},
                   .measure = [](const RunContext& run) {
                     return measure_append(run, client::Acks::kCommitted, 200'000);
                   }});
  // Ten records by offset: a search in a slot and a copy each, 2 us; 20 us are 50,000 streams a
  // second for one client, far more than a service can apply.
  registry.add(
      Row{.name = "events.read",
          .placement = "one client, not pinned; a stream of ten events among 256, in memory",
          .probe = ProbeRule::kShownOnly,
          .lines = {Line{.work = "stream read, ten events from memory, p50",
                         .figure = "p50",
                         .bound = Bound::kAtMost,
                         .budget = 20'000},
                    Line{.work = "  p99", .figure = "p99"}},
          .measure = measure_read});
}

}  // namespace mallbots::bench
