// The auditor of the demo of the log on small made evidence: two partitions, two members, member-1
// killed after it had committed partition 0 up to offset 2. What it must find is named by
// partition, offset, key.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Sent {
  int partition;
  int offset;
  std::string key;
  std::string value;
};

std::string json(const Sent& record, int ts) {
  return R"({"topic":"retail","partition":)" + std::to_string(record.partition) + R"(,"offset":)" +
         std::to_string(record.offset) + R"(,"ts":)" + std::to_string(ts) + R"(,"key":")" +
         record.key + R"(","payload":")" + record.value + R"(","headers":[]})";
}

/// A receipt: the record and the times between which it came.
std::string at(int earliest, int latest, const Sent& record) {
  return std::to_string(earliest) + " " + std::to_string(latest) + " " + json(record, 100) + "\n";
}

class LogAuditor : public ::testing::Test {
 protected:
  const Sent a1{0, 0, "A", "1"}, a2{0, 1, "A", "2"}, b1{0, 2, "B", "1"}, a3{0, 3, "A", "3"};
  const Sent c1{1, 0, "C", "1"}, c2{1, 1, "C", "2"};
  const Sent later{1, 2, "C", "3"};  ///< appended after the kill of the broker

  void SetUp() override {
    orders_ = "InvoiceNo,Rest\nA,1\nC,1\nA,2\nB,1\nC,2\nA,3\nC,3\n";
    topic_ = {a1, a2, b1, a3, c1, c2, later};
    member_1_ = at(10, 11, a1) + at(11, 12, a2) + at(12, 13, b1);
    member_2_ = at(10, 12, c1) + at(12, 14, c2) + at(1'020, 2'000, b1) + at(2'000, 2'500, a3) +
                at(2'500, 9'000, later);
    kills_ =
        "member-1 pid=7 at_us=1000 unix_ms=50 commits=0:2\n"
        "broker pid=8 at_us=3000 unix_ms=150\n";
  }

  Finished audit() {
    std::ofstream(files_ / "orders.csv") << orders_;
    std::ofstream topic(files_ / "topic.jsonl");
    for (const Sent& record : topic_)
      topic << json(record, record.offset == 2 && record.partition == 1 ? 200 : 100) << "\n";
    topic << torn_topic_;
    topic.close();
    const auto lines = [](const std::string& text) {
      return std::to_string(std::count(text.begin(), text.end(), '\n'));
    };
    write_member("member-1.txt", member_1_, "end " + lines(member_1_) + "\n");
    write_member("member-2.txt", member_2_, "end " + lines(member_2_) + "\n");
    std::ofstream(files_ / "kills.txt") << kills_;
    return judge();
  }

  void write_member(const std::string& name, const std::string& text, const std::string& closing) {
    std::ofstream(files_ / name) << text << closing;
  }

  Finished judge() {
    return run({"python3", "-B", "packaging/demo-log/auditor", "--orders", files_ / "orders.csv",
                "--topic", files_ / "topic.jsonl", "--kills", files_ / "kills.txt",
                "member-1=" + (files_ / "member-1.txt"), "member-2=" + (files_ / "member-2.txt")});
  }

  void expect_finding(const std::string& finding) {
    const Finished done = audit();
    EXPECT_EQ(done.ended.exit_code, 1) << done.errors;
    EXPECT_THAT(done.output, HasSubstr(finding));
    EXPECT_THAT(done.output, Not(HasSubstr("nothing lost")));
  }

  void expect_refusal(const std::string& sentence) {
    const Finished done = audit();
    EXPECT_EQ(done.ended.exit_code, 2) << done.output;
    EXPECT_THAT(done.errors, HasSubstr(sentence));
    EXPECT_EQ(done.output, "");
  }

  TempDir files_;
  std::string orders_, torn_topic_, member_1_, member_2_, kills_;
  std::vector<Sent> topic_;
};

TEST_F(LogAuditor, FindsAGoodRunGoodAndCountsWhatItSaw) {
  const Finished done = audit();
  EXPECT_EQ(done.ended.exit_code, 0) << done.output << done.errors;
  EXPECT_THAT(done.output, HasSubstr("7 lines, 3 keys"));
  EXPECT_THAT(done.output, HasSubstr("7 records in 2 partitions"));
  EXPECT_THAT(done.output, HasSubstr("7 records (member-1 3, member-2 5)"));
  EXPECT_THAT(done.output, HasSubstr("1 above the killed member's last commit"));
  EXPECT_THAT(done.output, HasSubstr("1.0 ms from the kill of member-1"));
  EXPECT_THAT(done.output, HasSubstr("6.0 ms from the kill of the broker"));
}

