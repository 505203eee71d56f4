// All roles at once: producers, readers and the broker's duties, as threads over one mapping (which
// the thread sanitizer watches) and as processes over one memfd. Whatever the timing: offsets are
// dense, each producer's records are there once and in its order, and nobody sleeps for ever.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <random>
#include <thread>

#include "tests/shm/concurrent/records.h"
#include "tests/support/process.h"

namespace mallbots::test {
namespace {

using shm::AppendStatus;
using shm::ReadStatus;

/// What a record of these tests says: who, and the how-manieth of his.
struct Mark {
  std::uint32_t producer;
  std::uint32_t number;
};

std::string marked(std::uint32_t producer, std::uint32_t number, std::size_t padding) {
  const Mark mark{producer, number};
  std::string text(sizeof mark + padding, static_cast<char>(number));
  std::memcpy(text.data(), &mark, sizeof mark);
  return text;
}

/// Follows the log; false and `why` as soon as it contradicts itself.
class Auditor {
 public:
  bool take(const shm::RecordView& view) {
    if (view.header->offset != next_)
      return complain("offset " + std::to_string(view.header->offset) + " instead of " +
                      std::to_string(next_));
    ++next_;
    Mark mark{};
    if (view.payload.size() < sizeof mark) return complain("payload cut");
    std::memcpy(&mark, view.payload.data(), sizeof mark);
    std::uint32_t& seen = seen_[mark.producer];
    if (mark.number != seen)
      return complain("producer " + std::to_string(mark.producer) + ": " +
                      std::to_string(mark.number) + " instead of " + std::to_string(seen));
    ++seen;
    for (const std::byte byte : view.payload.subspan(sizeof mark))
      if (byte != static_cast<std::byte>(mark.number)) return complain("payload of another record");
    return true;
  }
  /// A reader that was too slow starts anew where memory begins.
  void restart(Offset offset) {
    next_ = offset;
    fresh_ = true;
  }
  bool tolerate(const shm::RecordView& view) {
    if (!fresh_) return take(view);
    Mark mark{};
    std::memcpy(&mark, view.payload.data(), sizeof mark);
    // After a gap each producer goes on somewhere further on.
    if (!adopted_.contains(mark.producer)) {
      if (mark.number < seen_[mark.producer]) return complain("a record came back");
      seen_[mark.producer] = mark.number;
      adopted_[mark.producer] = true;
    }
    return take(view);
  }
  void skipped() { adopted_.clear(); }
  [[nodiscard]] const std::string& why() const { return why_; }

