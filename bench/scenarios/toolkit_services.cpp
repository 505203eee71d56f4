// toolkit.relay, toolkit.view, toolkit.latency: what a service adds to the bare client, each beside
// it in the same run: the outbox's relay beside durable appends of the same records, a view that is
// built from the log beside reading it, and a router's handler beside a sleeping reader.
#include <array>
#include <filesystem>
#include <functional>
#include <semaphore>

#include "bench/harness/clock.h"
#include "bench/harness/roles.h"
#include "bench/harness/schedule.h"
#include "bench/harness/shared_block.h"
#include "bench/scenarios/payload.h"
#include "bench/scenarios/scenarios.h"
#include "bench/scenarios/stage.h"
#include "clients/toolkit/cqrs/codec.h"
#include "clients/toolkit/router.h"
#include "clients/toolkit/shm_bus.h"
#include "clients/toolkit/store/relay.h"
#include "clients/toolkit/views/view_runner.h"

namespace mallbots::bench {
namespace {

constexpr std::size_t kPayload = 64;
constexpr std::size_t kBatch = 256;
constexpr double kPerSecond = 1'000;

struct Outcome {
  double bare_ns = 0;
  double ours_ns = 0;
  std::uint64_t touched = 0;
};

Figures rates(const Outcome& outcome) {
  return Figures{{"rate", 1e9 / outcome.ours_ns},
                 {"bare_rate", 1e9 / outcome.bare_ns},
                 {"each", outcome.ours_ns}};
}

/// Nanoseconds for each of `records` since `start`.
double each_ns(std::uint64_t start, std::uint64_t records) {
  return ticks_to_ns(ticks() - start) / static_cast<double>(records);
}

Result<Figures> alone(const RunContext& run, const TopicSpec& topic,
                      const std::function<Result<void>(const std::string&, Outcome&)>& body) {
  auto stage = Stage::open(run, {topic});
  if (!stage) return std::unexpected(stage.error());
  auto outcome = Shared<Outcome>::create();
  if (!outcome) return std::unexpected(outcome.error());
  const std::array roles{Role{"all", kUnpinned, [&](RoleContext&) -> Result<void> {
                                return body((*stage)->runtime_dir(), **outcome);
                              }}};
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {outcome->bytes()}}));
  return rates(**outcome);
}

// --- Outbox

Result<void> append_durable(client::Connection& connection, std::uint64_t records,
                            Outcome& outcome) {
  auto producer = produce_to(connection, "work");
  if (!producer) return std::unexpected(producer.error());
  const PayloadBuffer buffer;
  const std::vector<client::Record> batch(kBatch, {.payload = buffer.first(kPayload)});
  const std::uint64_t start = ticks();
  for (std::uint64_t sent = 0; sent < records; sent += kBatch) {
    const auto done =
        (*producer)->append_batch(batch, {.partition = 0, .acks = client::Acks::kDurable});
    if (!done) return std::unexpected(done.error());
  }
  outcome.bare_ns = each_ns(start, records);
  return {};
}

Result<void> relay_all(client::Connection& connection, const std::string& path,
                       std::uint64_t records, Outcome& outcome) {
  auto database = toolkit::Database::open({.path = path});
  if (!database) return std::unexpected(std::move(database).error());
  auto outbox = toolkit::Outbox::open(**database);
  if (!outbox) return std::unexpected(std::move(outbox).error());
  const auto filled = (*database)->transact([&](toolkit::Transaction& transaction) -> Result<void> {
    for (std::uint64_t i = 0; i < records; ++i)
      MALLBOTS_TRY((*outbox)->add(transaction, "work", {.payload = std::string(kPayload, 'x')}));
    return {};
  });
  if (!filled) return filled;
  toolkit::ShmBus bus{connection};
  toolkit::Relay relay{**database, **outbox, bus};
  const std::uint64_t start = ticks();
  while (relay.published() < records) {
    const auto passed = relay.run_once();
    if (!passed) return std::unexpected(passed.error());
    if (*passed == 0 && relay.failures() > 0) return fail(ErrorCode::kIo, relay.last_error());
  }
  outcome.ours_ns = each_ns(start, records);
  return {};
}

Result<Figures> measure_relay(const RunContext& run) {
  const std::uint64_t records = run.times(80, 2) * kBatch;
  const std::string path = (run.scratch_dir / "outbox.db").string();
  auto figures = alone(run, TopicSpec{"work"},
                       [&](const std::string& runtime_dir, Outcome& outcome) -> Result<void> {
                         auto connection = attach(runtime_dir);
                         if (!connection) return std::unexpected(connection.error());
                         MALLBOTS_TRY(append_durable(**connection, records, outcome));
                         return relay_all(**connection, path, records, outcome);
                       });
  for (const char* ending : {"", "-wal", "-shm"}) std::filesystem::remove(path + ending);
  return figures;
}

// --- View