TEST_F(LogAuditor, NamesARecordThatNoMemberReceived) {
  member_2_ =
      at(10, 12, c1) + at(1'020, 2'000, b1) + at(2'000, 2'500, a3) + at(2'500, 9'000, later);
  expect_finding("lost: partition 1, offset 1, key C: no member received it");
}

TEST_F(LogAuditor, NamesAnOrderThatIsNotInTheTopic) {
  orders_ += "A,4\n";
  expect_finding(
      "lost: after partition 0, offset 3, key A: line 9 of the orders is not in the topic");
}

TEST_F(LogAuditor, NamesAnOrderOfWhoseKeyNothingIsInTheTopic) {
  orders_ += "Z,1\n";
  expect_finding("key Z: line 9 of the orders is not in the topic");
}

TEST_F(LogAuditor, NamesAHoleInTheTopic) {
  topic_.erase(topic_.begin() + 1);
  expect_finding("lost: before partition 0, offset 2, key B: offset 1 is not in the topic");
}

TEST_F(LogAuditor, NamesARecordThatIsTwiceInTheTopic) {
  const Sent again{1, 3, "C", "3"};
  topic_.push_back(again);
  member_2_ += at(9'000, 9'100, again);
  expect_finding("altered: partition 1, offset 3, key C: no line of the orders");
}

TEST_F(LogAuditor, NamesRecordsThatTheTopicHasInAnotherOrderThanTheFile) {
  orders_ = "A,2\nA,1\nC,1\nB,1\nC,2\nA,3\nC,3\n";
  expect_finding("out of order per key: partition 0, offset 1, key A");
}

TEST_F(LogAuditor, NamesAKeyInTwoPartitions) {
  orders_ += "A,4\n";
  const Sent astray{1, 3, "A", "4"};
  topic_.push_back(astray);
  member_2_ += at(9'000, 9'100, astray);
  expect_finding("key A: this key is in partitions 0, 1");
}

TEST_F(LogAuditor, NamesAReceiptThatDiffersFromTheTopic) {
  member_2_ += at(9'000, 9'100, {1, 1, "C", "other"});
  expect_finding("altered: partition 1, offset 1, key C: member-2 received another record");
}

TEST_F(LogAuditor, NamesAReceiptOfWhatTheTopicHasNot) {
  member_2_ += at(9'000, 9'100, {1, 77, "C", "9"});
  expect_finding("altered: partition 1, offset 77, key C: member-2 received it");
}

TEST_F(LogAuditor, NamesRecordsOfAKeyThatAMemberReceivedInTheWrongOrder) {
  member_1_ = at(10, 11, a2) + at(10, 11, a1) + at(12, 13, b1);
  expect_finding(
      "out of order per key: partition 0, offset 0, key A: member-1 received it (line 2)");
}

TEST_F(LogAuditor, NamesAnHeirThatWasAheadOfALivingMember) {
  member_1_ = at(10, 11, a1) + at(12, 13, b1) + at(2'600, 2'700, a2);
  expect_finding(
      "out of order per key: partition 0, offset 1, key A: received 0.1 ms or more after");
}

TEST_F(LogAuditor, AcceptsReceiptsWhoseTimesMayOverlap) {
  member_1_ = at(10, 11, a1) + at(11, 2'700, a2) + at(11, 2'700, b1);
  const Finished done = audit();
  EXPECT_EQ(done.ended.exit_code, 0) << done.output << done.errors;
}

TEST_F(LogAuditor, NamesADuplicateBelowTheLastCommit) {
  member_2_ += at(9'000, 9'100, a2);
  expect_finding(
      "duplicate below the last commit: partition 0, offset 1, key A: received 2 times: member-1 "
      "line 2, member-2 line 6; member-1 had committed up to 2 when it was killed");
}

TEST_F(LogAuditor, NamesADuplicateThatNoKillExcuses) {
  member_2_ += at(9'000, 9'100, c1);
  expect_finding("duplicate below the last commit: partition 1, offset 0, key C");
}

TEST_F(LogAuditor, ExcusesOnlyOneMoreReceipt) {
  member_2_ += at(9'000, 9'100, b1);
  expect_finding("duplicate below the last commit: partition 0, offset 2, key B: received 3 times");
}

TEST_F(LogAuditor, ExcusesNoReceiptFromBeforeTheKill) {
  member_2_ = at(10, 12, c1) + at(12, 14, c2) + at(20, 30, b1) + at(2'000, 2'500, a3) +
              at(2'500, 9'000, later);
  expect_finding("duplicate below the last commit: partition 0, offset 2, key B");
}

