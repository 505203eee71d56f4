// Many processes on one broker: 100 partitions, 10 groups, 50 producers, then a stopped producer,
// stopped readers, and nobody at all. Figures are printed. MALLBOTS_CHECK=full: 60 s of load
// instead of 5 s.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "tests/clients/stuck_producer.h"
#include "tests/e2e/load_roles.h"
#include "tests/support/daemon.h"

namespace mallbots::test {
namespace {

constexpr std::int64_t kMiB = 1 << 20;
constexpr std::int64_t kIdleResident = 50 * kMiB + 100 * 64 * 1024;  // the budget of an idle daemon

bool is_full_check() {
  const char* const check = std::getenv("MALLBOTS_CHECK");
  return check != nullptr && std::string_view{check} == "full";
}

class LoadTest : public testing::Test {
 protected:
  LoadTest() : daemon_({.process = {.limit_s = 280}}) {}
  void SetUp() override {
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
    load_.runtime_dir = daemon_.runtime_dir();
  }

  void create(const std::string& topic, std::uint32_t partitions,
              const std::vector<client::TopicSetting>& settings) {
    const auto connection = connect_to(load_.runtime_dir, "operator");
    ASSERT_TRUE(connection);
    const auto created = client::Admin{*connection}.create_topic(topic, partitions, settings);
    ASSERT_TRUE(created) << created.error().sentence();
  }
  [[nodiscard]] std::string notes(const std::string& name) const { return daemon_.folder() / name; }
  template <class Body>
  [[nodiscard]] static Process child(const Body& body) {
    return Process::call(body, {.limit_s = 280});
  }

  void check_log(const std::vector<Given>& log);
  void check_groups(const std::vector<Given>& log);
  /// The broker and its keeper together.
  struct Idle {
    std::int64_t cpu_ms = 0;
    std::int64_t wake_ups = 0;
    std::int64_t resident_bytes = 0;
  };
  [[nodiscard]] Idle idle_over(int seconds) const;
  void expect_idle(const char* what, std::int64_t resident_limit) const;

