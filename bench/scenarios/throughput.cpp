// throughput.*: one producer, one consumer, flat out and without loss.
//
// A memory topic never waits for its readers, so the scenario does: the reader tells through a word
// of its own how far it is (seldom, as the bare ring's reader does), and the producer stays at most
// one slot ahead. Every number is checked, every line of every payload is read. The clock runs at
// the reader, in slices (harness/slices.h) of about a hundredth.
#include <array>
#include <atomic>

#include "bench/harness/roles.h"
#include "bench/harness/shared_block.h"
#include "bench/harness/slices.h"
#include "bench/scenarios/payload.h"
#include "bench/scenarios/scenarios.h"
#include "bench/scenarios/stage.h"

namespace mallbots::bench {
namespace {

enum class Way { kSingle, kBatched, kExclusive };

struct Load {
  Way way = Way::kSingle;
  std::size_t payload = 64;
  std::size_t batch = 1;
  std::uint64_t records = 4'000'000;
  std::uint64_t window = 8'192;  ///< records the producer may be ahead
  TopicSpec topic;
};

struct Board {
  alignas(128) std::atomic<std::uint64_t> read;
  alignas(128) Slices slices;
  std::uint64_t touched = 0;  ///< keeps the reads alive
};

struct Run {
  std::string runtime_dir;
  Load load;
  SlicePlan plan;  ///< a round is a batch
};

/// A batch's worth of payloads to send from.
class Source {
 public:
  Source(std::size_t payload, std::size_t batch)
      : payload_(payload), bytes_(payload * batch), records_(batch) {
    for (std::size_t i = 0; i < batch; ++i) {
      records_[i].payload = std::span{bytes_}.subspan(i * payload, payload);
    }
  }
  std::span<const client::Record> number_from(std::uint64_t first) {
    for (std::size_t i = 0; i < records_.size(); ++i) {
      put_number(bytes_.data() + i * payload_, first + i);
    }
    return records_;
  }

 private:
  std::size_t payload_;
  std::vector<std::byte> bytes_;
  std::vector<client::Record> records_;
};

/// Keeps the producer within the window.
class Window {
 public:
  Window(const Board& board, std::uint64_t size) : board_(board), size_(size) {}
  void wait_for_room(std::uint64_t sent, std::uint64_t more) {
    while (sent + more - read_ > size_) {
      read_ = board_.read.load();
      if (sent + more - read_ > size_) spin_pause();
    }
  }

 private:
  const Board& board_;
  std::uint64_t size_;
  std::uint64_t read_ = 0;
};

template <class Send>
Result<void> send_all(const Run& run, Board& board, Send send) {
  const std::size_t batch = run.load.batch;
  Source source{run.load.payload, batch};
  Window window{board, run.load.window};
  const auto play = [&](std::uint64_t from, std::uint64_t to) -> Result<void> {
    for (std::uint64_t round = from; round < to; ++round) {
      window.wait_for_room(round * batch, batch);
      const auto done = send(source.number_from(round * batch));
      if (!done) return std::unexpected(done.error());
    }
    return {};
  };
  return follow_slices(board.slices, run.plan, play);
}

Result<void> produce(RoleContext& role, const Run& run, Board& board) {
  const Load& load = run.load;
  auto connection = attach(run.runtime_dir, client::Waiting::kSpin);
  if (!connection) return std::unexpected(connection.error());
  constexpr client::SendOptions kFirst{.partition = 0};
  if (load.way == Way::kExclusive) {
    auto producer = client::ExclusiveProducer::open(**connection, load.topic.name);
    if (!producer) return std::unexpected(producer.error());
    role.meet();
    MALLBOTS_TRY(
        send_all(run, board, [&](auto batch) { return (*producer)->append_batch(batch, kFirst); }));
  } else {
    auto producer = produce_to(**connection, load.topic.name);
    if (!producer) return std::unexpected(producer.error());
    role.meet();
    MALLBOTS_TRY(send_all(run, board, [&](auto batch) {
      return load.way == Way::kSingle ? (*producer)->append(batch.front(), kFirst)
                                      : (*producer)->append_batch(batch, kFirst);
    }));
  }
  role.meet();
  return {};
}

Result<void> consume(RoleContext& role, const Run& run, Board& board) {
  auto connection = attach(run.runtime_dir, client::Waiting::kSpin);
  if (!connection) return std::unexpected(connection.error());
  auto consumer = read_from_now(**connection, run.load.topic.name);
  if (!consumer) return std::unexpected(consumer.error());
  role.meet();
  const std::uint64_t tell_every = run.load.window / 8;
  std::uint64_t received = 0;
  std::uint64_t told = 0;
  const auto play = [&](std::uint64_t, std::uint64_t to, const auto&) -> Result<void> {
    while (received < to * run.load.batch) {
      const auto polled = (*consumer)->poll(Deadline::never(), 256);
      if (!polled) return std::unexpected(polled.error());
      for (const client::Message& record : *polled) {
        const std::uint64_t number = number_in(record.payload);
        board.touched += touch_lines(record.payload);
        if (number != received) return expect_number(received, number);
        ++received;
      }
      if (received - told < tell_every) continue;
      told = received;
      board.read.store(told);
    }
    return {};
  };
  MALLBOTS_TRY(lead_slices(board.slices, run.plan, play));
  role.meet();
  return {};
}

Result<Figures> move_records(const RunContext& context, const Load& load) {
  auto stage = Stage::open(context, {load.topic});
  if (!stage) return std::unexpected(stage.error());
  auto board = Shared<Board>::create();
  if (!board) return std::unexpected(board.error());
  const std::uint64_t batches = context.times(load.records, 20 * 256) / load.batch;
  const Run run{(*stage)->runtime_dir(), load, SlicePlan::of(batches, context.near)};
  const std::array roles{
      Role{"consumer", context.cpu_b,
           [&](RoleContext& role) { return consume(role, run, **board); }},
      Role{"producer", context.cpu_a,
           [&](RoleContext& role) { return produce(role, run, **board); }},
  };
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {board->bytes()}}));
  return (*board)->slices.rate_figures(run.plan.rounds * load.batch);
}