TEST_F(LogAuditor, TakesEveryKindOfText) {
  orders_ = "é,x\nA,1\nA,2\nB,1\nA,3\nC,1\nC,2\nC,3\n";
  const Sent word{1, 3, "\\u00e9", "x"};
  topic_.push_back(word);
  member_2_ += at(9'000, 9'100, {1, 3, "é", "\\u0078"});
  const Finished done = audit();
  EXPECT_EQ(done.ended.exit_code, 0) << done.output << done.errors;
}

TEST_F(LogAuditor, RefusesATopicThatEndsInTheMiddleOfALine) {
  torn_topic_ = R"({"topic":"retail","part)";
  expect_refusal("topic.jsonl:8: the file ends in the middle of a line");
}

TEST_F(LogAuditor, RefusesATopicWithALineThatIsNoRecord) {
  torn_topic_ = "{\"topic\":\"retail\",\"part\n";
  expect_refusal("topic.jsonl:8: not a record of `mallbots consume -J`");
}

TEST_F(LogAuditor, RefusesAnEmptyTopic) {
  topic_.clear();
  expect_refusal("topic.jsonl: the topic is empty");
}

TEST_F(LogAuditor, RefusesARecordWithoutOffset) {
  torn_topic_ = "{\"topic\":\"retail\",\"partition\":1}\n";
  expect_refusal("topic.jsonl:8: the record has no field 'offset'");
}

TEST_F(LogAuditor, RefusesOrdersWithoutAnOrder) {
  orders_ = "InvoiceNo,Rest\n";
  expect_refusal("orders.csv: no order in it");
}

TEST_F(LogAuditor, RefusesAListWithoutKills) {
  kills_ = "";
  expect_refusal("kills.txt: no kill in it");
}

TEST_F(LogAuditor, RefusesAKillWithoutTime) {
  kills_ = "member-1 pid=7 commits=0:2\n";
  expect_refusal("kills.txt:1: not \"NAME pid=N at_us=N unix_ms=N ...\"");
}

TEST_F(LogAuditor, RefusesAMembersFileThatIsCutAtALineEnd) {
  ASSERT_EQ(audit().ended.exit_code, 0);
  write_member("member-2.txt", at(10, 12, c1), "");
  const Finished done = judge();
  EXPECT_EQ(done.ended.exit_code, 2);
  EXPECT_THAT(done.errors, HasSubstr("member-2.txt: the closing line \"end COUNT\" is missing"));
}

TEST_F(LogAuditor, RefusesAMembersFileThatIsCutWithinALine) {
  ASSERT_EQ(audit().ended.exit_code, 0);
  write_member("member-2.txt", at(10, 12, c1), "12 14 {\"topic\"");
  const Finished done = judge();
  EXPECT_EQ(done.ended.exit_code, 2);
  EXPECT_THAT(done.errors, HasSubstr("member-2.txt:2: the file ends in the middle of a line"));
}

TEST_F(LogAuditor, RefusesAMembersFileThatLacksLines) {
  ASSERT_EQ(audit().ended.exit_code, 0);
  write_member("member-2.txt", at(10, 12, c1), "end 2\n");
  const Finished done = judge();
  EXPECT_EQ(done.ended.exit_code, 2);
  EXPECT_THAT(done.errors, HasSubstr("1 records, but the closing line says 2"));
}

TEST_F(LogAuditor, RefusesAFileThatIsNotThere) {
  const Finished done = judge();
  EXPECT_EQ(done.ended.exit_code, 2);
  EXPECT_THAT(done.errors, HasSubstr("orders.csv: No such file"));
}

/// What sabotage.py did, as it tells it, and what the auditor says then.
class LogSabotage : public LogAuditor, public ::testing::WithParamInterface<const char*> {};

TEST_P(LogSabotage, IsCaughtAndItsRecordNamed) {
  ASSERT_EQ(audit().ended.exit_code, 0);
  const Finished tampered = run({"python3", "-B", "packaging/demo-log/sabotage.py", GetParam(),
                                 files_ / "member-1.txt", files_ / "member-2.txt"});
  ASSERT_EQ(tampered.ended.exit_code, 0) << tampered.errors;
  const std::string told = std::string{GetParam()} + ": ";
  ASSERT_THAT(tampered.output, ::testing::StartsWith(told));
  const std::string record =
      tampered.output.substr(told.size(), tampered.output.find(" (") - told.size());
  const Finished done = judge();
  EXPECT_EQ(done.ended.exit_code, 1) << done.output << done.errors;
  EXPECT_THAT(done.output, HasSubstr(": " + record + ": "));
}

INSTANTIATE_TEST_SUITE_P(Auditor, LogSabotage, ::testing::Values("drop", "double", "reorder"),
                         [](const auto& kind) { return std::string{kind.param}; });

}  // namespace
}  // namespace mallbots::test
