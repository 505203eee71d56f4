// What members of groups and their operators ask for, through the socket of mallbotsd.
#include <gtest/gtest.h>
#include <unistd.h>

#include "clients/producer.h"
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

class AnsweredIsDurable : public Commands {
 protected:
  /// Five durable records, read by nobody in group "g" and in queue "q".
  void SetUp() override {
    Commands::SetUp();
    ASSERT_TRUE(admin_->create_topic("t", 1));
    const auto connection = client::Connection::open({.runtime_dir = daemon_.runtime_dir()});
    ASSERT_TRUE(connection);
    const auto producer = client::Producer::open(**connection, "t");
    ASSERT_TRUE(producer);
    for (int i = 0; i < 5; ++i)
      ASSERT_TRUE((*producer)->append({.payload = client::as_bytes("x")},
                                      {.acks = client::Acks::kDurable}));
    const auto group =
        ask<shm::JoinGroupReply>(shm::JoinGroup{.group = "g", .topics = {"t"}}).group_id;
    EXPECT_EQ(error_of(shm::LeaveGroup{.group_id = group}), ErrorCode::kNone);
    const auto queue = ask<shm::JoinQueueReply>(
        shm::JoinQueue{.group = "q", .topics = {"t"}, .max_in_flight = 1, .lock_ms = 10'000});
    EXPECT_EQ(error_of(shm::LeaveQueue{.group_id = queue.group_id}), ErrorCode::kNone);
  }
  /// What is not on the disk now is gone.
  void lose_the_memory() {
    ASSERT_TRUE(daemon_.stop_broker());
    daemon_.process().kill_all();
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
    admin_.emplace(daemon_.socket_path());
    ASSERT_TRUE(admin_->hello("admin"));
  }
  void seek_and_lose_the_memory(const char* name) {
    const auto sought = ask<shm::SeekGroupReply>(
        shm::SeekGroup{.group = name, .to = shm::SeekTo::kEnd, .execute = true});
    ASSERT_EQ(sought.rows.size(), 1U);
    EXPECT_EQ(sought.rows[0].to_offset, 5U);
    lose_the_memory();
    const auto found = ask<shm::DescribeGroupReply>(shm::DescribeGroup{.group = name});
    ASSERT_EQ(found.rows.size(), 1U);
    EXPECT_EQ(found.rows[0].current_offset, 5U);
  }
};

TEST_F(AnsweredIsDurable, ASeekOfAGroupSurvivesTheLossOfTheMemoryRightBehindItsAnswer) {
  seek_and_lose_the_memory("g");
}

TEST_F(AnsweredIsDurable, ASeekOfAQueueSurvivesTheLossOfTheMemoryRightBehindItsAnswer) {
  seek_and_lose_the_memory("q");
}

TEST_F(AnsweredIsDurable, ADeletedGroupIsNotBackAfterTheLossOfTheMemory) {
  // Known on the disk, or there would be nothing to come back.
  for (const char* const name : {"q", "g"})
    ask<shm::SeekGroupReply>(
        shm::SeekGroup{.group = name, .to = shm::SeekTo::kEnd, .execute = true});
  for (const char* const name : {"q", "g"}) {
    EXPECT_EQ(error_of(shm::DeleteGroup{.group = name}), ErrorCode::kNone);
    lose_the_memory();
    EXPECT_EQ(error_of(shm::DescribeGroup{.group = name}), ErrorCode::kUnknownGroup) << name;
  }
}

}  // namespace
}  // namespace mallbots::test
