#include "tests/history/checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mallbots::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Verdict verdict_of(const std::string& text) {
  History history;
  const auto added = history.add(text, "test");
  EXPECT_TRUE(added) << added.error().sentence();
  return check(history);
}

std::vector<std::string> kinds(const std::string& text) {
  std::vector<std::string> kinds;
  for (const Finding& finding : verdict_of(text).findings) kinds.push_back(finding.kind);
  return kinds;
}

/// Two records in partition 0, and a reader that saw both.
const std::string kSent =
    "10 p send t a k a\n20 p acked t a 0 0\n30 p send t b k b\n40 p acked t b 0 1\n";
const std::string kRead =
    "50 r started t 0 0\n51 r read t 0 0 a k 7\n51 r read t 0 1 b k 8\n60 r ended t 0 2\n";
const std::string kWhole = kSent + kRead;
const std::string kGiven = "70 m gained t g 0\n70 m given t g 0 0 a k\n70 m given t g 0 1 b k\n";

TEST(Checks, AGoodHistoryHasNoFinding) {
  const Verdict verdict =
      verdict_of(kWhole + kGiven + "80 m committed t g 0 2\n90 d drained t g 0 2\n" +
                 "15 d kill producer-1.0 SIGKILL\n16 d kill producer-2.0 SIGKILL\n");
  EXPECT_THAT(verdict.findings, IsEmpty()) << report(verdict);
  EXPECT_EQ(verdict.sent, 2U);
  EXPECT_EQ(verdict.acked, 2U);
  EXPECT_EQ(verdict.unsure, 0U);
  EXPECT_EQ(verdict.records, 2U);
  EXPECT_EQ(verdict.reads, 2U);
  EXPECT_EQ(verdict.given, 2U);
  EXPECT_EQ(verdict.again, 0U);
  EXPECT_EQ(verdict.kills.at("producer SIGKILL"), 2U);
}

TEST(Checks, AnAckedRecordBehindTheEndIsLost) {
  EXPECT_THAT(kinds(kWhole + "41 p send t c k c\n42 p acked t c 0 2\n"), ElementsAre("lost-write"));
}

TEST(Checks, AnAckedRecordInWhosePlaceIsAnotherIsLost) {
  EXPECT_THAT(kinds(kWhole + "31 q send t c k c\n42 q acked t c 0 1\n"), ElementsAre("lost-write"));
}

TEST(Checks, ARecordThatWasAcceptedBeforeMustBeSomewhere) {
  EXPECT_THAT(kinds(kWhole + "41 p send t b k b\n42 p acked t b 0 ?\n"), IsEmpty());
  EXPECT_THAT(kinds(kWhole + "41 p send t c k c\n42 p acked t c 0 ?\n"), ElementsAre("lost-write"));
}

TEST(Checks, ARecordWithoutAnAnswerMayBeThereOrNot) {
  EXPECT_THAT(kinds(kWhole + "41 p send t c k c\n"), IsEmpty());
  const Verdict verdict = verdict_of("10 p send t a k a\n20 p send t b k b\n" + kRead);
  EXPECT_THAT(verdict.findings, IsEmpty());
  EXPECT_EQ(verdict.unsure, 2U);
}

TEST(Checks, AnAckInAPartitionThatNobodyReadToItsEndIsAFinding) {
  EXPECT_THAT(kinds(kWhole + "41 p send t c k c\n42 p acked t c 1 0\n"), ElementsAre("unseen"));
}

TEST(Checks, ARecordThatNobodySentIsAPhantom) {
  EXPECT_THAT(kinds("10 p send t a k a\n20 p acked t a 0 0\n" + kRead), ElementsAre("phantom"));
  EXPECT_THAT(kinds("10 p send t a k a\n20 p send u b k b\n" + kRead), ElementsAre("phantom"));
}

TEST(Checks, AFailedRecordMustNotBeThere) {
  EXPECT_THAT(kinds("10 p send t a k a\n20 p acked t a 0 0\n30 p send t b k b\n"
                    "40 p failed t b Timeout\n" +
                    kRead),
              ElementsAre("failed-read"));
}

TEST(Checks, ARecordAtTwoOffsetsIsADuplicate) {
  EXPECT_THAT(kinds(kSent + "50 r started t 0 0\n51 r read t 0 0 a k 7\n51 r read t 0 1 b k 8\n"
                            "51 r read t 0 2 a k 8\n60 r ended t 0 3\n"),
              ElementsAre("duplicate"));
}

TEST(Checks, AnOffsetWithTwoRecordsIsInconsistent) {
  EXPECT_THAT(kinds(kWhole + "61 s started t 0 1\n61 s read t 0 1 a k 8\n"),
              ElementsAre("inconsistent-offset"));
  EXPECT_THAT(kinds(kWhole + "61 p send t c k c\n61 s started t 0 2\n61 s read t 0 2 c k 8\n"),
              ElementsAre("inconsistent-offset"));  // behind the end that the other reader found
}

TEST(Checks, AHalfBatchIsFound) {
  const std::string sent = "10 p send t a k a\n10 p send t b k a\n10 p send t c k a\n";
  EXPECT_THAT(kinds(sent + kRead), ElementsAre("split-batch"));
  EXPECT_THAT(kinds("10 p send t b k b\n10 p send t a k b\n" + kRead), ElementsAre("split-batch"));
  EXPECT_THAT(kinds("10 p send t a k a\n10 p send t b k a\n" + kRead), IsEmpty());
}

