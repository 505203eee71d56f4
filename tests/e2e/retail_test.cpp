// Orders through the command line, while the broker and then everything is killed: what comes back
// is what went in, per key in the same order. Normally some thousand invented orders; with
// MALLBOTS_CHECK=full the shared file of a real retailer, when it is there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/daemon.h"

namespace mallbots::test {
namespace {

constexpr const char* kRealOrders = "../shared/data/online_retail_2010-12_2011-03.csv.zst";

using Lines = std::vector<std::string>;

Lines lines_of(const std::string& text) {
  Lines lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string orders_text() {
  const char* check = std::getenv("MALLBOTS_CHECK");
  if (check != nullptr && std::string{check} == "full") {
    if (std::filesystem::exists(kRealOrders)) return run({"zstd", "-dcq", kRealOrders}).output;
    std::puts("the shared retail file is not there; invented orders instead");
  }
  return run({"python3", "-B", "packaging/demo-log/orders.py", "generate", "6000"}).output;
}

/// key -> its lines, in order.
std::map<std::string, Lines> by_key(const Lines& lines) {
  std::map<std::string, Lines> keys;
  for (const std::string& line : lines) keys[line.substr(0, line.find(','))].push_back(line);
  return keys;
}

/// A line of --report.
struct Acknowledged {
  std::size_t line = 0;
  std::string place;  ///< "PARTITION OFFSET"
};

std::vector<Acknowledged> read_report(const std::string& path) {
  std::vector<Acknowledged> rows;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    const auto blank = line.find(' ');
    rows.push_back({std::stoul(line.substr(0, blank)), line.substr(blank + 1)});
  }
  return rows;
}

class Retail : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string text = orders_text();
    std::ofstream(files_ / "orders.csv") << text;
    orders_ = lines_of(text);
    ASSERT_GT(orders_.size(), 1000u);
    orders_.erase(orders_.begin());  // the title
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
    const Finished created = mallbots({"topic", "create", "retail", "-p", "8"});
    ASSERT_EQ(created.ended.exit_code, 0) << created.errors;
  }

