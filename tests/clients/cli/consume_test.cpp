#include <gtest/gtest.h>

#include <csignal>
#include <set>
#include <sstream>

#include "tests/support/daemon.h"
#include "tests/support/process.h"

namespace mallbots::test {
namespace {

class Consume : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
    ASSERT_EQ(sh(mallbots() + " topic create t -p 4").ended.exit_code, 0);
  }
  [[nodiscard]] std::string mallbots() const {
    return binary("mallbots") + " --runtime-dir " + daemon_.runtime_dir();
  }
  [[nodiscard]] Finished sh(const std::string& line) const { return run({"sh", "-c", line}); }
  [[nodiscard]] Process consume(const std::string& options) const {
    return Process::start({"sh", "-c", "exec " + mallbots() + " consume t " + options});
  }
  void produce(int first, int last) {
    const auto made = sh("seq " + std::to_string(first) + " " + std::to_string(last) + " | " +
                         mallbots() + " produce t --acks durable");
    ASSERT_EQ(made.ended.exit_code, 0) << made.errors;
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
};

TEST_F(Consume, FromNowOnGivesWhatComesAndEndsCleanlyWhenAsked) {
  produce(1, 10);
  Process reader = consume("");
  ASSERT_TRUE(eventually([&] {
    return sh(mallbots() + " clients").output.find("mallbots consume") != std::string::npos;
  }));
  ASSERT_TRUE(eventually([&] {
    produce(11, 11);  // until the reader stands at the end
    return reader.output().find("11\n") != std::string::npos;
  }));
  produce(100, 120);
  ASSERT_TRUE(eventually([&] { return numbers_in(reader.output()).count(120) == 1; }));
  reader.send(SIGTERM);
  EXPECT_EQ(reader.wait(10).exit_code, 0) << reader.errors();
  EXPECT_EQ(numbers_in(reader.output()).count(5), 0u);
}

TEST_F(Consume, ATerminatedMemberLeavesItsPositionsToTheNext) {
  produce(1, 1000);
  Process first = consume("-g g -n 300");
  EXPECT_EQ(first.wait(20).exit_code, 0) << first.errors();
  Process second = consume("-g g");
  ASSERT_TRUE(
      eventually([&] { return numbers_in(first.output() + second.output()).size() == 1000; }));
  second.send(SIGINT);
  EXPECT_EQ(second.wait(10).exit_code, 0) << second.errors();
  EXPECT_EQ(numbers_in(first.output() + second.output()), numbers(1, 1000));
  Process third = consume("-g g -e");
  EXPECT_EQ(third.wait(20).exit_code, 0) << third.errors();
  EXPECT_EQ(third.output(), "");
}

TEST_F(Consume, MembersShareThePartitionsAndTheHeirOfAKilledOneMissesNothing) {
  Process first = consume("-g g");
  Process second = consume("-g g");
  ASSERT_TRUE(eventually([&] {
    return sh(mallbots() + " group list --format json").output.find("\"members\": 2") !=
           std::string::npos;
  }));
  produce(1, 500);
  first.send(SIGKILL);
  produce(501, 1000);
  const auto all = [&] { return first.output() + second.output(); };
  EXPECT_TRUE(eventually([&] {
    const auto seen = numbers_in(all());
    return std::set<int>(seen.begin(), seen.end()).size() == 1000;
  })) << numbers_in(all()).size();
}

TEST_F(Consume, MoreMembersThanPartitionsAllEndAtTheEnd) {
  produce(1, 400);
  std::vector<Process> members;
  for (int i = 0; i < 6; ++i) members.push_back(consume("-g g -e"));
  std::string all;
  for (Process& member : members) {
    EXPECT_EQ(member.wait(30).exit_code, 0) << member.errors();
    all += member.output();
  }
  const auto seen = numbers_in(all);
  EXPECT_EQ(std::set<int>(seen.begin(), seen.end()).size(), 400u);
}

TEST_F(Consume, RidesOutTheDeathOfTheBroker) {
  Process reader = consume("-o start");
  produce(1, 100);
  ASSERT_TRUE(eventually([&] { return numbers_in(reader.output()).size() == 100; }));
  ASSERT_TRUE(daemon_.kill_broker()) << daemon_.log();
  produce(101, 200);
  EXPECT_TRUE(eventually([&] { return numbers_in(reader.output()) == numbers(1, 200); }))
      << reader.errors();
}

TEST_F(Consume, AFullStdoutCommitsNothing) {
  produce(1, 100);
  const auto full = sh(mallbots() + " consume t -g g -e > /dev/full");
  EXPECT_EQ(full.ended.exit_code, 1) << full.errors;
  const auto again = sh(mallbots() + " consume t -g g -e");
  EXPECT_EQ(numbers_in(again.output), numbers(1, 100));
}

}  // namespace
}  // namespace mallbots::test
