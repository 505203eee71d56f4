#include "tests/history/history.h"

#include <gtest/gtest.h>

namespace mallbots::test {
namespace {

TEST(History, ALineHasEveryWordInItsPlace) {
  History history;
  ASSERT_TRUE(history.add("7 reader-1.0 read orders 3 812 p-17 k5 1700000000123\n", "file"));
  ASSERT_EQ(history.events().size(), 1U);
  const Event& event = history.events().front();
  EXPECT_EQ(event.time_ns, 7);
  EXPECT_EQ(event.what, What::kRead);
  EXPECT_EQ(history.text(event.who), "reader-1.0");
  EXPECT_EQ(history.text(event.topic), "orders");
  EXPECT_EQ(event.partition, 3U);
  EXPECT_EQ(event.offset, 812U);
  EXPECT_EQ(history.text(event.value), "p-17");
  EXPECT_EQ(history.text(event.key), "k5");
  EXPECT_EQ(event.number, 1700000000123);
}

TEST(History, EveryKindOfLineIsRead) {
  History history;
  const auto added = history.add(
      "1 p send t v k v\n1 p acked t v 0 1\n1 p acked t v 0 ?\n1 p failed t v Timeout\n"
      "1 p due t v 5\n1 r started t 0 0\n1 r read t 0 0 v - 1\n1 r ended t 0 1\n"
      "1 m gained t g 0\n1 m given t g 0 1 v k\n1 m committed t g 0 1\n1 m dropped t g 0\n"
      "1 d drained t g 0 1\n1 d kill p SIGKILL\n2 d restarted 1\n1 q locks t g 50\n2 q held t g 0 "
      "1 v k 1 1\n3 q settling t g 0 1 ack 1\n"
      "3 q settled t g 0 1 ack 1\n3 q refused t g 0 1 ack 1\n1 e expects t s v any\n1 e versioned "
      "t s "
      "v 1\n"
      "1 e conflict t s v 1\n1 e event t s v 1\n1 e whole t s 1\n",
      "file");
  ASSERT_TRUE(added) << added.error().sentence();
  EXPECT_EQ(history.events().size(), 25U);
}

TEST(History, ALineWithoutItsEndWasNeverWritten) {
  History history;
  ASSERT_TRUE(history.add("1 p send t v k v\n2 p acked t v 0 1", "file"));
  EXPECT_EQ(history.events().size(), 1U);
}

class Damaged : public testing::TestWithParam<const char*> {};

TEST_P(Damaged, IsNamedWithFileAndLine) {
  History history;
  const auto added = history.add(std::string{"1 p send t v k v\n"} + GetParam() + "\n", "file");
  ASSERT_FALSE(added);
  EXPECT_NE(added.error().sentence().find("file:2"), std::string::npos) << added.error().sentence();
}

INSTANTIATE_TEST_SUITE_P(History, Damaged,
                         testing::Values("", "1", "1 p", "x p send t v k v", "1 p sang t v k v",
                                         "1 p send t v k", "1 p send t v k v more",
                                         "1 p acked t v 0 x", "1 p acked t v -1 0",
                                         "1 p acked t v 0 1x", "1 r read t 0 0 v - soon"));

TEST(History, AFolderWithoutHistoriesIsAnError) { EXPECT_FALSE(load_history("/nowhere")); }

}  // namespace
}  // namespace mallbots::test
