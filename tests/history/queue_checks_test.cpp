#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/history/checks.h"

namespace mallbots::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Findings of a queue with locks of 1 ms, times in ns.
std::vector<std::string> kinds(const std::string& text) {
  History history;
  const auto added = history.add("1 m locks t g 1\n" + text, "test");
  EXPECT_TRUE(added) << added.error().sentence();
  Verdict verdict;
  check_queues(history, verdict);
  std::vector<std::string> kinds;
  for (const Finding& finding : verdict.findings) kinds.push_back(finding.kind);
  return kinds;
}

const std::string kFirst =
    "20 m held t g 0 0 a k 1 10\n30 m settling t g 0 0 ack 1\n40 m settled t g 0 0 ack 1\n";
const std::string kSecond =
    "60 m held t g 0 1 b k 1 50\n70 m settling t g 0 1 ack 1\n80 m settled t g 0 1 ack 1\n";

TEST(QueueChecks, AGoodQueueHasNoFinding) {
  EXPECT_THAT(kinds(kFirst + kSecond + "90 d drained t g 0 2\n"), IsEmpty());
}

TEST(QueueChecks, WhatIsDoneDoesNotComeAgain) {
  EXPECT_THAT(kinds(kFirst + "60 n held t g 0 0 a k 2 50\n"), ElementsAre("repeat"));
  // Before its confirmation nobody knows.
  EXPECT_THAT(kinds("20 m held t g 0 0 a k 1 10\n30 m settling t g 0 0 ack 1\n"
                    "60 n held t g 0 0 a k 2 50\n"),
              IsEmpty());
}

TEST(QueueChecks, NobodyGetsWhatAnotherHolds) {
  // Locks of 100 ms; the broker's clock may be 20 ms old.
  const std::string held = "1 m locks t g 100\n20 m held t g 0 0 a k 1 10\n";
  const std::string other = "50000060 n held t g 0 0 a k 2 50000000\n";
  EXPECT_THAT(kinds(held + other), ElementsAre("double-held"));
  EXPECT_THAT(kinds(held + "55 d kill m SIGKILL\n" + other), IsEmpty());
  EXPECT_THAT(kinds(held + "55 d kill m SIGSTOP\n" + other), ElementsAre("double-held"));
  EXPECT_THAT(kinds(held + "55 m settling t g 0 0 nack 1\n" + other), IsEmpty());
  EXPECT_THAT(kinds(held + other + "90 d restarted 45\n"), IsEmpty());
  // Its lock's time passed.
  EXPECT_THAT(kinds(held + "100000060 n held t g 0 0 a k 2 100000050\n"), IsEmpty());
}

TEST(QueueChecks, AKeysNextOneWaits) {
  EXPECT_THAT(kinds("20 m held t g 0 0 a k 1 10\n25 n held t g 0 1 b k 1 21\n"),
              ElementsAre("key-order"));
  EXPECT_THAT(kinds("20 m held t g 0 0 a k 1 10\n25 n held t g 0 1 b l 1 21\n"), IsEmpty());
  EXPECT_THAT(kinds("20 m held t g 0 0 a - 1 10\n25 n held t g 0 1 b - 1 21\n"), IsEmpty());
  // A settlement that was refused does not let the next one go.
  EXPECT_THAT(kinds("20 m held t g 0 0 a k 1 10\n22 m settling t g 0 0 ack 1\n"
                    "23 m refused t g 0 0 ack 1\n25 n held t g 0 1 b k 1 21\n"),
              ElementsAre("key-order"));
  EXPECT_THAT(kinds("20 m held t g 0 0 a k 1 10\n22 m settling t g 0 0 nack 1\n"
                    "25 n held t g 0 1 b k 1 21\n"),
              ElementsAre("key-order"));
}