 private:
  bool complain(const std::string& what) {
    why_ = what;
    return false;
  }
  Offset next_ = 0;
  bool fresh_ = false;
  std::map<std::uint32_t, std::uint32_t> seen_;
  std::map<std::uint32_t, bool> adopted_;
  std::string why_;
};

std::uint32_t rounds(std::uint32_t quick) {
  const char* const bound = std::getenv("MALLBOTS_CHECK");
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  quick /= 10;
#endif
  return bound != nullptr && std::string_view(bound) == "full" ? quick * 20 : quick;
}

/// Appends its records 0 .. count-1 in batches of one to five; `between` after each.
void produce(
    FakeMemory& memory, SessionIndex session, std::uint32_t count,
    const std::function<void()>& between = [] {}) {
  shm::Appender appender(memory.parts(session), memory.seat(session));
  std::mt19937 random(session);
  for (std::uint32_t number = 0; number < count;) {
    std::vector<std::string> texts;
    const std::uint32_t batch = std::min<std::uint32_t>(1 + random() % 5, count - number);
    for (std::uint32_t i = 0; i < batch; ++i)
      texts.push_back(marked(session, number + i, random() % 100));
    const shm::AppendOptions options{.deadline = Deadline::never()};
    const auto outcome =
        batch == 1 ? append(appender, texts[0], options) : append_batch(appender, texts, options);
    ASSERT_EQ(outcome.status, AppendStatus::kAppended);
    number += batch;
    between();
  }
}

/// Sleeps as a consumer does when there is nothing.
void rest(FakeMemory& memory, shm::PartitionReader& reader, bool durable) {
  auto& word = durable ? memory.knock(0).durable : memory.knock(0).data;
  const std::uint32_t key = shm::prepare_wait(word);
  if (!reader.has_more()) shm::wait(word, key, Deadline::never());
}

/// Reads up to offset `end`; slow readers may lose slots.
void consume(FakeMemory& memory, SessionIndex session, Offset end, bool durable) {
  shm::PartitionReader reader(memory.parts(session), memory.reader_cell(session), durable);
  Auditor auditor;
  static_cast<void>(reader.seek(0));  // cold if the producers have lapped us already: see below
  shm::RecordView view{};
  while (reader.next_offset() < end) {
    switch (reader.next(view)) {
      case ReadStatus::kRecord:
        ASSERT_TRUE(auditor.tolerate(view)) << auditor.why();
        break;
      case ReadStatus::kEmpty:
        rest(memory, reader, durable);
        break;
      case ReadStatus::kCold: {
        // Its next slot was re-used while it read this one.
        while (reader.seek_oldest() == ReadStatus::kCold) std::this_thread::yield();
        auditor.skipped();
        auditor.restart(reader.next_offset());
        break;
      }
      default:
        FAIL() << "unexpected status";
    }
  }
}

struct Stress : testing::Test {
  Stress() { shm::set_sleep_cap(INT64_MAX); }
  ~Stress() override { shm::set_sleep_cap(100 * kMillisecond); }
};

TEST_F(Stress, ManyProducersAndReadersOverSmallSlots) {
  FakeBroker broker{FakeTopic{.memories = 16, .slot_bytes = 8192}};
  const std::uint32_t count = rounds(60'000);
  const std::array<SessionIndex, 3> producers{0, 1, 2};
  const PumpThread pump(broker);
  std::vector<std::jthread> threads;
  threads.emplace_back([&] { consume(broker.memory(), 4, producers.size() * count, false); });
  threads.emplace_back([&] { consume(broker.memory(), 5, producers.size() * count, true); });
  for (const SessionIndex producer : producers)
    threads.emplace_back([&, producer] { produce(broker.memory(), producer, count); });
  threads.clear();
  EXPECT_EQ(broker.end_offset(), std::uint64_t{count} * producers.size());
}

TEST_F(Stress, FencesSealsAndDeathsOfReadersMeanwhile) {
  FakeBroker broker{FakeTopic{.memories = 200, .slot_bytes = 8192}};
  const std::uint32_t count = rounds(20'000);
  const std::array<SessionIndex, 3> producers{0, 1, 2};
  std::atomic<bool> done{false};
  const PumpThread pump(broker);
  std::jthread fencer([&] {
    while (!done.load()) {
      broker.seal_open();  // fences whoever holds it
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  std::jthread passer([&] {
    for (std::mt19937 random(3); !done.load();) {  // readers that come, look around and go
      shm::PartitionReader reader(broker.memory().parts(7), broker.memory().reader_cell(7), false);
      const ReadStatus status =
          random() % 2 == 0 ? reader.seek_oldest() : reader.seek(random() % (3 * count));
      shm::RecordView view{};
      for (int i = 0; i < 10 && status == ReadStatus::kRecord; ++i) {
        if (reader.next(view) != ReadStatus::kRecord) break;
        ASSERT_LT(view.header->offset, 3 * std::uint64_t{count});
      }
      static_cast<void>(reader.seek_end());
    }
  });
  std::vector<std::jthread> threads;
  threads.emplace_back([&] { consume(broker.memory(), 4, producers.size() * count, false); });
  for (const SessionIndex producer : producers)
    threads.emplace_back([&, producer] {
      // A living session that was fenced keeps memory from being re-used until it says so.
      produce(broker.memory(), producer, count, [&] { broker.reattach(producer); });
    });
  threads.clear();
  done.store(true);
  EXPECT_EQ(broker.end_offset(), std::uint64_t{count} * producers.size());
}

TEST_F(Stress, LeaseThatPassesToAndFroNeverMixesHolders) {
  FakeBroker broker{FakeTopic{.memories = 64, .slot_bytes = 8192}};
  const PumpThread pump(broker);
  const int turns = static_cast<int>(rounds(1'000));
  std::vector<std::jthread> holders;
  for (SessionIndex session = 0; session < 3; ++session)
    holders.emplace_back([&, session] {
      std::uint64_t sequence = 0;
      for (int turn = 0; turn < turns; ++turn) {
        broker.reattach(session);
        const shm::Lease lease = broker.grant_lease(session);
        auto seat = broker.memory().seat(session);
        seat.last_sequence = sequence;
        shm::ExclusiveAppender writer(broker.memory().parts(session), seat, lease);
        for (std::uint64_t i = 0; i < 20; ++i) {
          const auto reserved = writer.reserve(16, Deadline::never());
          if (reserved.status == AppendStatus::kLeaseLost) break;
          ASSERT_EQ(reserved.status, AppendStatus::kAppended);
          const std::array<std::uint64_t, 2> mark{lease.number(), i};
          std::memcpy(reserved.payload.data(), mark.data(), 16);
          const auto outcome = writer.commit({.deadline = Deadline::never()});
          if (outcome.status == AppendStatus::kLeaseLost) break;
          ASSERT_EQ(outcome.status, AppendStatus::kAppended);
          ++sequence;
        }
      }
    });
  std::jthread reader_thread([&](const std::stop_token& stop) {
    shm::PartitionReader reader(broker.memory().parts(5), broker.memory().reader_cell(5), false);
    static_cast<void>(reader.seek(0));
    std::array<std::uint64_t, 2> last{0, 0};
    Offset next = 0;
    shm::RecordView view{};
    while (!stop.stop_requested()) {
      const ReadStatus status = reader.next(view);
      if (status == ReadStatus::kCold) {
        while (reader.seek_oldest() == ReadStatus::kCold) std::this_thread::yield();
        next = reader.next_offset();
        last = {0, 0};
      }
      if (status != ReadStatus::kRecord) continue;
      std::array<std::uint64_t, 2> mark{};
      std::memcpy(mark.data(), view.payload.data(), 16);
      ASSERT_EQ(view.header->offset, next);
      ++next;
      // A lease's records stand together and in order, and no earlier lease comes after it.
      if (mark[0] == last[0]) {
        ASSERT_EQ(mark[1], last[1] + 1);
      } else {
        ASSERT_GT(mark[0], last[0]);
        ASSERT_TRUE(last[0] == 0 || mark[1] == 0);
      }
      last = mark;
    }
  });
  holders.clear();
}

// Processes ---------------------------------------------------------------------------------------

/// A child's own mapping of the shared topic.
struct Attached {
  explicit Attached(FakeBroker& broker)
      : mapping(*shm::Mapping::of(broker.memory_fd(), FakeMemory::bytes(broker.topic()),
                                  shm::Access::kReadWrite)),
        memory(mapping.data(), broker.topic()) {}
  shm::Mapping mapping;
  FakeMemory memory;
};

TEST(StressProcesses, ProducersAndReadersInProcessesOfTheirOwn) {
  FakeBroker broker{FakeTopic{.memories = 16, .slot_bytes = 8192, .shared = true}};
  const std::uint32_t count = rounds(30'000);
  const std::array<SessionIndex, 2> producers{0, 1};
  std::vector<Process> children;
  children.push_back(Process::call([&] {
    Attached attached(broker);
    shm::set_sleep_cap(INT64_MAX);
    consume(attached.memory, 4, producers.size() * count, false);
    return testing::Test::HasFailure() ? 1 : 0;
  }));
  for (const SessionIndex producer : producers)
    children.push_back(Process::call([&, producer] {
      Attached attached(broker);
      shm::set_sleep_cap(INT64_MAX);
      produce(attached.memory, producer, count);
      return testing::Test::HasFailure() ? 1 : 0;
    }));
  const PumpThread pump(broker);
  for (Process& child : children) EXPECT_EQ(child.wait(50).exit_code, 0) << child.output();
  EXPECT_EQ(broker.end_offset(), std::uint64_t{count} * producers.size());
}

TEST(StressProcesses, KilledProducersLoseNothingThatTheyWereToldAndDoubleNothing) {
  FakeBroker broker{
      FakeTopic{.memories = 64, .slot_bytes = 8192, .durable_follows = false, .shared = true}};
  const int kills = static_cast<int>(rounds(200));
  std::mt19937 random(1);
  std::vector<Seen> log;
  shm::PartitionReader reader(broker.memory().parts(9), broker.memory().reader_cell(9), false);
  ASSERT_EQ(reader.seek(0), ReadStatus::kEmpty);
  std::uint32_t next = 0;  // of the killed producer, told by its cell
  for (int kill = 0; kill < kills; ++kill) {
    // All children before any thread of ours.
    Process victim = Process::call([&] {
      Attached attached(broker);
      auto seat = attached.memory.seat(1);
      seat.last_sequence = next;
      shm::Appender appender(attached.memory.parts(1), seat);
      for (std::uint32_t number = next;; ++number)
        if (append(appender, marked(1, number, number % 300), {.deadline = Deadline::never()})
                .status != AppendStatus::kAppended)
          return 1;
    });
    const BootNanos until = boot_now_ns() + 1'000'000 + random() % 3'000'000;
    while (boot_now_ns() < until) {
      broker.pump();
      for (Seen& seen : read_all(reader)) log.push_back(std::move(seen));
      broker.set_durable(reader.next_offset());  // what was not read stays
    }
    victim.send(SIGKILL);
    ASSERT_EQ(victim.wait().signal, SIGKILL);
    broker.session_died(1);
    // What the broker tells the heir is what the log holds.
    next = static_cast<std::uint32_t>(broker.accepted_sequence(1));
    // Asked, it looks at the word: the victim may have died between commit and publication.
    while (reader.has_more())
      for (Seen& seen : read_all(reader)) log.push_back(std::move(seen));
    ASSERT_EQ(log.size(), next) << "after kill " << kill;
  }
  for (std::uint32_t i = 0; i < log.size(); ++i) {
    ASSERT_EQ(log[i].offset, i);
    ASSERT_EQ(log[i].text, marked(1, i, i % 300));
  }
  EXPECT_GT(log.size(), 100U);
}

}  // namespace
}  // namespace mallbots::test