  Daemon daemon_;
  Load load_;
};

/// Per producer and partition: 1, 2, 3 ... and exactly what was acknowledged, where it was said.
void LoadTest::check_log(const std::vector<Given>& log) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> last;
  std::map<std::pair<std::uint32_t, Offset>, std::pair<std::uint32_t, std::uint64_t>> at;
  for (const Given& record : log) {
    std::uint64_t& before = last[{record.producer, record.partition}];
    ASSERT_EQ(record.sequence, before + 1)
        << "producer " << record.producer << " in " << record.partition << "/" << record.offset;
    before = record.sequence;
    at[{record.partition, record.offset}] = {record.producer, record.sequence};
  }
  ASSERT_EQ(at.size(), log.size());
  std::size_t acked = 0;
  std::vector<std::int64_t> took;
  for (std::uint32_t i = 0; i < load_.producers; ++i) {
    for (const Acked& row : read_rows<Acked>(notes("producer." + std::to_string(i)))) {
      const auto found = at.find({row.partition, row.offset});
      ASSERT_TRUE(found != at.end()) << row.partition << "/" << row.offset;
      ASSERT_EQ(found->second, std::pair(row.producer, row.sequence));
      ++acked;
      if (i % 10 != 0) took.push_back(row.took_ns);
    }
  }
  EXPECT_EQ(acked, log.size());
  std::sort(took.begin(), took.end());
  ASSERT_FALSE(took.empty());
  fmt::print("records {}, append committed: p50 {:.1f} us, p99 {:.1f} us, longest {:.1f} ms\n",
             acked, static_cast<double>(took[took.size() / 2]) / 1e3,
             static_cast<double>(took[took.size() * 99 / 100]) / 1e3,
             static_cast<double>(took.back()) / 1e6);
}

/// Every group was given every record; a member never goes back in a partition it holds.
void LoadTest::check_groups(const std::vector<Given>& log) {
  std::size_t twice = 0;
  for (std::uint32_t group = 0; group < load_.groups; ++group) {
    std::set<std::pair<std::uint32_t, Offset>> seen;
    std::size_t given = 0;
    for (std::uint32_t member = 0; member < load_.members; ++member) {
      const auto rows = read_rows<Given>(notes(fmt::format("group.{}.{}", group, member)));
      given += rows.size();
      for (const Given& row : rows) seen.emplace(row.partition, row.offset);
    }
    EXPECT_EQ(seen.size(), log.size()) << "group " << group;
    twice += given - seen.size();
  }
  fmt::print("deliveries {}, of these again after a hand-over {}\n",
             log.size() * load_.groups + twice, twice);
}

TEST_F(LoadTest, EveryAcknowledgedRecordComesOnceAndInOrderToEveryGroup) {
  load_.seconds = is_full_check() ? 60 : 5;
  load_.seed = std::random_device{}();
  fmt::print("seed {}, {} s\n", load_.seed, load_.seconds);
  // Small slots, so that they roll and are re-used all the time.
  create(load_.topic, load_.partitions, {{"slot.bytes", "64KiB"}, {"segment.bytes", "1MiB"}});
  std::vector<Process> members;
  std::vector<Process> producers;
  const auto group_name = [](std::uint32_t i) { return "group-" + std::to_string(i); };
  for (std::uint32_t i = 0; i < load_.groups * load_.members; ++i) {
    const std::uint32_t group = i / load_.members;
    const std::string file = notes(fmt::format("group.{}.{}", group, i % load_.members));
    members.push_back(child([&] { return consume_load(load_, group_name(group), file); }));
  }
  for (std::uint32_t i = 0; i < load_.producers; ++i)
    producers.push_back(
        child([&, i] { return produce_load(load_, i, notes("producer." + std::to_string(i))); }));
  const auto connection = connect_to(load_.runtime_dir, "auditor");
  ASSERT_TRUE(connection);
  client::Admin admin{*connection};
  std::int64_t resident = 0;
  std::uint64_t checked = 0;
  /// True if the group has read all. Positions may never lie above the end.
  const auto look_at = [&](std::uint32_t group) {
    const auto rows = admin.describe_group(group_name(group));
    if (!rows) return false;
    bool done = rows->size() == load_.partitions;
    for (const client::GroupPartition& row : *rows) {
      EXPECT_LE(row.current_offset.value_or(0), row.end_offset) << row.partition;
      done = done && (row.lag == 0 || row.end_offset == 0);
      ++checked;
    }
    resident = std::max(resident, used_by(daemon_.broker_pid()).resident_bytes);
    return done;
  };
  for (std::uint32_t turn = 0; std::any_of(producers.begin(), producers.end(),
                                           [](const Process& one) { return one.running(); });
       ++turn) {
    look_at(turn % load_.groups);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  for (Process& one : producers) EXPECT_EQ(one.wait().exit_code, 0) << one.errors();
  for (std::uint32_t group = 0; group < load_.groups; ++group)
    EXPECT_TRUE(eventually([&] { return look_at(group); }, 30)) << group;
  for (Process& one : members) one.send(SIGTERM);
  for (Process& one : members) EXPECT_EQ(one.wait().exit_code, 0) << one.errors();
  const auto log = read_all(*connection, load_);
  check_log(log);
  check_groups(log);
  const auto status = admin.status();
  ASSERT_TRUE(status) << status.error().sentence();
  EXPECT_LE(status->memory_bytes, status->memory_max_bytes);
  const auto limit = kIdleResident + static_cast<std::int64_t>(status->memory_bytes);
  EXPECT_LE(resident, limit);
  fmt::print("positions checked {}, broker resident at most {:.1f} MiB (of that may be {:.1f})\n",
             checked, static_cast<double>(resident) / kMiB, static_cast<double>(limit) / kMiB);
}

// Neighbours that do not move
// -----------------------------------------------------------------------------------------

int stop_inside(const Load& load) {
  const auto connection = connect_to(load.runtime_dir, "stopped");
  if (!connection) return 1;
  const StuckProducer stuck{*connection, load.topic};
  if (!stuck.is_inside()) return 3;
  raise(SIGSTOP);
  return stuck.commits() ? 4 : 0;
}

TEST_F(LoadTest, AStoppedProducerDelaysTheOthersByAtMostTwoStallLimits) {
  constexpr std::int64_t kStallMs = 250;
  create(load_.topic, 1, {{"stall.limit", fmt::format("{}ms", kStallMs)}, {"slots", "4"}});
  const int rounds = is_full_check() ? 20 : 4;
  std::int64_t longest = 0;
  for (int round = 0; round < rounds; ++round) {
    const auto connection = connect_to(load_.runtime_dir, "other");
    ASSERT_TRUE(connection);
    const auto producer = client::Producer::open(*connection, load_.topic);
    ASSERT_TRUE(producer) << producer.error().sentence();
    ASSERT_TRUE((*producer)->append({.payload = client::as_bytes("first")}));
    Process stopped = child([&] { return stop_inside(load_); });
    for (const Deadline end = Deadline::after_ms(kStallMs * 3); !end.has_passed();) {
      const BootNanos begin = boot_now_ns();
      const auto receipt = (*producer)->append({.payload = client::as_bytes("other")});
      ASSERT_TRUE(receipt) << receipt.error().sentence();
      longest = std::max(longest, boot_now_ns() - begin);
    }
    stopped.send(SIGCONT);
    EXPECT_EQ(stopped.wait().exit_code, 0) << stopped.errors();
  }
  fmt::print("stall.limit {} ms, longest append beside a stopped producer {:.1f} ms\n", kStallMs,
             static_cast<double>(longest) / 1e6);
  EXPECT_GE(longest, kStallMs * kMillisecond / 2);  // it did stop somebody
  EXPECT_LE(longest, 2 * kStallMs * kMillisecond);
}

/// Reads the last record, keeps the view, and stops.
int stop_with_view(const Load& load) {
  const auto connection = connect_to(load.runtime_dir, "stopped reader");
  if (!connection) return 1;
  const auto consumer = client::Consumer::open(*connection);
  if (!consumer) return 1;
  const auto range = (*consumer)->range({load.topic, 0});
  if (!range || !(*consumer)->assign(load.topic, {}, client::Start::offset(range->end - 1)))
    return 1;
  const auto batch = (*consumer)->poll(Deadline::after_ms(5'000), 1);
  if (!batch || batch->empty() || batch->front().from_disk) return 2;
  const std::string before{batch->front().text()};
  raise(SIGSTOP);
  return batch->front().text() == before ? 0 : 3;
}

TEST_F(LoadTest, MoreStoppedReadersThanSlotsDelayNobody) {
  constexpr std::uint32_t kSlots = 4;
  create(load_.topic, 1, {{"slots", std::to_string(kSlots)}, {"slot.bytes", "128KiB"}});
  const auto connection = connect_to(load_.runtime_dir, "producer");
  ASSERT_TRUE(connection);
  const auto producer = client::Producer::open(*connection, load_.topic);
  ASSERT_TRUE(producer) << producer.error().sentence();
  const std::string text(1000, 'x');
  std::int64_t longest = 0;
  const auto append = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const BootNanos begin = boot_now_ns();
      const auto receipt = (*producer)->append({.payload = client::as_bytes(text)});
      ASSERT_TRUE(receipt) << receipt.error().sentence();
      longest = std::max(longest, boot_now_ns() - begin);
      if (i % 16 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  };
  append(10);
  std::vector<Process> readers;
  for (std::uint32_t i = 0; i < kSlots + 2; ++i) {
    readers.push_back(child([&] { return stop_with_view(load_); }));
    ASSERT_TRUE(eventually([&] { return state_of(readers.back().pid()) == 'T'; }));
    append(200);  // each of them in another slot
  }
  longest = 0;
  append(3000);  // some times round the ring
  fmt::print("{} stopped readers on {} slots, longest append {:.1f} ms\n", readers.size(), kSlots,
             static_cast<double>(longest) / 1e6);
  EXPECT_LE(longest, 250 * kMillisecond);
  const auto status = client::Admin{*connection}.status();
  ASSERT_TRUE(status) << status.error().sentence();
  EXPECT_GE(status->orphan_bytes, kSlots * 128U * 1024);  // all of them hold memory
  for (Process& reader : readers) {
    reader.send(SIGCONT);
    EXPECT_EQ(reader.wait().exit_code, 0) << reader.errors();
  }
}

// Nobody at all
// -----------------------------------------------------------------------------------------

LoadTest::Idle LoadTest::idle_over(int seconds) const {
  const pid_t pids[] = {daemon_.keeper_pid(), daemon_.broker_pid()};
  std::vector<Used> before;
  for (const pid_t pid : pids) before.push_back(used_by(pid));
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  Idle idle;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const Used after = used_by(pids[i]);
    idle.cpu_ms += after.cpu_ms - before[i].cpu_ms;
    idle.resident_bytes += after.resident_bytes;
    // Workers of the kernel's ring come and go: those that went do not count against it.
    for (const auto& [thread, switches] : after.voluntary_switches)
      idle.wake_ups += switches - before[i].voluntary_switches[thread];
  }
  return idle;
}

void LoadTest::expect_idle(const char* what, std::int64_t resident_limit) const {
  constexpr int kSeconds = 10;
  const Idle idle = idle_over(kSeconds);
  fmt::print("{}: {:.2f} % of a core, {:.1f} wake-ups/s, resident {:.1f} MiB (limit {:.1f})\n",
             what, static_cast<double>(idle.cpu_ms) / (kSeconds * 10.0),
             static_cast<double>(idle.wake_ups) / kSeconds,
             static_cast<double>(idle.resident_bytes) / kMiB,
             static_cast<double>(resident_limit) / kMiB);
  EXPECT_LE(idle.cpu_ms, kSeconds * 5);  // 0.5 %
  EXPECT_LE(idle.wake_ups, kSeconds * 10);
  EXPECT_LE(idle.resident_bytes, resident_limit);
}

TEST_F(LoadTest, AnIdleDaemonKeepsToItsBudget) {
  create(load_.topic, load_.partitions, {});
  std::this_thread::sleep_for(std::chrono::seconds(1));  // what creating left to do
  expect_idle("100 partitions, nobody there", kIdleResident);
}

TEST_F(LoadTest, ADaemonWithIdleClientsKeepsToItsBudget) {
  create(load_.topic, load_.partitions, {{"slot.bytes", "64KiB"}});
  std::vector<Process> members;
  for (std::uint32_t i = 0; i < load_.groups; ++i)
    members.push_back(child([&, i] {
      return consume_load(load_, "group-" + std::to_string(i), notes("m." + std::to_string(i)));
    }));
  load_.seconds = 1;
  Process producer = child([&] { return produce_load(load_, 1, notes("p")); });
  EXPECT_EQ(producer.wait().exit_code, 0) << producer.errors();
  std::this_thread::sleep_for(std::chrono::seconds(2));  // positions reach the disk
  const auto hot = static_cast<std::int64_t>(load_.partitions) * 4 * 68 * 1024;
  expect_idle("100 partitions, 10 waiting members", kIdleResident + hot);
  for (Process& one : members) one.send(SIGTERM);
  for (Process& one : members) EXPECT_EQ(one.wait().exit_code, 0) << one.errors();
}

}  // namespace
}  // namespace mallbots::test
