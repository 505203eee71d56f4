// limit.ring_*: two bare rings, measured alike, records shoulder to shoulder: one
// with a commit word before each payload, one with no words but shared positions.
// limit.log_rtt_64 plays the same round trip through a bare log (bare_log.h).
//
// Round trip: each side writes the whole payload into the ring; the leader looks at one word of
// each line of the answer, the follower copies the question out before it answers. "New" memory is
// used once, as a retained log's is; "hot" memory is 4 MiB used again and again.
// Throughput: the writer goes flat out and commits every record; the reader checks that no number
// is missing and touches each line. All in slices (harness/slices.h).
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "bench/harness/roles.h"
#include "bench/harness/shared_block.h"
#include "bench/harness/slices.h"
#include "bench/limits/bare_log.h"
#include "bench/limits/bare_ring.h"
#include "bench/limits/index_ring.h"
#include "bench/limits/limits.h"
#include "shm/base/hash.h"

namespace mallbots::bench {
namespace {

constexpr std::size_t kHotBytes = std::size_t{4} << 20;
constexpr std::size_t kNewBytesMax = std::size_t{192} << 20;
constexpr std::size_t kPayloadMax = 16384;

std::uint64_t touch_lines(const std::byte* record, std::size_t size) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < size; i += 64) {
    std::uint64_t word = 0;
    std::memcpy(&word, record + i, sizeof word);
    sum += word;
  }
  return sum;
}

std::uint64_t number_of(const std::byte* record) {
  std::uint64_t number = 0;
  std::memcpy(&number, record, sizeof number);
  return number;
}

using Payload = std::array<std::byte, kPayloadMax>;

/// The number goes in last and straight into the slot: a wide load of a buffer that has just been
/// stored to narrowly would stall the writer for longer than the rest takes.
template <class Ring>
void send(Ring& ring, const Payload& buffer, std::size_t payload, std::uint64_t number) {
  std::byte* slot = ring.next();
  std::memcpy(slot, buffer.data(), payload);
  std::memcpy(slot, &number, sizeof number);
  ring.commit();
}

Result<void> gap(std::uint64_t expected, std::uint64_t found) {
  return fail(ErrorCode::kCorrupt, fmt::format("record {} came where {} was due", found, expected));
}

struct Trip {
  Slices slices;
  std::uint64_t touched = 0;  ///< keeps the reads alive
};

template <class Ring>
Result<void> lead(Ring there, Ring back, std::size_t payload, const SlicePlan& plan, Trip& trip) {
  alignas(64) Payload buffer{};
  const auto play = [&](std::uint64_t from, std::uint64_t to, const auto& record) -> Result<void> {
    std::uint64_t before = ticks();
    for (std::uint64_t round = from; round < to; ++round) {
      send(there, buffer, payload, round);
      const std::byte* answer = back.front();
      trip.touched += touch_lines(answer, payload);
      const std::uint64_t number = number_of(answer);
      back.pop();
      const std::uint64_t now = ticks();
      record(now - before);
      before = now;
      if (number != round) return gap(round, number);
    }
    return {};
  };
  return lead_slices(trip.slices, plan, play);
}

template <class Ring>
Result<void> follow(Ring there, Ring back, std::size_t payload, const SlicePlan& plan, Trip& trip) {
  alignas(64) Payload buffer{};
  const auto play = [&](std::uint64_t from, std::uint64_t to) -> Result<void> {
    for (std::uint64_t round = from; round < to; ++round) {
      std::memcpy(buffer.data(), there.front(), payload);
      there.pop();
      if (number_of(buffer.data()) != round) return gap(round, number_of(buffer.data()));
      send(back, buffer, payload, round);
    }
    return {};
  };
  return follow_slices(trip.slices, plan, play);
}

