#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tests/support/daemon.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {
namespace {

using nlohmann::json;

class ConsumeQueue : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
    ASSERT_EQ(mallbots("topic create t -p 2").ended.exit_code, 0);
  }
  [[nodiscard]] std::string command() const {
    return binary("mallbots") + " --runtime-dir " + daemon_.runtime_dir() + " ";
  }
  [[nodiscard]] Finished mallbots(const std::string& words) const {
    return run({"sh", "-c", command() + words});
  }
  [[nodiscard]] Process member(const std::string& options) const {
    return Process::start({"sh", "-c", "exec " + command() + "consume t --queue g " + options});
  }
  /// One that settles by the lines written to `lines`.
  struct ByHand {
    Process process;
    std::ofstream lines;
    void say(const std::string& line) { lines << line << std::endl; }
    [[nodiscard]] bool prints(const std::string& text) const {
      return eventually([&] { return process.output().find(text) != std::string::npos; });
    }
  };
  [[nodiscard]] ByHand by_hand(const std::string& options) {
    const std::string fifo = folder_.path() / ("lines" + std::to_string(++fifos_));
    EXPECT_EQ(run({"mkfifo", fifo}).ended.exit_code, 0);
    Process process = member("--ack manual " + options + " < " + fifo);
    return {std::move(process), std::ofstream{fifo}};
  }
  /// Numbers, all into partition 0.
  void produce(int first, int last) const {
    const auto made = run({"sh", "-c",
                           "seq " + std::to_string(first) + " " + std::to_string(last) + " | " +
                               command() + "produce t -p 0 --acks durable"});
    ASSERT_EQ(made.ended.exit_code, 0) << made.errors;
  }
  [[nodiscard]] json described() const {
    const auto made = mallbots("--format json group describe g");
    EXPECT_EQ(made.ended.exit_code, 0) << made.errors;
    return json::parse(made.output, nullptr, false);
  }
  static std::multiset<int> numbers_in(const std::string& text) {
    std::multiset<int> numbers;
    std::istringstream lines{text};
    for (int number = 0; lines >> number;) numbers.insert(number);
    return numbers;
  }
  static std::multiset<int> numbers(int first, int last) {
    std::multiset<int> all;
    for (int i = first; i <= last; ++i) all.insert(i);
    return all;
  }
  Daemon daemon_;
  TempDir folder_;
  int fifos_ = 0;
};

TEST_F(ConsumeQueue, MoreMembersThanPartitionsShareTheRecordsEachOnce) {
  produce(1, 300);
  std::vector<Process> members;
  for (int i = 0; i < 4; ++i) members.push_back(member("-e --in-flight 8"));
  std::string all;
  for (Process& one : members) {
    EXPECT_EQ(one.wait(30).exit_code, 0) << one.errors();
    all += one.output();
  }
  EXPECT_EQ(numbers_in(all), numbers(1, 300));
  const json groups = json::parse(mallbots("--format json group list").output, nullptr, false);
  EXPECT_EQ(groups[0]["group"], "g");
  EXPECT_EQ(groups[0]["mode"], "queue");
  EXPECT_EQ(groups[0]["lag"], 0);
}

TEST_F(ConsumeQueue, WhatIsLeftBehindACountIsAtOnceForOthers) {
  produce(1, 20);
  Process first = member("-n 5");
  EXPECT_EQ(first.wait(20).exit_code, 0) << first.errors();
  Process second = member("-n 15");
  EXPECT_EQ(second.wait(20).exit_code, 0) << second.errors();
  EXPECT_EQ(numbers_in(first.output()).size(), 5U);
  EXPECT_EQ(numbers_in(first.output() + second.output()), numbers(1, 20));
}

TEST_F(ConsumeQueue, AFullStdoutAcknowledgesNothing) {
  produce(1, 20);
  const auto full = mallbots("consume t --queue g -e > /dev/full");
  EXPECT_EQ(full.ended.exit_code, 1) << full.errors;
  EXPECT_EQ(numbers_in(mallbots("consume t --queue g -n 20").output), numbers(1, 20));
}

