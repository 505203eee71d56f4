#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/history/checks.h"

namespace mallbots::test {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> kinds(const std::string& text) {
  History history;
  const auto added = history.add(text, "test");
  EXPECT_TRUE(added) << added.error().sentence();
  Verdict verdict;
  check_streams(history, verdict);
  std::vector<std::string> kinds;
  for (const Finding& finding : verdict.findings) kinds.push_back(finding.kind);
  return kinds;
}

/// `value` became version `version` of stream s, between the two times.
std::string append(int from, int to, const std::string& value, const std::string& expected,
                   int version) {
  const std::string at = std::to_string(from) + " w ";
  return at + "send t " + value + " s " + value + '\n' + at + "expects t s " + value + ' ' +
         expected + '\n' + std::to_string(to) + " w versioned t s " + value + ' ' +
         std::to_string(version) + '\n';
}

std::string conflict(int from, int to, const std::string& expected, int version) {
  const std::string at = std::to_string(from) + " x ";
  return at + "send t c s c\n" + at + "expects t s c " + expected + '\n' + std::to_string(to) +
         " x conflict t s c " + std::to_string(version) + '\n';
}

const std::string kTwo = append(10, 20, "a", "none", 1) + append(30, 40, "b", "1", 2);
const std::string kRead = "50 r event t s a 1\n50 r event t s b 2\n51 r whole t s 2\n";

TEST(StreamChecks, AGoodStreamHasNoFinding) {
  EXPECT_THAT(kinds(kTwo + kRead), IsEmpty());
  EXPECT_THAT(kinds(append(10, 20, "a", "any", 1) + append(30, 40, "b", "exists", 2) + kRead),
              IsEmpty());
}

TEST(StreamChecks, VersionsAreDenseAndEachIsOneEvent) {
  EXPECT_THAT(kinds(kTwo + "50 r event t s a 1\n51 r whole t s 1\n"), ElementsAre("version"));
  EXPECT_THAT(kinds(kTwo + kRead + "60 q event t s z 2\n"), ElementsAre("version"));
  EXPECT_THAT(kinds(kTwo + kRead + "60 q event t s b 3\n60 q whole t s 3\n"),
              ElementsAre("version"));
  EXPECT_THAT(kinds(append(10, 20, "a", "none", 1) + "50 r event t s c 3\n51 r whole t s 3\n"),
              ElementsAre("version"));
  EXPECT_THAT(kinds(kTwo), ElementsAre("version"));  // read by nobody
}

TEST(StreamChecks, AnAppendAgainstItsExpectationIsFound) {
  EXPECT_THAT(kinds(append(10, 20, "a", "none", 1) + append(30, 40, "b", "none", 2) + kRead),
              ElementsAre("false-agreement"));
  EXPECT_THAT(kinds(append(10, 20, "a", "exists", 1) + append(30, 40, "b", "1", 2) + kRead),
              ElementsAre("false-agreement"));
  EXPECT_THAT(kinds(append(10, 20, "a", "none", 1) + append(30, 40, "b", "7", 2) + kRead),
              ElementsAre("false-agreement"));
}

TEST(StreamChecks, AConflictTellsTheTruth) {
  EXPECT_THAT(kinds(kTwo + kRead + conflict(22, 25, "none", 1)), IsEmpty());
  EXPECT_THAT(kinds(kTwo + kRead + conflict(22, 35, "none", 2)), IsEmpty());  // while b came
  EXPECT_THAT(kinds(kTwo + kRead + conflict(35, 45, "5", 1)), IsEmpty());
  // Not yet, no more, and no conflict at all.
  EXPECT_THAT(kinds(kTwo + kRead + conflict(22, 25, "none", 2)), Each("false-conflict"));
  EXPECT_THAT(kinds(kTwo + kRead + conflict(22, 25, "none", 2)), Not(IsEmpty()));
  EXPECT_THAT(kinds(kTwo + kRead + conflict(45, 48, "5", 1)), ElementsAre("false-conflict"));
  EXPECT_THAT(kinds(kTwo + kRead + conflict(45, 48, "2", 2)), ElementsAre("false-conflict"));
  EXPECT_THAT(kinds(kTwo + kRead + conflict(45, 48, "any", 2)), ElementsAre("false-conflict"));
}

}  // namespace
}  // namespace mallbots::test
