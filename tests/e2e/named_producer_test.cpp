// Producers with names, whose processes and brokers die.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <thread>

#include "clients/connection.h"
#include "clients/consumer.h"
#include "clients/producer.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

namespace mallbots::test {
namespace {

class NamedProducer : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
    ASSERT_EQ(sh("topic create t -p 3").ended.exit_code, 0);
    std::ofstream input(input_);
    for (int i = 1; i <= kLines; ++i) input << i << '\n';
  }
  [[nodiscard]] std::string command() const {
    return binary("mallbots") + " --runtime-dir " + daemon_.runtime_dir() + " ";
  }
  [[nodiscard]] Finished sh(const std::string& words) const {
    return run({"sh", "-c", command() + words});
  }
  [[nodiscard]] Process produce(const std::string& options = "") const {
    return Process::start(
        {"sh", "-c", "exec " + command() + "produce t --producer p " + options + " < " + input_});
  }
  void wait_a_moment(int at_most_ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1 + dice_() % at_most_ms));
  }
  /// Every line once, in its order, as the partitions have them.
  void expect_all_lines_once() const {
    for (int partition = 0; partition < 3; ++partition) {
      const auto read = sh("consume t -o start -e -p " + std::to_string(partition));
      std::istringstream lines{read.output};
      std::vector<int> found;
      for (int line = 0; lines >> line;) found.push_back(line);
      std::vector<int> sent;
      for (int line = partition + 1; line <= kLines; line += 3) sent.push_back(line);
      EXPECT_EQ(found.size(), sent.size());
      EXPECT_TRUE(found == sent) << "partition " << partition;
    }
  }

  static constexpr int kLines = 30'000;
  Daemon daemon_;
  TempDir dir_;
  std::string input_ = dir_ / "input";
  std::mt19937 dice_{std::random_device{}()};
};

TEST_F(NamedProducer, TheSameInputAgainIsSkippedAndSaid) {
  Process first = produce();
  EXPECT_EQ(first.wait(60).exit_code, 0) << first.errors();
  EXPECT_NE(first.errors().find("0 lines had been accepted before"), std::string::npos);
  Process again = produce("--acks durable");
  EXPECT_EQ(again.wait(60).exit_code, 0) << again.errors();
  EXPECT_NE(again.errors().find("30000 lines had been accepted before"), std::string::npos)
      << again.errors();
  expect_all_lines_once();
}

TEST_F(NamedProducer, KilledAtRandomMomentsAndRunAgainItLosesAndDoublesNothing) {
  for (int i = 0; i < 12; ++i) {
    Process producer = produce(i % 2 == 0 ? "" : "--acks durable");
    wait_a_moment(60);
    producer.send(SIGKILL);
    static_cast<void>(producer.wait(20));
  }
  Process last = produce();
  EXPECT_EQ(last.wait(60).exit_code, 0) << last.errors();
  expect_all_lines_once();
}

TEST_F(NamedProducer, SoItDoesWhenTheBrokerIsKilledToo) {
  for (int i = 0; i < 4; ++i) {
    Process producer = produce();
    wait_a_moment(40);
    daemon_.signal_broker(SIGKILL);
    wait_a_moment(40);
    producer.send(SIGKILL);
    static_cast<void>(producer.wait(20));
    wait_a_moment(500);
  }
  Process last = produce();
  EXPECT_EQ(last.wait(60).exit_code, 0) << last.errors();
  expect_all_lines_once();
}

TEST_F(NamedProducer, SoItDoesWhenTheMemoryIsLost) {
  for (int i = 0; i < 4; ++i) {
    Process producer = produce(i % 2 == 0 ? "" : "--acks durable");
    wait_a_moment(60);
    const pid_t broker = daemon_.broker_pid();
    daemon_.process().send(SIGSTOP);  // so that it starts no other
    daemon_.signal_broker(SIGKILL);
    daemon_.process().send(SIGKILL);
    static_cast<void>(daemon_.wait());
    producer.send(SIGKILL);
    static_cast<void>(producer.wait(20));
    ASSERT_TRUE(daemon_.start()) << daemon_.log() << broker;
  }
  Process last = produce("--acks durable");
  EXPECT_EQ(last.wait(60).exit_code, 0) << last.errors();
  expect_all_lines_once();
}

TEST_F(NamedProducer, OfTwoHoldersTheOlderIsFencedAndNoSequenceIsThereTwice) {
  const auto connect = [&] {
    return client::Connection::open({.runtime_dir = daemon_.runtime_dir()});
  };
  std::atomic<int> fenced = 0;
  const auto hold = [&] {
    const auto connection = connect();
    ASSERT_TRUE(connection);
    const auto producer = client::Producer::open(**connection, "t", {.name = "n"});
    ASSERT_TRUE(producer) << producer.error().sentence();
    for (;;) {
      const auto sent = (*producer)->append({}, {.partition = 1});
      if (sent) continue;
      EXPECT_EQ(sent.error().code, ErrorCode::kNameTaken) << sent.error().sentence();
      break;
    }
    // It does not come back by itself.
    const auto late = (*producer)->append({}, {.partition = 0});
    EXPECT_EQ(late.error().code, ErrorCode::kNameTaken);
    ++fenced;
  };
  std::vector<std::thread> holders;
  for (int i = 0; i < 6; ++i) {
    holders.emplace_back(hold);
    wait_a_moment(60);
    if (i == 3) {
      EXPECT_TRUE(daemon_.kill_broker()) << daemon_.log();
    }
  }
  const auto connection = connect();
  ASSERT_TRUE(connection);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  std::uint64_t last = 0;
  {
    auto producer = client::Producer::open(**connection, "t", {.name = "n"});
    ASSERT_TRUE(producer);
    for (std::thread& holder : holders) holder.join();
    const PartitionIndex one = 1;
    ASSERT_TRUE((*producer)->prepare({&one, 1}));
    last = (*producer)->last_sequence(1);
    const auto again =
        (*producer)->append({}, {.partition = 1, .acks = client::Acks::kDurable, .sequence = last});
    ASSERT_TRUE(again);
    EXPECT_TRUE(again->duplicate);
  }
  EXPECT_EQ(fenced.load(), 6);
  auto consumer = client::Consumer::open(**connection);
  ASSERT_TRUE(consumer);
  ASSERT_TRUE((*consumer)->assign("t", {}, client::Start::oldest()));
  std::uint64_t expected = 0;
  while (expected < last) {
    const auto messages = (*consumer)->poll(Deadline::after_ms(5'000));
    ASSERT_TRUE(messages);
    ASSERT_FALSE(messages->empty());
    for (const client::Message& message : *messages) EXPECT_EQ(message.sequence, ++expected);
  }
  EXPECT_EQ(expected, last);
}

TEST_F(NamedProducer, AMemoryTopicIsRefused) {
  ASSERT_EQ(sh("topic create m -c storage=memory").ended.exit_code, 0);
  const auto refused = sh("produce m --producer p < /dev/null");
  EXPECT_EQ(refused.ended.exit_code, 1);
  EXPECT_NE(refused.errors.find("storage=memory"), std::string::npos) << refused.errors;
}

}  // namespace
}  // namespace mallbots::test
