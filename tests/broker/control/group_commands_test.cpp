// What members of groups and their operators ask for, through the socket of mallbotsd.
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/broker/control/commands_fixture.h"

namespace mallbots::test {
namespace {

using GroupCommands = Commands;

TEST_F(GroupCommands, GroupMemberGetsReplyThenAssignment) {
  ASSERT_TRUE(admin_->create_topic("t", 4));
  ASSERT_TRUE(admin_->send(shm::encode_packet(shm::MessageType::kJoinGroup, 900,
                                              shm::JoinGroup{.group = "g", .topics = {"t"}})));
  const auto first = admin_->receive();
  ASSERT_TRUE(first);
  ASSERT_EQ(first->header.request_id, 900U);
  const auto joined = first->as<shm::JoinGroupReply>();
  ASSERT_TRUE(joined) << first->detail();
  const auto second = admin_->receive();
  ASSERT_TRUE(second);
  const auto assignment = second->as<shm::Assignment>();
  ASSERT_TRUE(assignment);
  EXPECT_EQ(assignment->group_id, joined->group_id);
  EXPECT_EQ(assignment->partitions.size(), 4U);
  EXPECT_EQ(
      error_of(shm::AssignmentDone{.group_id = assignment->group_id, .number = assignment->number}),
      ErrorCode::kNone);
  EXPECT_EQ(error_of(shm::CommitDurable{.group_id = assignment->group_id}), ErrorCode::kNone);

  const auto described = ask<shm::DescribeGroupReply>(shm::DescribeGroup{.group = "g"});
  ASSERT_EQ(described.rows.size(), 4U);
  EXPECT_EQ(described.rows[0].pid, static_cast<std::uint32_t>(getpid()));
  EXPECT_EQ(described.rows[0].lag, 0U);
  EXPECT_EQ(error_of(shm::DeleteGroup{.group = "g"}), ErrorCode::kGroupBusy);
  EXPECT_EQ(error_of(shm::LeaveGroup{.group_id = joined->group_id}), ErrorCode::kNone);
  EXPECT_EQ(ask<shm::ListGroupsReply>(shm::ListGroups{}).groups.size(), 1U);
  const auto sought = ask<shm::SeekGroupReply>(
      shm::SeekGroup{.group = "g", .to = shm::SeekTo::kEnd, .execute = true});
  EXPECT_EQ(sought.rows.size(), 4U);
  EXPECT_EQ(error_of(shm::DeleteGroup{.group = "g"}), ErrorCode::kNone);
  EXPECT_EQ(error_of(shm::DescribeGroup{.group = "g"}), ErrorCode::kUnknownGroup);
}

}  // namespace
}  // namespace mallbots::test
