// The transitions of a partition in a group, one story each.
#include "broker/groups/group.h"

#include <gtest/gtest.h>

#include "tests/broker/groups/fake_groups.h"

namespace mallbots::broker {
namespace {

using Names = std::set<std::string>;
using test::FakeGroups;

class GroupTest : public testing::Test {
 protected:
  void TearDown() override { EXPECT_TRUE(world.violations().empty()) << world.all_violations(); }

  std::size_t held(SessionIndex session) { return world.reading(session, "g").size(); }

  FakeGroups world;
};

TEST_F(GroupTest, TheFirstMemberGetsEverythingAtOnce) {
  world.add_topic("t", 4);
  ASSERT_TRUE(world.join(1, "g", {"t"}));
  world.poll_all();
  EXPECT_EQ(world.reading(1, "g"), (Names{"t/0", "t/1", "t/2", "t/3"}));
}

TEST_F(GroupTest, AMemberWithoutPartitionsHearsThatToo) {
  world.add_topic("t", 1);
  ASSERT_TRUE(world.join(1, "g", {"t"}));
  world.clear_said();
  ASSERT_TRUE(world.join(2, "g", {"t"}));
  ASSERT_EQ(world.said().pushed.size(), 1U);
  EXPECT_EQ(world.said().pushed[0].session, 2);
  EXPECT_TRUE(world.said().pushed[0].assignment.partitions.empty());
}

TEST_F(GroupTest, APartitionIsHandedOverOnlyAfterItsHolderGaveItUp) {
  const TopicId topic = world.add_topic("t", 2);
  ASSERT_TRUE(world.join(1, "g", {"t"}));
  world.poll_all();
  world.consume(1, "g", 7);
  ASSERT_TRUE(world.join(2, "g", {"t"}));
  world.poll(2, "g");
  EXPECT_EQ(held(2), 0U);  // 1 has not acknowledged
  world.consume(1, "g", 5);
  world.poll(1, "g");
  EXPECT_EQ(held(1), 1U);
  world.poll(2, "g");
  EXPECT_EQ(held(2), 1U);
  const auto& given = world.said().pushed.back().assignment.partitions.at(0);
  EXPECT_EQ(given.offset, 12U);  // what 1 stored after it had been told is not lost
  EXPECT_EQ(given.group_generation, 2U);
  EXPECT_EQ(world.row_offset("g", topic, given.partition), 12U);
}

TEST_F(GroupTest, AnOldAcknowledgementGivesUpNothing) {
  world.add_topic("t", 2);
  ASSERT_TRUE(world.join(1, "g", {"t"}));
  const auto first = world.said().pushed.back().assignment;
  world.poll_all();
  ASSERT_TRUE(world.join(2, "g", {"t"}));
  world.poll(2, "g");
  world.clear_said();
  world.execute(*world.coordinator().assignment_done(1, first.group_id, first.number));
  EXPECT_TRUE(world.said().pushed.empty());
  const auto never_sent = world.coordinator().assignment_done(1, first.group_id, ~0ULL);
  EXPECT_EQ(never_sent.error().code, ErrorCode::kBadMessage);
}

TEST_F(GroupTest, APartitionThatComesBackBeforeItWasGivenUpIsGrantedAnew) {
  world.add_topic("t", 2);
  ASSERT_TRUE(world.join(1, "g", {"t"}));
  world.poll_all();
  world.consume(1, "g", 7);
  ASSERT_TRUE(world.join(2, "g", {"t"}));  // takes one away from 1
  world.kill(2);                           // and needs it no more
  world.poll_all();
  EXPECT_EQ(held(1), 2U);
  std::set<std::uint32_t> generations;
  for (const auto& given : world.said().pushed.back().assignment.partitions) {
    generations.insert(given.group_generation);
    EXPECT_EQ(given.offset, given.group_generation == 2 ? 7U : given.offset);
  }
  EXPECT_EQ(generations, (std::set<std::uint32_t>{1, 2}));
}

TEST_F(GroupTest, ADeadMembersPartitionsMoveInTheSameCall) {
  world.add_topic("t", 4);
  ASSERT_TRUE(world.join(1, "g", {"t"}));
  ASSERT_TRUE(world.join(2, "g", {"t"}));
  world.poll_all();
  world.consume(2, "g", 9);
  world.clear_said();
  world.kill(2);
  ASSERT_EQ(world.said().pushed.size(), 1U);
  EXPECT_EQ(world.said().pushed[0].assignment.partitions.size(), 4U);
  world.poll_all();
  EXPECT_EQ(held(1), 4U);
}

TEST_F(GroupTest, LeavingMovesThePartitionsAtOnce) {
  world.add_topic("t", 4);
  ASSERT_TRUE(world.join(1, "g", {"t"}));
  ASSERT_TRUE(world.join(2, "g", {"t"}));
  world.poll_all();
  world.leave(2, "g");
  world.poll_all();
  EXPECT_EQ(held(1), 4U);
}

TEST_F(GroupTest, ASilentMemberIsExpelledAfterItsInterval) {
  world.add_topic("t", 2);
  ASSERT_TRUE(world.join(1, "g", {"t"}));
  ASSERT_TRUE(world.join(2, "g", {"t"}));
  world.poll_all();
  world.client(1).stuck = true;
  world.pass_time(299 * kSecond);
  EXPECT_TRUE(world.said().expelled.empty());
  world.pass_time(45 * kSecond);  // looked at every eighth of the interval
  ASSERT_EQ(world.said().expelled.size(), 1U);
  EXPECT_EQ(world.said().expelled[0].session, 1);
  EXPECT_EQ(world.said().expelled[0].error.code, ErrorCode::kFenced);
  world.poll(2, "g");
  EXPECT_EQ(held(2), 2U);
  // It wakes up, stores into its old cell, and joins again.
  world.consume(1, "g", 50);
  world.client(1).stuck = false;
  world.poll_all();
  ASSERT_TRUE(world.join(1, "g", {"t"}));
  world.poll_all();
  EXPECT_EQ(held(1) + held(2), 2U);
}

TEST_F(GroupTest, AMemberThatPollsButNeverGivesUpIsExpelled) {
  world.add_topic("t", 2);
  ASSERT_TRUE(world.join(1, "g", {"t"}));
  world.poll_all();
  ASSERT_TRUE(world.join(2, "g", {"t"}));
  world.pass_time(310 * kSecond);  // 1 polls, but takes nothing from its socket
  ASSERT_EQ(world.said().expelled.size(), 1U);
  EXPECT_EQ(world.said().expelled[0].session, 1);
  world.poll_all();
  EXPECT_EQ(held(2), 2U);
}

// Static members
// -----------------------------------------------------------------------------------------

TEST_F(GroupTest, ARestartedStaticMemberGetsItsPartitionsBackAndNobodyElseNotices) {
  world.add_topic("t", 6);
  ASSERT_TRUE(world.join(1, "g", {"t"}, "a"));
  ASSERT_TRUE(world.join(2, "g", {"t"}, "b"));
  ASSERT_TRUE(world.join(3, "g", {"t"}));
  world.poll_all();
  const Names before = world.reading(1, "g");
  world.consume(1, "g", 5);
  world.clear_said();
  world.kill(1);
  world.pass_time(9 * kSecond);
  EXPECT_TRUE(world.said().pushed.empty());
  ASSERT_TRUE(world.join(4, "g", {"t"}, "a"));
  world.poll_all();
  EXPECT_EQ(world.reading(4, "g"), before);
  ASSERT_EQ(world.said().pushed.size(), 1U);
  for (const auto& given : world.said().pushed[0].assignment.partitions)
    EXPECT_EQ(given.offset, 5U);
}

TEST_F(GroupTest, AStaticMemberThatLeavesIsWaitedForToo) {
  world.add_topic("t", 4);
  ASSERT_TRUE(world.join(1, "g", {"t"}, "a"));
  ASSERT_TRUE(world.join(2, "g", {"t"}));
  world.poll_all();
  const Names before = world.reading(1, "g");
  world.leave(1, "g");
  world.poll_all();
  EXPECT_EQ(held(2), 2U);
  ASSERT_TRUE(world.join(1, "g", {"t"}, "a"));
  world.poll_all();
  EXPECT_EQ(world.reading(1, "g"), before);
}

TEST_F(GroupTest, AStaticMemberThatStaysAwayLosesItsPartitions) {
  world.add_topic("t", 4);
  ASSERT_TRUE(world.join(1, "g", {"t"}, "a"));
  ASSERT_TRUE(world.join(2, "g", {"t"}));
  world.poll_all();
  world.kill(1);
  world.pass_time(11 * kSecond);
  world.poll_all();
  EXPECT_EQ(held(2), 4U);
}

TEST_F(GroupTest, WhatAReturningStaticMemberNoLongerSubscribesIsKeptForNobody) {
  const TopicId topic = world.add_topic("t", 1);
  world.add_topic("u", 1);
  ASSERT_TRUE(world.join(1, "g", {"t"}, "a"));
  world.poll_all();
  world.kill(1);
  EXPECT_EQ((world.rows().at({"g", topic, 0}).instance), "a");
  ASSERT_TRUE(world.join(1, "g", {"u"}, "a"));
  EXPECT_EQ((world.rows().at({"g", topic, 0}).instance), "");
}

TEST_F(GroupTest, WithoutGraceAStaticMembersPartitionsMoveAtOnce) {
  FakeGroups plain{{.static_grace_ns = 0}};
  plain.add_topic("t", 4);
  ASSERT_TRUE(plain.join(1, "g", {"t"}, "a"));
  ASSERT_TRUE(plain.join(2, "g", {"t"}));
  plain.poll_all();
  plain.kill(1);
  plain.poll_all();
  EXPECT_EQ(plain.reading(2, "g").size(), 4U);
  EXPECT_TRUE(plain.violations().empty()) << plain.all_violations();
}

TEST_F(GroupTest, WhatAnAbsentMemberKeepsIsNotSharedOutToANewcomer) {
  world.add_topic("t", 4);
  ASSERT_TRUE(world.join(1, "g", {"t"}, "a"));
  ASSERT_TRUE(world.join(2, "g", {"t"}));
  world.poll_all();
  world.kill(1);
  ASSERT_TRUE(world.join(3, "g", {"t"}));
  world.poll_all();
  EXPECT_EQ(held(2), 1U);
  EXPECT_EQ(held(3), 1U);
}

TEST_F(GroupTest, ASecondProcessOfOneInstanceReplacesTheFirst) {
  world.add_topic("t", 2);
  ASSERT_TRUE(world.join(1, "g", {"t"}, "a"));
  world.poll_all();
  world.consume(1, "g", 5);
  ASSERT_TRUE(world.join(2, "g", {"t"}, "a"));
  ASSERT_EQ(world.said().expelled.size(), 1U);
  EXPECT_EQ(world.said().expelled[0].session, 1);
  world.poll(2, "g");
  EXPECT_EQ(held(2), 2U);
  world.consume(1, "g", 20);  // fenced, but it does not know yet
  world.kill(2);
  ASSERT_TRUE(world.join(3, "g", {"t"}, "a"));
  for (const auto& given : world.said().pushed.back().assignment.partitions) {
    EXPECT_EQ(given.offset, 5U);
  }
}

// Subscriptions and topics
// -----------------------------------------------------------------------------------------

TEST_F(GroupTest, ASecondJoinOfTheSameSessionChangesItsTopics) {
  world.add_topic("t", 2);
  world.add_topic("u", 2);
  const auto first = world.join(1, "g", {"t"});
  world.poll_all();
  const auto second = world.join(1, "g", {"u"});
  EXPECT_EQ(first->member_id, second->member_id);
  world.poll_all();
  EXPECT_EQ(world.reading(1, "g"), (Names{"u/0", "u/1"}));
}

TEST_F(GroupTest, ATopicCreatedAnewUnderItsNameIsAssignedFromItsStart) {
  const TopicId topic = world.add_topic("t", 2);
  ASSERT_TRUE(world.join(1, "g", {"t"}));
  world.poll_all();
  world.consume(1, "g", 50);
  world.flush();
  world.delete_topic(topic);
  EXPECT_TRUE(world.rows().empty());
  world.poll_all();
  EXPECT_EQ(held(1), 0U);
  world.add_topic("t", 3);
  world.poll_all();
  EXPECT_EQ(held(1), 3U);
  for (const auto& given : world.said().pushed.back().assignment.partitions) {
    EXPECT_EQ(given.offset, 0U);
  }
}

TEST_F(GroupTest, ResetSaysWhereAGroupBegins) {
  world.add_topic("start", 1, ResetTo::kStart);
  const TopicId end = world.add_topic("end", 1, ResetTo::kEnd);
  world.add_topic("fail", 1, ResetTo::kFail);
  world.log_of(end, 0).durable = 60;
  ASSERT_TRUE(world.join(1, "g", {"start", "end", "fail"}));
  const auto& given = world.said().pushed.back().assignment.partitions;
  ASSERT_EQ(given.size(), 3U);
  EXPECT_EQ(given[0].offset, 0U);
  EXPECT_EQ(given[1].offset, 60U);
  EXPECT_EQ(given[2].offset, kNoOffset);
  // The end it began at is on disk at once: a restart must not skip what came since.
  EXPECT_EQ(world.row_offset("g", end, 0), 60U);
}

TEST_F(GroupTest, AMemberWithoutFreeCellsGetsWhatFitsAndIsTold) {
  world.cells_max = 3;
  world.add_topic("t", 5);
  ASSERT_TRUE(world.join(1, "g", {"t"}));
  world.poll_all();
  EXPECT_EQ(held(1), 3U);
  ASSERT_EQ(world.said().notices.size(), 1U);
  EXPECT_EQ(world.said().notices[0].notice.code, ErrorCode::kLimitReached);
  ASSERT_TRUE(world.join(2, "g", {"t"}));
  world.poll_all();
  EXPECT_EQ(held(1) + held(2), 5U);
}

}  // namespace
}  // namespace mallbots::broker
