// groups.*: one member of a group reads what lies in memory, with a commit per record or per batch.
// What is committed at the end is checked with the broker.
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
constexpr std::size_t kBatch = 256;
constexpr const char* kGroup = "readers";

struct Outcome {
  double elapsed_ns = 0;
  std::uint64_t touched = 0;  ///< keeps the reads alive
};

Result<void> fill(RoleContext& role, const std::string& runtime_dir, std::uint64_t records) {
  auto connection = attach(runtime_dir);
  if (!connection) return std::unexpected(connection.error());
  auto producer = produce_to(**connection, "work");
  if (!producer) return std::unexpected(producer.error());
  const PayloadBuffer buffer;
  const std::vector<client::Record> batch(kBatch,
                                          client::Record{.payload = buffer.first(kPayload)});
  for (std::uint64_t sent = 0; sent < records; sent += kBatch) {
    const auto done = (*producer)->append_batch(batch, {.partition = 0});
    if (!done) return std::unexpected(done.error());
  }
  role.meet();
  return {};
}

Result<void> consume(RoleContext& role, const std::string& runtime_dir, std::uint64_t records,
                     bool each, Outcome& outcome) {
  role.meet();
  auto connection = attach(runtime_dir);
  if (!connection) return std::unexpected(connection.error());
  auto consumer = client::Consumer::open(**connection);
  if (!consumer) return std::unexpected(consumer.error());
  const std::array<std::string, 1> topics{"work"};
  MALLBOTS_TRY((*consumer)->subscribe(topics, kGroup));
  std::uint64_t received = 0;
  std::uint64_t start = 0;
  while (received < records) {
    const auto polled = (*consumer)->poll(Deadline::never(), kBatch);
    if (!polled) return std::unexpected(polled.error());
    if (start == 0) start = ticks();
    for (const client::Message& record : *polled) {
      MALLBOTS_TRY(expect_number(received, record.offset));
      outcome.touched += touch_lines(record.payload);
      ++received;
      if (each) MALLBOTS_TRY((*consumer)->commit(record));
    }
    if (!each) MALLBOTS_TRY((*consumer)->commit());
  }
  outcome.elapsed_ns = ticks_to_ns(ticks() - start);
  // Who leaves hands its position over; until then the broker may not have looked at it.
  MALLBOTS_TRY((*consumer)->unsubscribe());
  const auto rows = client::Admin{**connection}.describe_group(kGroup);
  if (!rows) return std::unexpected(rows.error());
  if (rows->size() != 1) return fail(ErrorCode::kCorrupt, "the group has not one partition");
  return expect_number(records, rows->front().current_offset.value_or(0));
}

Result<Figures> measure(const RunContext& run, bool each) {
  TopicSpec topic = memory_topic("work", "32MiB");
  topic.settings.push_back({"slots", "8"});  // all records at once
  auto stage = Stage::open(run, {topic});
  if (!stage) return std::unexpected(stage.error());
  auto outcome = Shared<Outcome>::create();
  if (!outcome) return std::unexpected(outcome.error());
  const std::string& runtime_dir = (*stage)->runtime_dir();
  const std::uint64_t records = run.times(4'000, 20) * kBatch;
  const std::array roles{
      Role{"filler", kUnpinned,
           [&](RoleContext& role) { return fill(role, runtime_dir, records); }},
      Role{"member", kUnpinned,
           [&](RoleContext& role) { return consume(role, runtime_dir, records, each, **outcome); }},
  };
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {outcome->bytes()}}));
  return Figures{{"rate", static_cast<double>(records) / ((*outcome)->elapsed_ns / 1e9)}};
}

void add(Registry& registry, bool each) {
  registry.add(Row{
      .name = each ? "groups.commit_each" : "groups.commit_batch",
      .placement = "one member, not pinned; 64 B from memory, storage=memory, positions on disk by "
                   "the broker's next flush",
      .peer = each ? "Redis 0.04 M/s" : "Redis 0.48 M/s",
      .probe = ProbeRule::kShownOnly,
      .lines = {Line{.work = each ? "group consume, a commit per record"
                                  : "group consume, a commit per batch of 256",
                     .figure = "rate",
                     .unit = Unit::kPerSecond,
                     .bound = Bound::kAtLeast,
                     .budget = each ? 1e6 : 5e6}},
      .measure = [each](const RunContext& run) { return measure(run, each); }});
}

}  // namespace

void add_group_rows(Registry& registry) {
  add(registry, true);
  add(registry, false);
}

}  // namespace mallbots::bench
