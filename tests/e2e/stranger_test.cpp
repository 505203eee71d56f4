// Readers that the broker does not trust with its knock pages, and readers whose memory it takes
// back: against a daemon, as their users would meet it.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <thread>

#include "clients/admin.h"
#include "clients/consumer.h"
#include "clients/producer.h"
#include "tests/support/daemon.h"

namespace mallbots::test {
namespace {

constexpr uid_t kStranger = 4242;
constexpr int kRecords = 60;

std::unique_ptr<client::Connection> connect_to(const std::string& runtime_dir) {
  auto connection =
      client::Connection::open({.runtime_dir = runtime_dir, .waiting = client::Waiting::kBlock});
  if (!connection) throw std::runtime_error(connection.error().sentence());
  return std::move(*connection);
}

/// Reads kRecords records, each the boot time at which it was appended; prints how late the median
/// came. Exit code 0: all came, in order.
int read_sleeping(const std::string& runtime_dir, const std::string& topic,
                  const std::string& group) {
  const auto connection = connect_to(runtime_dir);
  const auto consumer = client::Consumer::open(*connection);
  if (!consumer) return 2;
  const auto placed = group.empty() ? (*consumer)->assign(topic, {}, client::Start::oldest())
                                    : (*consumer)->subscribe(std::vector{topic}, group);
  if (!placed) {
    fmt::print(stderr, "{}\n", placed.error().sentence());
    return 3;
  }
  fmt::print(stderr, "waiting\n");
  std::vector<std::int64_t> late;
  BootNanos before = 0;
  while (late.size() < kRecords) {
    const auto batch = (*consumer)->poll(Deadline::after_ms(10'000));
    if (!batch || batch->empty()) return 4;
    for (const client::Message& message : *batch) {
      BootNanos sent = 0;
      const std::string_view text = message.text();
      std::from_chars(text.data(), text.data() + text.size(), sent);
      if (sent <= before) return 5;
      before = sent;
      late.push_back(boot_now_ns() - sent);
    }
    if (!group.empty() && !(*consumer)->commit()) return 6;
  }
  std::nth_element(late.begin(), late.begin() + kRecords / 2, late.end());
  // Past stdio: its buffer may still hold what the test itself has printed.
  return dprintf(STDOUT_FILENO, "%lld\n", static_cast<long long>(late[kRecords / 2])) > 0 ? 0 : 7;
}

class Stranger : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to become user " << kStranger;
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
    std::filesystem::permissions(daemon_.folder().path(), std::filesystem::perms{0711});
  }
  /// A stranger sleeps while the records come one by one.
  void expect_all_reach_it(const std::string& topic, const std::string& group) {
    const auto connection = connect_to(daemon_.runtime_dir());
    Process reader = Process::call(
        [&] { return read_sleeping(daemon_.runtime_dir(), topic, group); }, {.run_as = kStranger});
    ASSERT_TRUE(reader.says("waiting")) << reader.errors();
    const auto producer = client::Producer::open(*connection, topic);
    ASSERT_TRUE(producer) << producer.error().sentence();
    for (int i = 0; i < kRecords; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1 + i % 7 * 10));
      const std::string text = std::to_string(boot_now_ns());
      ASSERT_TRUE((*producer)->append({.payload = client::as_bytes(text)}));
    }
    ASSERT_EQ(reader.wait().exit_code, 0) << reader.errors();
    const std::int64_t median = std::stoll(reader.output());
    fmt::print("{}{}: median {:.2f} ms after the append\n", topic,
               group.empty() ? "" : ", in a group", static_cast<double>(median) / 1e6);
    // Not by looking now and then, which takes half a second.
    EXPECT_LT(median, 50 * kMillisecond);
  }
  Daemon daemon_;
};

TEST_F(Stranger, WithoutTheKnockPageIsWokenForEveryRecord) {
  const std::vector<client::TopicSetting> open_to_all = {
      {"consume.allow", std::to_string(kStranger)}};
  auto in_memory = open_to_all;
  in_memory.push_back({"storage", "memory"});
  {
    const auto connection = connect_to(daemon_.runtime_dir());
    ASSERT_TRUE(client::Admin{*connection}.create_topic("on-disk", 1, open_to_all));
    ASSERT_TRUE(client::Admin{*connection}.create_topic("in-memory", 1, in_memory));
    ASSERT_TRUE(client::Admin{*connection}.create_topic("grouped", 1, open_to_all));
  }
  expect_all_reach_it("on-disk", "");
  expect_all_reach_it("in-memory", "");
  expect_all_reach_it("grouped", "strangers");
}

TEST_F(Stranger, IsRefusedWhatTheAllowListsDoNotGive) {
  {
    const auto connection = connect_to(daemon_.runtime_dir());
    ASSERT_TRUE(client::Admin{*connection}.create_topic("private", 1, {}));
  }
  const auto command = [&](const char* verb) {
    return run({binary("mallbots"), "--runtime-dir", daemon_.runtime_dir(), verb, "private"},
               {.input = "x\n", .run_as = kStranger});
  };
  EXPECT_EQ(command("consume").ended.exit_code, 4);
  EXPECT_EQ(command("produce").ended.exit_code, 4);
}

TEST(ViewExpired, IsToldWhenTheMemoryIsTakenBackAndNothingIsSkipped) {
  Daemon daemon{{.config = "orphan.max = \"32KiB\"\n"}};
  ASSERT_TRUE(daemon.start()) << daemon.log();
  const auto connection = connect_to(daemon.runtime_dir());
  ASSERT_TRUE(client::Admin{*connection}.create_topic("t", 1, {{"slot.bytes", "64KiB"}}));
  const auto producer = client::Producer::open(*connection, "t");
  ASSERT_TRUE(producer) << producer.error().sentence();
  constexpr Offset kAll = 2'000;
  const auto append = [&](Offset from, Offset to) {
    for (Offset i = from; i < to; ++i) {
      std::string text = std::to_string(i) + " ";
      text.resize(500, '.');
      ASSERT_TRUE((*producer)->append({.payload = client::as_bytes(text)}));
    }
  };
  append(0, 10);
  const auto consumer = client::Consumer::open(*connection);
  ASSERT_TRUE(consumer && (*consumer)->assign("t", {}, client::Start::oldest()));
  const auto held = (*consumer)->poll(Deadline::after_ms(5'000), 1);
  ASSERT_TRUE(held && held->size() == 1);
  append(10, kAll);  // some times round the ring: the pinned slot is replaced, and is too much
  Offset next = 1;
  bool expired = false;
  for (const Deadline limit = Deadline::after_ms(20'000); next < kAll && !limit.has_passed();) {
    const auto batch = (*consumer)->poll(Deadline::after_ms(200));
    if (!batch) {
      ASSERT_EQ(batch.error().code, ErrorCode::kViewExpired) << batch.error().sentence();
      expired = true;
      continue;
    }
    for (const client::Message& message : *batch) {
      ASSERT_EQ(message.offset, next);
      ASSERT_TRUE(message.text().starts_with(std::to_string(next) + " "));
      ++next;
    }
  }
  EXPECT_TRUE(expired);
  EXPECT_EQ(next, kAll);
}

}  // namespace
}  // namespace mallbots::test