TEST_F(ConsumeQueue, RidesOutTheDeathOfTheBroker) {
  Process reader = member("");
  produce(1, 50);
  ASSERT_TRUE(eventually([&] { return numbers_in(reader.output()).size() >= 50; }));
  ASSERT_TRUE(daemon_.kill_broker()) << daemon_.log();
  produce(51, 100);
  EXPECT_TRUE(eventually([&] {
    const auto seen = numbers_in(reader.output());
    return std::set<int>(seen.begin(), seen.end()).size() == 100;
  })) << reader.errors();
  reader.send(SIGTERM);
  EXPECT_EQ(reader.wait(10).exit_code, 0) << reader.errors();
}

TEST_F(ConsumeQueue, EachRecordIsSettledAsItsLineSays) {
  produce(1, 4);
  ByHand hand = by_hand("");
  ASSERT_TRUE(hand.prints("t/0/3/1\t4\n")) << hand.process.errors();
  EXPECT_EQ(hand.process.output(), "t/0/0/1\t1\nt/0/1/1\t2\nt/0/2/1\t3\nt/0/3/1\t4\n");
  hand.say("ack t/0/0/1");
  hand.say("nack t/0/1/1 50ms");
  hand.say("reject t/0/2/1 no such street");
  hand.say("extend t/0/3/1");
  ASSERT_TRUE(hand.prints("t/0/1/2\t2\n")) << hand.process.errors();
  hand.say("ack t/0/1/2");
  hand.lines.close();
  EXPECT_EQ(hand.process.wait(20).exit_code, 0) << hand.process.errors();
  EXPECT_EQ(hand.process.errors(), "");
  EXPECT_EQ(mallbots("consume t --queue g -e").output, "4\n");
  const auto letters = mallbots("--format json dlq list t -g g");
  const json rows = json::parse(letters.output, nullptr, false);
  ASSERT_EQ(rows.size(), 1U) << letters.errors;
  EXPECT_EQ(rows[0]["reason"], "rejected");
  EXPECT_EQ(rows[0]["text"], "no such street");
}

TEST_F(ConsumeQueue, InJsonARecordHasItsTokenAndAttempt) {
  produce(1, 1);
  ByHand hand = by_hand("-J -n 1");
  ASSERT_TRUE(hand.prints("\n")) << hand.process.errors();
  const json record = json::parse(hand.process.output(), nullptr, false);
  EXPECT_EQ(record["token"], "t/0/0/1");
  EXPECT_EQ(record["attempt"], 1);
  EXPECT_EQ(record["payload"], "1");
  EXPECT_TRUE(hand.process.running());
  hand.say("ack t/0/0/1");  // the last of the count is settled: the end, with stdin still open
  EXPECT_EQ(hand.process.wait(20).exit_code, 0) << hand.process.errors();
}

TEST_F(ConsumeQueue, AWrongTokenIsToldAndTheOthersAreSettled) {
  produce(1, 2);
  ByHand hand = by_hand("");
  ASSERT_TRUE(hand.prints("t/0/1/1\t2\n")) << hand.process.errors();
  hand.say("ack t/0/0/1");
  hand.say("ack t/0/0/1");
  hand.say("ack t/0/1/7");
  hand.say("ack nowhere/0/1/1");
  hand.say("ack t/0/1/1");
  hand.lines.close();
  EXPECT_EQ(hand.process.wait(20).exit_code, 1);
  const std::string errors = hand.process.errors();
  EXPECT_EQ(std::count(errors.begin(), errors.end(), '\n'), 3) << errors;
  EXPECT_NE(errors.find("t/0/1/7"), std::string::npos) << errors;
  EXPECT_NE(errors.find("nowhere/0/1/1"), std::string::npos) << errors;
  EXPECT_EQ(mallbots("consume t --queue g -e").output, "");
}

TEST_F(ConsumeQueue, ALineThatIsNoSettlementIsToldAndTheOthersAreSettled) {
  produce(1, 1);
  ByHand hand = by_hand("");
  ASSERT_TRUE(hand.prints("t/0/0/1\t1\n")) << hand.process.errors();
  hand.say("done t/0/0/1");
  hand.say("ack t/0/0/1");
  hand.lines.close();
  EXPECT_EQ(hand.process.wait(20).exit_code, 2);
  EXPECT_NE(hand.process.errors().find("'done t/0/0/1'"), std::string::npos);
  EXPECT_EQ(mallbots("consume t --queue g -e").output, "");
}

