// What producers of delayed records ask for, through the socket of mallbotsd.
#include <gtest/gtest.h>

#include "shm/layout/delayed.h"
#include "tests/broker/control/commands_fixture.h"

namespace mallbots::test {
namespace {

using ScheduleCommands = Commands;

TEST_F(ScheduleCommands, TheDelayLogIsMadeForTheFirstWhoDelaysAndIsNotListed) {
  ASSERT_TRUE(admin_->create_topic("t", 1));
  EXPECT_EQ(error_of(shm::OpenTopic{.name = shm::kDelayLog, .intent = shm::Intent::kProduce}),
            ErrorCode::kUnknownTopic);
  const auto opened = ask<shm::OpenDelayedReply>(shm::OpenDelayed{open("t")});
  EXPECT_EQ(opened.delay_max_ms, 366LL * 86'400'000);
  EXPECT_NE(open(shm::kDelayLog), 0U);
  EXPECT_EQ(ask<shm::ListTopicsReply>(shm::ListTopics{}).topics.size(), 1U);
  EXPECT_EQ(ask<shm::ListTopicsReply>(shm::ListTopics{.internal = true}).topics.size(), 3U);
  EXPECT_EQ(ask<shm::StatusReply>(shm::Status{}).topics, 1U);
  EXPECT_EQ(error_of(shm::DeleteTopic{.name = shm::kDelayLog}), ErrorCode::kNotPermitted);
  EXPECT_EQ(error_of(shm::AlterTopic{.name = shm::kDelayLog}), ErrorCode::kNotPermitted);
  EXPECT_EQ(error_of(shm::CreateTopic{.name = "_x"}), ErrorCode::kBadTopicName);
  EXPECT_EQ(error_of(shm::OpenTopic{.name = "_delayed.journal", .intent = shm::Intent::kProduce}),
            ErrorCode::kNotPermitted);
}

TEST_F(ScheduleCommands, TopicsThatTakeNoDelayedRecordsAreNamed) {
  ASSERT_TRUE(admin_->create_topic("x", 1, {{"producers", "exclusive"}}));
  EXPECT_EQ(error_of(shm::OpenDelayed{open("x")}), ErrorCode::kBadArgument);
  EXPECT_EQ(error_of(shm::OpenDelayed{12345}), ErrorCode::kTopicGone);
}

TEST_F(ScheduleCommands, UnknownIdsAndEmptySchedulesAreAnswered) {
  EXPECT_EQ(error_of(shm::CancelDelayed{7}), ErrorCode::kUnknownDelayed);
  EXPECT_TRUE(ask<shm::ListDelayedReply>(shm::ListDelayed{}).rows.empty());
  EXPECT_EQ(error_of(shm::ListDelayed{.topic = "none"}), ErrorCode::kUnknownTopic);
}

}  // namespace
}  // namespace mallbots::test
