// Event streams as a whole: many writers of the same streams while the broker is killed, and a
// topic of many streams over starts with and without its checkpoint.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "clients/admin.h"
#include "clients/consumer.h"
#include "clients/event_store.h"
#include "shm/base/clock.h"
#include "tests/support/daemon.h"

namespace mallbots::test {
namespace {

using client::EventStore;
using client::Expected;
using client::StreamVersion;

#define ASSERT_OK(result)                          \
  if (const auto& outcome_ = (result); outcome_) { \
  } else                                           \
    FAIL() << #result << ": " << outcome_.error().sentence()

/// 0: make test, 1: make check, 2: make check-full.
int effort() {
  const char* const check = std::getenv("MALLBOTS_CHECK");
  if (check == nullptr) return 0;
  return std::string_view{check} == "full" ? 2 : 1;
}

std::unique_ptr<client::Connection> connect(const Daemon& daemon) {
  auto connection =
      client::Connection::open({.runtime_dir = daemon.runtime_dir(), .name = "streams"});
  if (!connection) ADD_FAILURE() << connection.error().sentence();
  return connection ? std::move(*connection) : nullptr;
}

std::unique_ptr<EventStore> open(client::Connection& connection, const std::string& topic) {
  auto opened = EventStore::open(connection, topic);
  if (!opened) ADD_FAILURE() << opened.error().sentence();
  return opened ? std::move(*opened) : nullptr;
}

/// What one writer was told.
struct Told {
  std::map<std::string, std::map<StreamVersion, std::string>> accepted;
  std::uint64_t conflicts = 0;
  std::string trouble;
};

void write(const Daemon& daemon, int name, int streams, Deadline until, Told& told) {
  const auto connection = connect(daemon);
  const auto store = open(*connection, "orders");
  std::mt19937 dice{static_cast<unsigned>(name)};
  std::map<std::string, StreamVersion> seen;
  for (std::uint64_t number = 0; !until.has_passed() && told.trouble.empty(); ++number) {
    const std::string stream = "order-" + std::to_string(dice() % static_cast<unsigned>(streams));
    const std::size_t count = 1 + dice() % 3;
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < count; ++i)
      texts.push_back(fmt::format("{}.{}.{}", name, number, i));
    std::vector<client::Event> events;
    for (const std::string& text : texts) events.push_back({.payload = client::as_bytes(text)});
    const StreamVersion expected = seen[stream];
    const auto made =
        store->append(stream, Expected::at(expected), events, {.acks = client::Acks::kCommitted});
    if (made) {
      if (made->version != expected + count)
        told.trouble =
            fmt::format("{} answered version {} after {}", stream, made->version, expected);
      for (std::size_t i = 0; i < count; ++i) told.accepted[stream][expected + 1 + i] = texts[i];
      seen[stream] = made->version;
    } else if (made.error().code == ErrorCode::kConflict) {
      const StreamVersion actual = store->conflict().version;
      // Whoever is behind is told a later version; what it was told before cannot be taken back.
      if (actual <= expected)
        told.trouble =
            fmt::format("{}: Conflict with {} although {} was expected", stream, actual, expected);
      ++told.conflicts;
      seen[stream] = actual;
    } else {
      told.trouble = made.error().sentence();
    }
  }
}

TEST(Streams, SixteenWritersOfAHundredLoseNoUpdateWhileTheBrokerIsKilled) {
  constexpr int kWriters = 16;
  constexpr int kStreams = 100;
  const std::int64_t run_ms = effort() == 2 ? 60'000 : effort() == 1 ? 8'000 : 3'000;
  Daemon daemon{{.process = {.limit_s = static_cast<double>(run_ms) / 1000 + 120}}};
  ASSERT_TRUE(daemon.start()) << daemon.log();
  const auto connection = connect(daemon);
  ASSERT_OK(client::Admin{*connection}.create_topic(
      "orders", 1, {{"type", "events"}, {"slot.bytes", "262144"}, {"segment.bytes", "4194304"}}));
  std::vector<Told> told(kWriters);
  std::vector<std::thread> writers;
  const Deadline until = Deadline::after_ms(run_ms);
  for (int w = 0; w < kWriters; ++w)
    writers.emplace_back(
        [&, w] { write(daemon, w, kStreams, until, told[static_cast<std::size_t>(w)]); });
  const int kills = effort() == 2 ? 4 : 1;
  for (int i = 0; i < kills; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(run_ms / (kills + 1)));
    EXPECT_TRUE(daemon.kill_broker());
  }
  for (std::thread& writer : writers) writer.join();