TEST_F(ConsumeQueue, WhatAKilledMemberHeldGoesToAnother) {
  produce(1, 10);
  ByHand hand = by_hand("--in-flight 4 --lock 1h");
  ASSERT_TRUE(hand.prints("t/0/3/1\t4\n")) << hand.process.errors();
  Process heir = member("-n 10");
  hand.process.send(SIGKILL);
  EXPECT_EQ(heir.wait(20).exit_code, 0) << heir.errors();
  EXPECT_EQ(numbers_in(heir.output()), numbers(1, 10));
}

TEST_F(ConsumeQueue, DescribeShowsWhatIsLeftAndWhoHoldsIt) {
  produce(1, 6);
  ByHand hand = by_hand("--in-flight 4 --lock 1h");
  ASSERT_TRUE(hand.prints("t/0/3/1\t4\n")) << hand.process.errors();
  json queue = described();
  EXPECT_EQ(queue["mode"], "queue");
  ASSERT_EQ(queue["partitions"].size(), 2U);
  EXPECT_EQ(queue["partitions"][0]["low_mark"], 0);
  EXPECT_EQ(queue["partitions"][0]["log_end_offset"], 6);
  EXPECT_EQ(queue["partitions"][0]["left"], 6);
  EXPECT_EQ(queue["partitions"][0]["in_flight"], 4);
  ASSERT_EQ(queue["members"].size(), 1U);
  EXPECT_EQ(queue["members"][0]["member"], "mallbots consume");
  EXPECT_EQ(queue["members"][0]["pid"], hand.process.pid());
  EXPECT_EQ(queue["members"][0]["in_flight"], 4);
  EXPECT_EQ(queue["members"][0]["state"], "ok");
  hand.say("ack t/0/0/1");
  hand.say("nack t/0/1/1 1h");
  hand.say("reject t/0/2/1");
  EXPECT_TRUE(eventually([&] {
    queue = described();
    // A dead letter is counted when it is written, and done when it is durable.
    return queue["partitions"][0]["left"] == 4 && queue["partitions"][0]["waiting"] == 1;
  })) << queue.dump(2);
  EXPECT_EQ(queue["partitions"][0]["dead_letters"], 1);
  EXPECT_EQ(queue["partitions"][0]["low_mark"], 1);
  const auto text = mallbots("group describe g").output;
  EXPECT_TRUE(
      text.starts_with("TOPIC  PARTITION  LOW-MARK  LOG-END-OFFSET  LEFT  IN-FLIGHT  "
                       "WAITING  REDELIVERIES  DEAD-LETTERS  OLDEST\n"))
      << text;
  EXPECT_NE(text.find("\n\nMEMBER "), std::string::npos) << text;
}

TEST_F(ConsumeQueue, AGroupThatSharesPartitionsIsNoQueue) {
  EXPECT_EQ(mallbots("consume t -g g -e").ended.exit_code, 0);
  const auto wrong = mallbots("consume t --queue g -e");
  EXPECT_EQ(wrong.ended.exit_code, 1);
  EXPECT_NE(wrong.errors.find("this one is the other"), std::string::npos) << wrong.errors;
}

TEST_F(ConsumeQueue, WhatDoesNotBelongTogetherIsUsage) {
  for (const char* words :
       {"--queue g -g h", "--queue g -o start", "--queue g -p 0", "--queue g --read durable",
        "--queue g --internal", "--queue ''", "--ack manual", "--lock 5s", "--in-flight 3",
        "--max-deliveries 3", "--queue g --ack perhaps", "--queue g --lock 9ms",
        "--queue g --lock 25h", "--queue g --in-flight 0", "--queue g --in-flight 4097"}) {
    const auto wrong = mallbots("consume t -e " + std::string{words});
    EXPECT_EQ(wrong.ended.exit_code, 2) << words << ": " << wrong.errors;
  }
}

}  // namespace
}  // namespace mallbots::test