struct Sold {
  static constexpr auto kMessage = toolkit::event("Sold", 1);
  std::string product;
  std::int64_t cents = 0;
  static constexpr auto fields() {
    return std::tuple{toolkit::field("product", &Sold::product),
                      toolkit::field("cents", &Sold::cents)};
  }
};

Result<void> sell(client::Connection& connection, std::uint64_t records) {
  constexpr std::uint64_t kProducts = 1'000;
  toolkit::ShmBus bus{connection};
  for (std::uint64_t sold = 0; sold < records;) {
    std::vector<toolkit::Draft> drafts;
    for (std::size_t i = 0; i < kBatch; ++i, ++sold)
      drafts.push_back(toolkit::encode(Sold{"p-" + std::to_string(sold % kProducts), 1}));
    MALLBOTS_TRY(toolkit::publish(bus, "events", drafts));
  }
  return {};
}

Result<void> read_bare(client::Connection& connection, std::uint64_t records, Outcome& outcome) {
  auto consumer = client::Consumer::open(connection, {.read = client::ReadLevel::kDurable});
  if (!consumer) return std::unexpected(consumer.error());
  MALLBOTS_TRY((*consumer)->assign("events", {}, client::Start::oldest()));
  const std::uint64_t start = ticks();
  for (std::uint64_t received = 0; received < records;) {
    const auto polled = (*consumer)->poll(Deadline::never(), kBatch);
    if (!polled) return std::unexpected(polled.error());
    for (const client::Message& record : *polled) outcome.touched += touch_lines(record.payload);
    received += polled->size();
  }
  outcome.bare_ns = each_ns(start, records);
  return {};
}

Result<void> build_view(client::Connection& connection, const std::string& path,
                        std::uint64_t records, Outcome& outcome) {
  auto database = toolkit::Database::open({.path = path});
  if (!database) return std::unexpected(std::move(database).error());
  auto inbox = toolkit::Inbox::open(**database);
  auto outbox = toolkit::Outbox::open(**database);
  if (!inbox || !outbox) return fail(ErrorCode::kIo, "no inbox or outbox in " + path);
  const toolkit::TopicNames names{.service = "bench",
                                  .event_topic = [](const auto&) { return "events"; }};
  toolkit::View sales{"sales", 1, "create table {sales} (product text primary key, cents integer);",
                      names};
  sales.on<Sold>([](toolkit::ViewWork& work, const Sold& event) -> toolkit::Handled {
    const auto done = work.run(
        "insert into {sales} values (?, ?)"
        " on conflict (product) do update set cents = cents + excluded.cents",
        {event.product, event.cents});
    if (!done) return std::unexpected(toolkit::HandlerFailure{done.error()});
    return {};
  });
  toolkit::ViewRunner runner{{sales}, {**database, **inbox, **outbox}, [&] {
                               return toolkit::LogReader::open(connection.options(), {"events"});
                             }};
  MALLBOTS_TRY(runner.open());
  const std::uint64_t start = ticks();
  for (std::uint64_t applied = 0; applied < records;) {
    const auto done = runner.run_once(Deadline::after_ms(100));
    if (!done) return std::unexpected(done.error());
    applied += *done;
  }
  outcome.ours_ns = each_ns(start, records);
  return {};
}

Result<Figures> measure_view(const RunContext& run) {
  const std::uint64_t records = run.times(80, 2) * kBatch;
  const std::string path = (run.scratch_dir / "view.db").string();
  auto figures = alone(run, TopicSpec{"events"},
                       [&](const std::string& runtime_dir, Outcome& outcome) -> Result<void> {
                         auto connection = attach(runtime_dir);
                         if (!connection) return std::unexpected(connection.error());
                         MALLBOTS_TRY(sell(**connection, records));
                         MALLBOTS_TRY(read_bare(**connection, records, outcome));
                         return build_view(**connection, path, records, outcome);
                       });
  for (const char* ending : {"", "-wal", "-shm"}) std::filesystem::remove(path + ending);
  return figures;
}

// --- Latency

Result<void> send_all(RoleContext& role, const std::string& runtime_dir, std::uint64_t sends) {
  auto connection = attach(runtime_dir, client::Waiting::kBlock);
  if (!connection) return std::unexpected(connection.error());
  auto producer = produce_to(**connection, "flow");
  if (!producer) return std::unexpected(producer.error());
  PayloadBuffer buffer;
  const client::Record record{.payload = buffer.first(kPayload)};
  const auto first = (*producer)->append(record, {.partition = 0});  // until it is seen, no start
  if (!first) return std::unexpected(first.error());
  role.meet();
  const Schedule schedule{ticks(), kPerSecond, Schedule::Waiting::kSleep};
  for (std::uint64_t send = 0; send < sends; ++send) {
    put_number(buffer.bytes.data(), schedule.wait_for(send));
    const auto sent = (*producer)->append(record, {.partition = 0});
    if (!sent) return std::unexpected(sent.error());
  }
  return {};
}

