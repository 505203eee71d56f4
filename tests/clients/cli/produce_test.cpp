#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <sstream>

#include "tests/support/daemon.h"
#include "tests/support/process.h"

namespace mallbots::test {
namespace {

/// `kLines` lines in pieces, so that deaths fall between them: seq in a shell, slowed down.
constexpr int kLines = 30'000;
constexpr const char* kSlowly =
    "i=0; while [ $i -lt 30 ]; do seq -f 'k%.0f,payload of some length' $((i * 1000 + 1)) "
    "$((i * 1000 + 1000)); sleep 0.05; i=$((i + 1)); done";

class Produce : public testing::Test {
 protected:
  [[nodiscard]] std::string mallbots() const {
    return binary("mallbots") + " --runtime-dir " + daemon_.runtime_dir();
  }
  [[nodiscard]] Finished sh(const std::string& line) const { return run({"sh", "-c", line}); }
  /// Slots are small, so that the partition rolls often; no spares are needed for that.
  void make_topic() {
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
    const auto made = sh(mallbots() + " topic create t -p 4 -c slot.bytes=64K");
    ASSERT_EQ(made.ended.exit_code, 0) << made.errors;
  }
  [[nodiscard]] Process produce(const std::string& options) const {
    ProcessOptions limits;
    limits.limit_s = 60;
    return Process::start(
        {"sh", "-c",
         "{ " + std::string{kSlowly} + "; } | " + mallbots() + " produce t -K, --report " +
             (daemon_.folder() / "report") + " " + options},
        limits);
  }
  /// Every line is there once, in the order of its partition, where the report says.
  void expect_all_once() const {
    const auto consumed = sh(mallbots() + " consume t -o start -e -f '%p %o %k\\n'");
    std::map<std::string, std::string> found;
    std::istringstream lines{consumed.output};
    for (std::string place, offset, key; lines >> place >> offset >> key;)
      EXPECT_TRUE(found.emplace(key, place + " " + offset).second) << key << " is there twice";
    EXPECT_EQ(found.size(), static_cast<std::size_t>(kLines));
    const auto report = sh("cat " + (daemon_.folder() / "report"));
    std::istringstream rows{report.output};
    std::size_t reported = 0;
    for (std::string line, place, offset; rows >> line >> place >> offset; ++reported)
      EXPECT_EQ(found["k" + line], place + " " + offset) << "line " << line;
    EXPECT_EQ(reported, static_cast<std::size_t>(kLines));
    expect_order(consumed.output);
  }
  static void expect_order(const std::string& consumed) {
    std::map<std::string, int> last;
    std::istringstream lines{consumed};
    for (std::string place, offset, key; lines >> place >> offset >> key;) {
      const int number = std::stoi(key.substr(1));
      EXPECT_LT(last[place], number) << "partition " << place << " at offset " << offset;
      last[place] = number;
    }
  }
  Daemon daemon_;
};

TEST_F(Produce, RidesOutDeathsOfTheBrokerWithEveryLineOnceAndInOrder) {
  make_topic();
  Process producer = produce("--acks durable");
  for (std::size_t broker = 2; broker < 5; ++broker) {
    usleep(200'000);
    daemon_.process().send(SIGSTOP);  // nobody restarts it: the producer fills slots and rolls
    daemon_.signal_broker(SIGKILL);
    usleep(200'000);
    daemon_.process().send(SIGCONT);
    ASSERT_TRUE(daemon_.ready(broker)) << daemon_.log();
  }
  EXPECT_EQ(producer.wait(60).exit_code, 0) << producer.errors() << daemon_.log();
  expect_all_once();
  // What is durable is on the disk, and all of it.
  const auto verified = sh(mallbots() + " verify --deep --data-dir " + daemon_.data_dir());
  EXPECT_NE(verified.output.find(" 30000 records"), std::string::npos) << verified.output;
  EXPECT_EQ(verified.ended.exit_code, 0) << verified.output;
}

TEST_F(Produce, SendsAgainWhatWasLostWithTheMemoryAndNothingElse) {
  make_topic();
  Process producer = produce("--acks durable");
  for (int i = 0; i < 2; ++i) {
    usleep(400'000);
    daemon_.process().send(SIGSTOP);  // no heir between the two
    daemon_.signal_broker(SIGKILL);
    daemon_.process().send(SIGKILL);
    (void)daemon_.wait();
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
  }
  EXPECT_EQ(producer.wait(60).exit_code, 0) << producer.errors() << daemon_.log();
  expect_all_once();
}

TEST_F(Produce, GivesUpAfterItsTimeoutAndReportsOnlyWhatIsAcknowledged) {
  make_topic();
  Process producer = produce("--timeout 1500");
  usleep(300'000);
  (void)daemon_.stop();
  const Ended ended = producer.wait(60);
  EXPECT_EQ(ended.exit_code, 3) << producer.errors();
  EXPECT_NE(producer.errors().find(" records, 4 partitions, "), std::string::npos);
  ASSERT_TRUE(daemon_.start());
  const auto counted =
      sh(mallbots() + " consume t -o start -e | wc -l; wc -l < " + (daemon_.folder() / "report"));
  std::istringstream numbers{counted.output};
  int there = 0;
  int reported = 0;
  numbers >> there >> reported;
  EXPECT_GT(reported, 0);
  EXPECT_GE(there, reported);
}

TEST_F(Produce, WithoutABrokerIsExitCodeThree) {
  const auto finished = sh("echo x | " + mallbots() + " produce t");
  EXPECT_EQ(finished.ended.exit_code, 3) << finished.errors;
}

}  // namespace
}  // namespace mallbots::test