/// What judges, and beside it the limit of a ring that moves bytes only (docs/decisions/0005).
std::vector<Line> lines_of(const std::string& work, const std::string& judge,
                           const std::string& shown, double budget) {
  return {Line{.work = work,
               .figure = "rate",
               .unit = Unit::kPerSecond,
               .limit = {{judge, "rate"}},
               .bound = Bound::kRatioAtLeast,
               .budget = budget},
          Line{.work = "  beside bare payloads",
               .figure = "rate",
               .unit = Unit::kPerSecond,
               .limit = {{shown, "rate"}}}};
}

constexpr const char* kPlacement =
    "two processes, pinned, spinning; acks=committed, storage=memory; lossless, one slot ahead";

}  // namespace

void add_throughput_rows(Registry& registry) {
  registry.add(
      Row{.name = "throughput.single",
          .placement = kPlacement,
          .lines = lines_of("64 B, a commit per record", "limit.ring_record", "limit.ring_64", 0.6),
          .measure = [](const RunContext& run) {
            return move_records(run, {.records = 2'000'000, .topic = memory_topic("load")});
          }});
  registry.add(
      Row{.name = "throughput.batched",
          .placement = kPlacement,
          .peer = "Aeron 66 M/s",
          .lines = lines_of("64 B, batches of 256", "limit.ring_record", "limit.ring_64", 1.2),
          .measure = [](const RunContext& run) {
            return move_records(
                run, {.way = Way::kBatched, .batch = 256, .topic = memory_topic("load")});
          }});
  registry.add(Row{
      .name = "throughput.exclusive",
      .placement = kPlacement,
      .peer = "Aeron exclusive 96 M/s",
      .lines = lines_of("64 B, exclusive producer, batches of 256", "limit.ring_record",
                        "limit.ring_64", 1.8),
      .measure = [](const RunContext& run) {
        return move_records(
            run, {.way = Way::kExclusive, .batch = 256, .topic = exclusive_memory_topic("load")});
      }});
  registry.add(Row{.name = "throughput.1k",
                   .placement = kPlacement,
                   .peer = "Aeron 14 M/s",
                   .lines = {lines_of("1 KiB, batches of 32", "limit.ring_1k", "", 0.9).front()},
                   .measure = [](const RunContext& run) {
                     return move_records(run, {.way = Way::kBatched,
                                               .payload = 1024,
                                               .batch = 32,
                                               .records = 1'000'000,
                                               .window = 1'024,
                                               .topic = memory_topic("load")});
                   }});
}

}  // namespace mallbots::bench