template <class Ring>
Result<Figures> round_trip(const RunContext& run, std::size_t payload, bool hot) {
  const SlicePlan plan = SlicePlan::of(
      run.times(std::min<std::uint64_t>(100'000, kNewBytesMax / (payload + 16)), 200), run.near);
  const std::size_t hot_slots = kHotBytes / Ring::slot_bytes(payload);
  const std::size_t slots = hot ? hot_slots : static_cast<std::size_t>(plan.rounds * plan.slices);
  auto there = SharedBlock::create(Ring::memory_for(payload, slots));
  auto back = SharedBlock::create(Ring::memory_for(payload, slots));
  auto trip = Shared<Trip>::create();
  if (!there || !back || !trip) return fail(ErrorCode::kIo, "no memory for the rings");

  const std::array roles{
      Role{"leader", run.cpu_a,
           [&](RoleContext&) {
             return lead(Ring{there->bytes(), payload}, Ring{back->bytes(), payload}, payload, plan,
                         **trip);
           }},
      Role{"follower", run.cpu_b,
           [&](RoleContext&) {
             return follow(Ring{there->bytes(), payload}, Ring{back->bytes(), payload}, payload,
                           plan, **trip);
           }},
  };
  MALLBOTS_TRY(
      run_roles(roles, RoleOptions{.populate = {there->bytes(), back->bytes(), trip->bytes()}}));
  return (*trip)->slices.figures();
}

template <class Ring>
Result<void> receive(Ring ring, std::size_t payload, const SlicePlan& plan, Trip& trip) {
  const auto play = [&](std::uint64_t from, std::uint64_t to, const auto&) -> Result<void> {
    for (std::uint64_t expected = from; expected < to; ++expected) {
      const std::byte* record = ring.front();
      const std::uint64_t number = number_of(record);
      trip.touched += touch_lines(record, payload);
      ring.pop();
      if (number != expected) return gap(expected, number);
    }
    return {};
  };
  return lead_slices(trip.slices, plan, play);
}

constexpr std::size_t kRecordHeader = 64;
constexpr std::size_t kRecordBody = 64;
constexpr std::size_t kRecord = kRecordHeader + kRecordBody;

struct PlainSender {
  template <class Ring>
  static void send(Ring& ring, const Payload& buffer, std::size_t payload, std::uint64_t number) {
    bench::send(ring, buffer, payload, number);
  }
};

/// What a record of the log is at the least: the payload with its hash, and a header with the
/// record's number, that hash and one of its own.
struct RecordSender {
  template <class Ring>
  static void send(Ring& ring, const Payload& buffer, std::size_t, std::uint64_t number) {
    // Every record has another body in real life: hash it each time.
    asm volatile("" : : "r"(buffer.data()) : "memory");
    std::array<std::uint64_t, kRecordHeader / 8> header{number, kRecord};
    header[5] = xxh3(buffer.data(), kRecordBody, 0);
    header[7] = xxh3(header.data(), kRecordHeader - 8, 1);
    std::byte* slot = ring.next();
    std::memcpy(slot, header.data(), kRecordHeader);
    std::memcpy(slot + kRecordHeader, buffer.data(), kRecordBody);
    ring.commit();
  }
};

template <class Ring, class Sender>
Result<Figures> throughput(const RunContext& run, std::size_t payload) {
  const SlicePlan plan =
      SlicePlan::of(run.times(payload <= kRecord ? 5'000'000 : 1'000'000, 5'000), run.near);
  auto memory =
      SharedBlock::create(Ring::memory_for(payload, kHotBytes / Ring::slot_bytes(payload)));
  auto trip = Shared<Trip>::create();
  if (!memory || !trip) return fail(ErrorCode::kIo, "no memory for the ring");

  const std::array roles{
      Role{"receiver", run.cpu_b,
           [&](RoleContext&) {
             return receive(Ring{memory->bytes(), payload}, payload, plan, **trip);
           }},
      Role{"sender", run.cpu_a,
           [&](RoleContext&) -> Result<void> {
             alignas(64) Payload buffer{};
             Ring ring{memory->bytes(), payload};
             const auto play = [&](std::uint64_t from, std::uint64_t to) -> Result<void> {
               for (std::uint64_t i = from; i < to; ++i) Sender::send(ring, buffer, payload, i);
               return {};
             };
             return follow_slices((*trip)->slices, plan, play);
           }},
  };
  MALLBOTS_TRY(run_roles(roles, RoleOptions{.populate = {memory->bytes(), trip->bytes()}}));
  return (*trip)->slices.rate_figures(plan.rounds);
}

struct Size {
  const char* name;
  std::size_t payload;
};

void add_round_trip(Registry& registry, const Size& size, bool hot) {
  const std::size_t payload = size.payload;
  registry.add(Limit{
      .name = fmt::format("limit.ring_rtt_{}{}", size.name, hot ? "_hot" : ""),
      .work = fmt::format("bare ring, round trip {} B, {} memory,", payload, hot ? "hot" : "new"),
      .placement = "two processes, pinned, spinning",
      .main_figure = "p50",
      .figures = {"p50", "p99", "p99.9", "max"},
      .methods = {{"commit word before the payload",
                   [=](const RunContext& run) { return round_trip<BareRing>(run, payload, hot); }},
                  {"shared positions",
                   [=](const RunContext& run) {
                     return round_trip<IndexRing>(run, payload, hot);
                   }}},
  });
}

void add_log_round_trip(Registry& registry) {
  constexpr std::size_t kPayload = 64;
  registry.add(Limit{
      .name = "limit.log_rtt_64",
      .work = "bare log, round trip 64 B, hot memory,",
      .placement = "two processes, pinned, spinning",
      .main_figure = "p50",
      .figures = {"p50", "p99"},
      .methods =
          {{"publication line asked for before the commit",
            [](const RunContext& run) { return round_trip<BareLog<true>>(run, kPayload, true); }},
           {"not asked for",
            [](const RunContext& run) { return round_trip<BareLog<false>>(run, kPayload, true); }}},
  });
}

void add_throughput(Registry& registry, const Size& size) {
  const std::size_t payload = size.payload;
  registry.add(Limit{
      .name = fmt::format("limit.ring_{}", size.name),
      .work = fmt::format("bare ring, one way {} B, record by record", payload),
      .placement = "two processes, pinned, spinning, 4 MiB ring",
      .unit = Unit::kPerSecond,
      .lower_is_better = false,
      .main_figure = "rate",
      .figures = {"rate"},
      .methods = {{"commit word before the payload",
                   [=](const RunContext& run) {
                     return throughput<BareRing, PlainSender>(run, payload);
                   }},
                  {"shared positions",
                   [=](const RunContext& run) {
                     return throughput<IndexRing, PlainSender>(run, payload);
                   }}},
  });
}

void add_record_throughput(Registry& registry) {
  registry.add(Limit{
      .name = "limit.ring_record",
      .work = "bare ring, one way, records of 64 B with header and two hashes",
      .placement = "two processes, pinned, spinning, 4 MiB ring",
      .unit = Unit::kPerSecond,
      .lower_is_better = false,
      .main_figure = "rate",
      .figures = {"rate"},
      .methods = {{"commit word before the record",
                   [](const RunContext& run) {
                     return throughput<BareRing, RecordSender>(run, kRecord);
                   }},
                  {"shared positions",
                   [](const RunContext& run) {
                     return throughput<IndexRing, RecordSender>(run, kRecord);
                   }}},
  });
}

}  // namespace

void add_ring_limits(Registry& registry) {
  constexpr std::array kSizes{Size{"64", 64}, Size{"1k", 1024}, Size{"16k", 16384}};
  for (const bool hot : {false, true}) {
    for (const Size& size : kSizes) add_round_trip(registry, size, hot);
  }
  add_log_round_trip(registry);
  for (const Size& size : kSizes) add_throughput(registry, size);
  add_record_throughput(registry);
}

}  // namespace mallbots::bench