  std::uint64_t accepted = 0;
  std::uint64_t conflicts = 0;
  std::map<std::string, std::map<StreamVersion, std::string>> expected;
  for (const Told& one : told) {
    ASSERT_EQ(one.trouble, "");
    conflicts += one.conflicts;
    for (const auto& [stream, events] : one.accepted)
      for (const auto& [version, text] : events) {
        ASSERT_TRUE(expected[stream].emplace(version, text).second)
            << stream << " version " << version << " was given twice";
        ++accepted;
      }
  }
  // The whole log, as a consumer reads it, then some streams as such.
  client::ConsumerOptions everything;
  everything.internal_events = true;
  const auto consumer = client::Consumer::open(*connection, everything);
  ASSERT_OK(consumer);
  ASSERT_OK((*consumer)->assign("orders", {}, client::Start::oldest()));
  std::map<std::string, StreamVersion> last;
  for (std::uint64_t found = 0; found < accepted;) {
    const auto messages = (*consumer)->poll(Deadline::after_ms(5'000), 1024);
    ASSERT_OK(messages);
    ASSERT_FALSE(messages->empty()) << found << " of " << accepted << " events are in the log";
    for (const client::Message& message : *messages) {
      const std::string stream{message.key_text()};
      const StreamVersion version = ++last[stream];
      ASSERT_EQ(client::stream_version(message), version) << stream;
      ASSERT_TRUE(expected[stream].contains(version))
          << stream << ": nobody was told of " << version;
      ASSERT_EQ(message.text(), expected[stream].at(version)) << stream << " version " << version;
      ++found;
    }
  }
  const auto store = open(*connection, "orders");
  int looked_at = 0;
  for (const auto& [stream, events] : expected) {
    ASSERT_EQ(store->look_up(stream)->version, events.size()) << stream;
    if (++looked_at > 3) continue;
    const auto page = store->read(stream, {.from = events.size() / 2 + 1, .count = 100});
    ASSERT_OK(page);
    for (std::size_t i = 0; i < page->size(); ++i)
      ASSERT_EQ((*page)[i].message->text(), events.at(events.size() / 2 + 1 + i)) << stream;
  }
  fmt::print("{} events of {} writers in {} streams, {} conflicts, {} kills\n", accepted, kWriters,
             expected.size(), conflicts, kills);
  EXPECT_GT(conflicts, 0U);
}

// Many streams
// -----------------------------------------------------------------------------------------

std::string stream_of(std::uint64_t i) { return fmt::format("customer-{:07}", i); }

void fill(const Daemon& daemon, std::uint64_t first, std::uint64_t last) {
  const auto connection = connect(daemon);
  const auto store = open(*connection, "customers");
  const std::string payload(60, 'p');
  const std::vector<client::Event> events(10, {.payload = client::as_bytes(payload)});
  for (std::uint64_t i = first; i < last; ++i) {
    const auto made =
        store->append(stream_of(i), Expected::none(), events, {.acks = client::Acks::kCommitted});
    ASSERT_OK(made);
    ASSERT_EQ(made->version, 10U);
  }
}

/// A number of the line "streams known" of the last start.
std::uint64_t known(const Daemon& daemon, const std::string& what) {
  const std::string log = daemon.log();
  const auto line = log.rfind("streams known");
  if (line == std::string::npos) return 0;
  const auto at = log.find(what + "=", line);
  return at == std::string::npos ? 0
                                 : std::strtoull(log.c_str() + at + what.size() + 1, nullptr, 10);
}

void check_some(const Daemon& daemon, std::uint64_t streams, const char* when) {
  const auto connection = connect(daemon);
  const auto store = open(*connection, "customers");
  std::mt19937_64 dice{5};
  std::vector<BootNanos> times;
  for (int i = 0; i < 50; ++i) {
    const std::string stream = stream_of(dice() % streams);
    const BootNanos begun = boot_now_ns();
    const auto events = store->read(stream);
    times.push_back(boot_now_ns() - begun);
    ASSERT_OK(events);
    ASSERT_EQ(events->size(), 10U) << stream;
    ASSERT_EQ(events->back().version, 10U);
  }
  std::sort(times.begin(), times.end());
  fmt::print("{}: one stream of ten events read in {} us (median of 50), {} us at most\n", when,
             times[25] / 1000, times.back() / 1000);
}

TEST(Streams, AMillionAreKnownAfterAStartWithTheirCheckpointAndWithout) {
  const std::uint64_t streams = effort() == 2 ? 1'000'000 : effort() == 1 ? 100'000 : 20'000;
  Daemon daemon{{.process = {.limit_s = 240}}};
  ASSERT_TRUE(daemon.start()) << daemon.log();
  {
    const auto connection = connect(daemon);
    ASSERT_OK(client::Admin{*connection}.create_topic("customers", 1, {{"type", "events"}}));
    const BootNanos begun = boot_now_ns();
    std::thread other{[&] { fill(daemon, 0, streams / 2); }};
    fill(daemon, streams / 2, streams);
    other.join();
    fmt::print("{} streams of ten events appended in {} ms\n", streams,
               (boot_now_ns() - begun) / kMillisecond);
  }
  ASSERT_EQ(daemon.stop(120).exit_code, 0) << daemon.log();

  const auto start = [&](const char* how) {
    ASSERT_TRUE(daemon.start()) << daemon.log();
    ASSERT_EQ(known(daemon, "streams"), streams);
    const double each =
        static_cast<double>(known(daemon, "memory_bytes")) / static_cast<double>(streams);
    fmt::print("{}: streams known after {} ms, {} records read, {:.1f} bytes a stream\n", how,
               known(daemon, "start_ms"), known(daemon, "records_read"), each);
    EXPECT_LE(each, streams < 100'000 ? 56.0 : 48.0);
    check_some(daemon, streams, how);
  };
  start("from the checkpoint");
  EXPECT_LT(known(daemon, "records_read"), 2048U);
  ASSERT_EQ(daemon.stop(120).exit_code, 0);
  std::uint64_t checkpoints = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(daemon.data_dir()))
    if (entry.path().filename() == "streams") {
      fmt::print("checkpoint of {} bytes\n", entry.file_size());
      std::filesystem::remove(entry.path());
      ++checkpoints;
    }
  EXPECT_EQ(checkpoints, 1U);
  start("rebuilt from the log");
  EXPECT_EQ(known(daemon, "records_read"), streams * 10);
}

}  // namespace
}  // namespace mallbots::test