/// Of the records after the first, which only says that somebody listens.
class Stopwatch {
 public:
  Stopwatch(std::uint64_t sends, Histogram& times) : sends_(sends), times_(&times) {}
  /// True for the first record and for the last.
  bool take(std::span<const std::byte> payload) {
    const std::uint64_t now = ticks();
    const std::uint64_t intended = number_in(payload);
    if (seen_ > sends_ / 10) times_->record(now > intended ? now - intended : 0);
    return ++seen_ == 1 || seen_ == sends_ + 1;
  }

 private:
  std::uint64_t sends_;
  Histogram* times_;
  std::uint64_t seen_ = 0;
};

Result<void> read_plain(RoleContext& role, const std::string& runtime_dir, std::uint64_t sends,
                        Histogram& times) {
  auto connection = attach(runtime_dir, client::Waiting::kBlock);
  if (!connection) return std::unexpected(connection.error());
  auto consumer = client::Consumer::open(**connection);
  if (!consumer) return std::unexpected(consumer.error());
  MALLBOTS_TRY((*consumer)->assign("flow", {}, client::Start::oldest()));
  Stopwatch stopwatch{sends, times};
  for (int marks = 0; marks < 2;) {
    const auto records = (*consumer)->poll(Deadline::never());
    if (!records) return std::unexpected(records.error());
    for (const client::Message& record : *records)
      if (stopwatch.take(record.payload) && ++marks == 1) role.meet();
  }
  return {};
}

Result<void> read_routed(RoleContext& role, const std::string& runtime_dir, std::uint64_t sends,
                         Histogram& times) {
  auto connection = attach(runtime_dir, client::Waiting::kBlock);
  if (!connection) return std::unexpected(connection.error());
  toolkit::ShmBus bus{**connection};
  toolkit::Router router{bus};
  Stopwatch stopwatch{sends, times};
  std::counting_semaphore<2> marks{0};
  MALLBOTS_TRY(router.add({.name = "empty", .topics = {"flow"}, .group = "routed"},
                          [&](toolkit::Context&, const toolkit::Message& message) {
                            if (stopwatch.take(client::as_bytes(message.payload())))
                              marks.release();
                            return toolkit::Handled{};
                          }));
  MALLBOTS_TRY(router.start());
  marks.acquire();
  role.meet();
  marks.acquire();
  return router.close();
}

Result<Figures> measure_latency(const RunContext& run) {
  const std::uint64_t sends = run.times(600, 20);
  Figures figures;
  for (const bool is_routed : {false, true}) {
    auto stage = Stage::open(run, {memory_topic("flow")});
    if (!stage) return std::unexpected(stage.error());
    auto times = Shared<Histogram>::create();
    if (!times) return std::unexpected(times.error());
    const std::string& runtime_dir = (*stage)->runtime_dir();
    const std::array roles{
        Role{"sender", kUnpinned,
             [&](RoleContext& role) { return send_all(role, runtime_dir, sends); }},
        Role{"receiver", kUnpinned, [&](RoleContext& role) {
               return is_routed ? read_routed(role, runtime_dir, sends, **times)
                                : read_plain(role, runtime_dir, sends, **times);
             }}};
    MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {times->bytes()}}));
    for (const auto& [name, value] : latency_figures(**times))
      figures[(is_routed ? "" : "bare_") + name] = value;
  }
  return figures;
}

}  // namespace

void add_toolkit_service_rows(Registry& registry) {
  registry.add(Row{.name = "toolkit.latency",
                   .placement = "two processes, not pinned, both sleeping; 1,000/s from the "
                                "intended time; storage=memory; bare: a plain reader",
                   .probe = ProbeRule::kShownOnly,
                   .lines = {Line{.work = "end to end through a router, p50",
                                  .figure = "p50",
                                  .limit = {{"", "bare_p50"}}},
                             Line{.work = "  p99 beside the bare reader's",
                                  .figure = "p99",
                                  .limit = {{"", "bare_p99"}}}},
                   .measure = measure_latency});
  registry.add(Row{.name = "toolkit.relay",
                   .placement = "one process and the broker, not pinned; 64 B, acks=durable, "
                                "batches of 256; outbox in a SQLite file",
                   .probe = ProbeRule::kShownOnly,
                   .lines = {Line{.work = "outbox relay, beside durable appends",
                                  .figure = "rate",
                                  .unit = Unit::kPerSecond,
                                  .limit = {{"", "bare_rate"}}}},
                   .measure = measure_relay});
  registry.add(Row{.name = "toolkit.view",
                   .placement = "one process, not pinned; events from memory, one upsert each; "
                                "view in a SQLite file, transactions of 256",
                   .probe = ProbeRule::kShownOnly,
                   .lines = {Line{.work = "view built from the log, beside reading it",
                                  .figure = "rate",
                                  .unit = Unit::kPerSecond,
                                  .limit = {{"", "bare_rate"}}}},
                   .measure = measure_view});
}

}  // namespace mallbots::bench
