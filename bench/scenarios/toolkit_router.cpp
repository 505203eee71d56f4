// toolkit.*: a router with an empty handler beside the bare client, in the same run and over the
// same records, which lie in memory. Both are one member of a group with one thread; the bare one
// polls and commits batches of 256. The clock runs from the first record to the end of the last.
#include <array>
#include <atomic>
#include <future>

#include "bench/harness/clock.h"
#include "bench/harness/roles.h"
#include "bench/harness/shared_block.h"
#include "bench/scenarios/payload.h"
#include "bench/scenarios/scenarios.h"
#include "bench/scenarios/stage.h"
#include "clients/toolkit/router.h"
#include "clients/toolkit/shm_bus.h"

namespace mallbots::bench {
namespace {

constexpr std::size_t kPayload = 64;
constexpr std::size_t kBatch = 256;
constexpr std::size_t kHandlerBatch = 64;

struct Load {
  std::size_t keys = 1;
  bool batches = false;
};

struct Outcome {
  double bare_ns = 0;
  double router_ns = 0;
  std::uint64_t touched = 0;  ///< keeps the reads alive
};

Result<void> fill(const std::string& runtime_dir, std::uint64_t records, std::size_t keys) {
  auto connection = attach(runtime_dir);
  if (!connection) return std::unexpected(connection.error());
  auto producer = produce_to(**connection, "work");
  if (!producer) return std::unexpected(producer.error());
  const PayloadBuffer buffer;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < keys; ++i) names.push_back("key-" + std::to_string(i));
  std::vector<client::Record> batch;
  for (std::size_t i = 0; i < kBatch; ++i)
    batch.push_back({.payload = buffer.first(kPayload), .key = client::as_bytes(names[i % keys])});
  for (std::uint64_t sent = 0; sent < records; sent += kBatch) {
    const auto done = (*producer)->append_batch(batch, {.partition = 0});
    if (!done) return std::unexpected(done.error());
  }
  return {};
}

Result<void> consume_bare(const std::string& runtime_dir, std::uint64_t records, Outcome& outcome) {
  auto connection = attach(runtime_dir);
  if (!connection) return std::unexpected(connection.error());
  auto consumer = client::Consumer::open(**connection);
  if (!consumer) return std::unexpected(consumer.error());
  const std::array<std::string, 1> topics{"work"};
  MALLBOTS_TRY((*consumer)->subscribe(topics, "bare"));
  std::uint64_t received = 0;
  std::uint64_t start = 0;
  while (received < records) {
    const auto polled = (*consumer)->poll(Deadline::never(), kBatch);
    if (!polled) return std::unexpected(polled.error());
    if (start == 0) start = ticks();
    for (const client::Message& record : *polled) outcome.touched += touch_lines(record.payload);
    received += polled->size();
    MALLBOTS_TRY((*consumer)->commit());
  }
  outcome.bare_ns = ticks_to_ns(ticks() - start) / static_cast<double>(records);
  return {};
}

/// Called by the one worker of the router.
class Counter {
 public:
  Counter(std::uint64_t records, Outcome& outcome) : records_(records), outcome_(&outcome) {}
  void count(std::string_view payload) {
    if (received_ == 0) start_ = ticks();
    outcome_->touched += touch_lines(client::as_bytes(payload));
    if (++received_ != records_) return;
    outcome_->router_ns = ticks_to_ns(ticks() - start_) / static_cast<double>(records_);
    all_.set_value();
  }
  void wait() { all_.get_future().wait(); }

 private:
  std::uint64_t records_;
  Outcome* outcome_;
  std::uint64_t received_ = 0;
  std::uint64_t start_ = 0;
  std::promise<void> all_;
};

Result<void> consume_routed(const std::string& runtime_dir, std::uint64_t records, const Load& load,
                            Outcome& outcome) {
  auto connection = attach(runtime_dir);
  if (!connection) return std::unexpected(connection.error());
  toolkit::ShmBus bus{**connection};
  toolkit::Router router{bus};
  Counter counter{records, outcome};
  toolkit::HandlerOptions options{.name = "empty", .topics = {"work"}, .group = "routed"};
  if (load.batches) {
    MALLBOTS_TRY(router.add_batch(options, {.max_messages = kHandlerBatch},
                                  [&](std::span<toolkit::BatchItem> items) {
                                    for (const auto& item : items)
                                      counter.count(item.message.payload());
                                  }));
  } else {
    MALLBOTS_TRY(router.add(options, [&](toolkit::Context&, const toolkit::Message& message) {
      counter.count(message.payload());
      return toolkit::Handled{};
    }));
  }
  MALLBOTS_TRY(router.start());
  counter.wait();
  return router.close();
}

Result<Figures> measure(const RunContext& run, const Load& load) {
  TopicSpec topic = memory_topic("work", "32MiB");
  topic.settings.push_back({"slots", "8"});  // all records at once
  auto stage = Stage::open(run, {topic});
  if (!stage) return std::unexpected(stage.error());
  auto outcome = Shared<Outcome>::create();
  if (!outcome) return std::unexpected(outcome.error());
  const std::string& runtime_dir = (*stage)->runtime_dir();
  const std::uint64_t records = run.times(2'000, 20) * kBatch;
  // One after the other: they have the machine to themselves.
  const std::array roles{Role{"all", kUnpinned, [&](RoleContext&) -> Result<void> {
                                MALLBOTS_TRY(fill(runtime_dir, records, load.keys));
                                MALLBOTS_TRY(consume_bare(runtime_dir, records, **outcome));
                                return consume_routed(runtime_dir, records, load, **outcome);
                              }}};
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {outcome->bytes()}}));
  const double bare = (*outcome)->bare_ns;
  const double routed = (*outcome)->router_ns;
  return Figures{{"above", routed - bare},
                 {"routed", routed},
                 {"bare", bare},
                 {"rate", 1e9 / routed},
                 {"bare_rate", 1e9 / bare}};
}

void add(Registry& registry, const std::string& name, const std::string& work, const Load& load) {
  Row row{.name = name,
          .placement =
              "one member, one thread, not pinned; 64 B from memory, storage=memory; bare "
              "client: poll and commit of 256",
          .probe = ProbeRule::kShownOnly,
          .measure = [load](const RunContext& run) { return measure(run, load); }};
  if (load.batches)
    row.lines = {Line{.work = work,
                      .figure = "rate",
                      .unit = Unit::kPerSecond,
                      .limit = {{"", "bare_rate"}},
                      .bound = Bound::kRatioAtLeast,
                      .budget = 0.75}};
  else
    row.lines = {Line{.work = work, .figure = "above", .bound = Bound::kAtMost, .budget = 1'000},
                 Line{.work = "  whole message", .figure = "routed", .limit = {{"", "bare"}}}};
  registry.add(std::move(row));
}

}  // namespace

void add_toolkit_rows(Registry& registry) {
  add(registry, "toolkit.router_1_key", "router above the bare client, a message, 1 key",
      {.keys = 1});
  add(registry, "toolkit.router_8_keys", "router above the bare client, a message, 8 keys",
      {.keys = 8});
  add(registry, "toolkit.router_batch", "router, batches of 64, beside the bare client",
      {.keys = 8, .batches = true});
}

}  // namespace mallbots::bench