  [[nodiscard]] Finished mallbots(const std::vector<std::string>& arguments) const {
    std::vector<std::string> words{binary("mallbots"), "--runtime-dir", daemon_.runtime_dir()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return run(words);
  }

  /// Every order, fed evenly over so many seconds; `report` gets what is acknowledged.
  [[nodiscard]] Process produce(double seconds, const std::string& report) const {
    const std::string script =
        "python3 -B packaging/demo-log/orders.py feed '" + (files_ / "orders.csv") + "' " +
        std::to_string(seconds) + " | exec '" + binary("mallbots") + "' --runtime-dir '" +
        daemon_.runtime_dir() + "' produce retail -K, --acks durable --report '" + report + "'";
    return Process::start({"sh", "-c", script}, {.limit_s = 120});
  }

  [[nodiscard]] static bool acknowledges(const std::string& report, std::size_t lines) {
    return eventually([&] { return read_report(report).size() >= lines; }, 60);
  }

  /// The acceptance itself: the same lines per key in the same order.
  void expect_all_back(std::size_t times = 1) const {
    const Finished consumed =
        mallbots({"consume", "retail", "-o", "start", "-e", "-f", "%k,%s\\n"});
    ASSERT_EQ(consumed.ended.exit_code, 0) << consumed.errors;
    Lines expected;
    for (; times > 0; --times) expected.insert(expected.end(), orders_.begin(), orders_.end());
    const auto wanted = by_key(expected);
    const auto found = by_key(lines_of(consumed.output));
    ASSERT_EQ(found.size(), wanted.size());
    for (const auto& [key, lines] : wanted) {
      const auto at = found.find(key);
      ASSERT_NE(at, found.end()) << "no order of key " << key << " came back";
      ASSERT_EQ(at->second, lines) << "key " << key;
    }
  }

  /// Every line was acknowledged once, and lies where its acknowledgement says.
  void expect_report_is_true(const std::string& report) const {
    const Finished consumed =
        mallbots({"consume", "retail", "-o", "start", "-e", "-f", "%p %o\\t%k,%s\\n"});
    ASSERT_EQ(consumed.ended.exit_code, 0) << consumed.errors;
    std::map<std::string, std::string> topic;
    for (const std::string& line : lines_of(consumed.output)) {
      const auto tab = line.find('\t');
      ASSERT_TRUE(topic.emplace(line.substr(0, tab), line.substr(tab + 1)).second) << line;
    }
    std::vector<int> told(orders_.size(), 0);
    for (const Acknowledged& row : read_report(report)) {
      ASSERT_TRUE(row.line >= 1 && row.line <= orders_.size()) << row.line;
      ++told[row.line - 1];
      ASSERT_EQ(topic[row.place], orders_[row.line - 1])
          << "line " << row.line << ", " << row.place;
    }
    EXPECT_THAT(told, ::testing::Each(1));
  }

  TempDir files_;
  Daemon daemon_{{.process = {.limit_s = 170}}};
  Lines orders_;
};

TEST_F(Retail, ComesBackPerKeyInOrderThroughTwoKillsOfTheBroker) {
  const std::string report = files_ / "report.txt";
  Process producer = produce(2, report);
  ASSERT_TRUE(acknowledges(report, orders_.size() / 3)) << producer.errors();
  ASSERT_TRUE(producer.running());
  ASSERT_TRUE(daemon_.kill_broker()) << daemon_.log();
  ASSERT_TRUE(acknowledges(report, orders_.size() * 2 / 3)) << producer.errors();
  ASSERT_TRUE(producer.running());
  ASSERT_TRUE(daemon_.kill_broker()) << daemon_.log();
  ASSERT_EQ(producer.wait(90).exit_code, 0) << producer.errors() << daemon_.log();
  expect_all_back();
  expect_report_is_true(report);
  EXPECT_EQ(daemon_.stop().exit_code, 0) << daemon_.log();
}

TEST_F(Retail, ComesBackPerKeyInOrderAfterKeeperAndBrokerAreKilled) {
  const std::string report = files_ / "report.txt";
  Process producer = produce(0, report);
  ASSERT_EQ(producer.wait(90).exit_code, 0) << producer.errors();
  daemon_.process().kill_all();
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  expect_all_back();
  expect_report_is_true(report);

  // The log goes on behind them, and a second death takes nothing either.
  Process again = produce(0, files_ / "again.txt");
  ASSERT_EQ(again.wait(90).exit_code, 0) << again.errors();
  daemon_.process().kill_all();
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  expect_all_back(2);
  const Finished verified = mallbots({"verify", "--deep", "--data-dir", daemon_.data_dir()});
  EXPECT_EQ(verified.ended.exit_code, 0) << verified.output << verified.errors;
}

TEST_F(Retail, WhatWasAcknowledgedIsThereAfterEverythingDiesWhileProducing) {
  const std::string report = files_ / "report.txt";
  Process producer = produce(2, report);
  ASSERT_TRUE(acknowledges(report, orders_.size() / 2)) << producer.errors();
  producer.kill_all();
  daemon_.process().kill_all();
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  const Finished consumed =
      mallbots({"consume", "retail", "-o", "start", "-e", "-f", "%p %o\\t%k,%s\\n"});
  ASSERT_EQ(consumed.ended.exit_code, 0) << consumed.errors;
  std::map<std::string, std::string> topic;
  for (const std::string& line : lines_of(consumed.output))
    topic[line.substr(0, line.find('\t'))] = line.substr(line.find('\t') + 1);
  // The last line may be torn: its writer was killed too.
  std::vector<Acknowledged> told = read_report(report);
  told.pop_back();
  for (const Acknowledged& row : told)
    ASSERT_EQ(topic[row.place], orders_[row.line - 1]) << "line " << row.line << ", " << row.place;
}

}  // namespace
}  // namespace mallbots::test