TEST(QueueChecks, ARefusalOfAnEarlierAttemptTakesNothingBack) {
  const std::string refused = "m refused t g 0 0 nack 1\n";
  const std::string next = "60 m held t g 0 1 b k 1 50\n";
  const std::string begun = "20 m held t g 0 0 a k 2 10\n30 m settling t g 0 0 ack 2\n";
  EXPECT_THAT(kinds(begun + "35 " + refused + "40 m settled t g 0 0 ack 2\n" + next), IsEmpty());
  EXPECT_THAT(kinds(begun + "40 m settled t g 0 0 ack 2\n45 " + refused + next), IsEmpty());
}

TEST(QueueChecks, WhoWasGivenItTwiceMaySettleItTwice) {
  const std::string twice = "20 m held t g 0 0 a k 2 10\n22 m held t g 0 0 a k 2 21\n";
  const std::string done = twice + "30 m settling t g 0 0 ack 2\n40 m settled t g 0 0 ack 2\n";
  const std::string next = "60 m held t g 0 1 b k 1 50\n";
  for (const std::string how : {"ack", "nack"}) {
    const std::string late =
        "45 m settling t g 0 0 " + how + " 2\n46 m refused t g 0 0 " + how + " 2\n";
    EXPECT_THAT(kinds(done + late + next), IsEmpty()) << how;
    EXPECT_THAT(kinds(done + late + "50 d drained t g 0 1\n"), IsEmpty()) << how;
    // Before the first one is confirmed.
    EXPECT_THAT(kinds(twice + "30 m settling t g 0 0 ack 2\n31 m settling t g 0 0 " + how + " 2" +
                      "\n32 m refused t g 0 0 " + how + " 2\n40 m settled t g 0 0 ack 2\n" + next),
                IsEmpty())
        << how;
  }
  EXPECT_THAT(kinds(twice + "30 m settling t g 0 0 nack 2\n40 m settled t g 0 0 nack 2\n" + next),
              ElementsAre("key-order"));
}

TEST(QueueChecks, ASettlementIsThatOfItsAttempt) {
  // Confirmed when the next attempt has come already: the key's next one came too early all the
  // same.
  EXPECT_THAT(kinds("20 m held t g 0 0 a k 1 10\n30 m settling t g 0 0 ack 1\n"
                    "35 m held t g 0 0 a k 2 34\n40 m settled t g 0 0 ack 1\n"
                    "25 n held t g 0 1 b k 1 21\n"),
              ElementsAre("key-order"));
  // The first attempt's ack was refused, so the second one's counts.
  EXPECT_THAT(kinds("20 m held t g 0 0 a k 1 10\n22 m held t g 0 0 a k 2 21\n"
                    "30 m settling t g 0 0 ack 1\n45 m settling t g 0 0 ack 2\n"
                    "46 m refused t g 0 0 ack 1\n50 m settled t g 0 0 ack 2\n"
                    "41 n held t g 0 1 b k 1 40\n"),
              ElementsAre("key-order"));
  // A refusal that is told after the next delivery.
  EXPECT_THAT(kinds("20 m held t g 0 0 a k 1 10\n30 m settling t g 0 0 ack 1\n"
                    "35 m held t g 0 0 a k 2 34\n40 m refused t g 0 0 ack 1\n"
                    "90 d drained t g 0 1\n"),
              ElementsAre("unseen"));
}

TEST(QueueChecks, AttemptsRise) {
  const std::string back = "20 m held t g 0 0 a k 2 10\n30 m settling t g 0 0 nack 2\n";
  EXPECT_THAT(kinds(back + "60 n held t g 0 0 a k 3 50\n"), IsEmpty());
  EXPECT_THAT(kinds(back + "60 n held t g 0 0 a k 2 50\n"), ElementsAre("attempt"));
  EXPECT_THAT(kinds(back + "60 m held t g 0 0 a k 1 50\n"), ElementsAre("attempt"));
}

TEST(QueueChecks, AnEmptyQueueHasDoneEverything) {
  EXPECT_THAT(kinds(kFirst + "90 d drained t g 0 2\n"), ElementsAre("unseen"));
  EXPECT_THAT(kinds(kFirst + "60 m held t g 0 1 b k 1 50\n90 d drained t g 0 2\n"),
              ElementsAre("unseen"));
}

}  // namespace
}  // namespace mallbots::test