TEST(Checks, WhatIsSentLaterStandsLater) {
  EXPECT_THAT(kinds("10 p send t b k b\n20 p acked t b 0 1\n30 q send t a k a\n"
                    "40 q acked t a 0 0\n" +
                    kRead),
              ElementsAre("order"));
  // At the same time: both orders are right.
  EXPECT_THAT(kinds("10 p send t b k b\n35 p acked t b 0 1\n30 q send t a k a\n"
                    "40 q acked t a 0 0\n" +
                    kRead),
              IsEmpty());
  // What was put off is acked before it is in the log.
  EXPECT_THAT(kinds("10 p send t b k b\n10 p due t b 8\n20 p acked t b 0 ?\n30 q send t a k a\n"
                    "40 q acked t a 0 0\n" +
                    kRead),
              IsEmpty());
}

TEST(Checks, StampsNeverStepBackAndDueTimesAreKept) {
  EXPECT_THAT(kinds(kSent + "50 r started t 0 0\n51 r read t 0 0 a k 9\n51 r read t 0 1 b k 8\n"
                            "60 r ended t 0 2\n"),
              ElementsAre("stamp"));
  EXPECT_THAT(kinds(kWhole + "30 p due t b 8\n"), IsEmpty());
  EXPECT_THAT(kinds(kWhole + "30 p due t b 9\n"), ElementsAre("stamp"));
}

TEST(Checks, AReaderThatJumpsOrGoesBackIsFound) {
  EXPECT_THAT(kinds(kWhole + "61 s started t 0 0\n62 s read t 0 1 b k 8\n"), ElementsAre("skip"));
  EXPECT_THAT(kinds(kWhole + "61 s started t 0 1\n62 s read t 0 1 b k 8\n63 s read t 0 1 b k 8\n"),
              ElementsAre("non-monotonic"));
  EXPECT_THAT(kinds(kWhole + "61 s started t 0 0\n62 s read t 0 0 a k 7\n63 s ended t 0 2\n"),
              ElementsAre("unseen"));
}

TEST(Checks, WhatIsCommittedWasGivenToSomebody) {
  EXPECT_THAT(kinds(kWhole + "70 m gained t g 0\n70 m given t g 0 0 a k\n80 m committed t g 0 2\n"),
              ElementsAre("unseen"));
  EXPECT_THAT(kinds(kWhole + "80 m committed t g 0 2\n" + "90 n given t g 0 0 a k\n"),
              ElementsAre("repeat", "unseen", "unseen"));
}

TEST(Checks, ADrainedGroupHasSeenEverything) {
  EXPECT_THAT(kinds(kWhole + "70 m given t g 0 0 a k\n90 d drained t g 0 2\n"),
              ElementsAre("unseen"));
  EXPECT_THAT(kinds(kWhole + "70 m given t g 0 0 a k\n90 d drained t g 0 1\n"),
              ElementsAre("unseen"));
}

TEST(Checks, AgainIsAllowedAboveTheLastCommitOnly) {
  const std::string committed = kWhole + kGiven + "80 m committed t g 0 1\n";
  const Verdict above = verdict_of(committed + "90 n given t g 0 1 b k\n");
  EXPECT_THAT(above.findings, IsEmpty()) << report(above);
  EXPECT_EQ(above.again, 1U);
  EXPECT_THAT(kinds(committed + "90 n given t g 0 0 a k\n"), ElementsAre("repeat"));
  // A poll that began before the commit may give what it had taken.
  EXPECT_THAT(kinds(committed + "75 n given t g 0 0 a k\n"), IsEmpty());
}

TEST(Checks, ACommitFromWithinARestartMayBeVoid) {
  EXPECT_THAT(kinds(kWhole + kGiven + "80 m committed t g 0 1\n90 n given t g 0 0 a k\n" +
                    "85 d restarted 75\n"),
              IsEmpty());
  EXPECT_THAT(kinds(kWhole + kGiven + "80 m committed t g 0 1\n90 n given t g 0 0 a k\n" +
                    "87 d restarted 85\n"),
              ElementsAre("repeat"));
}

TEST(Checks, AMemberSkipsNothingWhileItKeepsAPartition) {
  EXPECT_THAT(kinds(kWhole + "70 m given t g 0 0 a k\n71 m given t g 0 0 a k\n"),
              ElementsAre("non-monotonic"));
  EXPECT_THAT(kinds(kWhole + "70 m given t g 0 0 a k\n70 m dropped t g 0\n71 m gained t g 0\n"
                             "71 m given t g 0 0 a k\n"),
              IsEmpty());
}

TEST(Checks, ManyFindingsOfAKindAreCountedAndAFewShown) {
  std::string text = kWhole;
  for (int i = 0; i < 100; ++i)
    text += "61 p send t x" + std::to_string(i) + " k x" + std::to_string(i) + "\n62 p acked t x" +
            std::to_string(i) + " 0 " + std::to_string(i + 10) + "\n";
  const Verdict verdict = verdict_of(text);
  EXPECT_EQ(verdict.found, 100U);
  EXPECT_EQ(verdict.findings.size(), 5U);
  EXPECT_NE(report(verdict).find("and 95 more"), std::string::npos);
}

}  // namespace
}  // namespace mallbots::test
