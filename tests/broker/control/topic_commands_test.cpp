// What producers and consumers ask for, through the socket of mallbotsd.
#include <gtest/gtest.h>

#include "shm/layout/board.h"
#include "shm/layout/knock.h"
#include "shm/region/memory.h"
#include "tests/broker/control/commands_fixture.h"

namespace mallbots::test {
namespace {

using TopicCommands = Commands;

TEST_F(TopicCommands, DescriptorsComeWithTheRightsTheyShouldHave) {
  ASSERT_TRUE(admin_->create_topic("t", 2));
  auto answer = admin_->call(shm::OpenTopic{.name = "t", .intent = shm::Intent::kProduce});
  ASSERT_TRUE(answer);
  const auto reply = answer->as<shm::OpenTopicReply>();
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->has_knock);
  ASSERT_EQ(answer->fds.size(), 2U);
  const auto board =
      shm::Mapping::of(answer->fds[0].get(), shm::board_bytes(2), shm::Access::kRead);
  ASSERT_TRUE(board) << board.error().detail;
  EXPECT_FALSE(
      shm::Mapping::of(answer->fds[0].get(), shm::board_bytes(2), shm::Access::kReadWrite));
  EXPECT_EQ(board->as<shm::BoardHeader>()->page.magic, shm::kBoardMagic);
  const auto knock =
      shm::Mapping::of(answer->fds[1].get(), shm::knock_bytes(2), shm::Access::kReadWrite);
  EXPECT_TRUE(knock);
  const auto& partition =
      *reinterpret_cast<const shm::PartitionBoard*>(board->data() + sizeof(shm::BoardHeader));
  const std::uint64_t slot_id = partition.entries[0].slot_id.load();
  auto slot = admin_->call(shm::GetSlot{.topic_id = reply->topic_id, .slot_id = slot_id});
  ASSERT_TRUE(slot);
  ASSERT_EQ(slot->fds.size(), 1U) << slot->detail();
  EXPECT_TRUE(shm::Mapping::of(slot->fds[0].get(), shm::kPageBytes + reply->slot_bytes,
                               shm::Access::kReadWrite));
}

TEST_F(TopicCommands, ProducerReaderAndLeaseAreOpened) {
  ASSERT_TRUE(admin_->create_topic("t", 1, {{"producers", "exclusive"}}));
  const std::uint64_t id = open("t");
  const auto producer = ask<shm::OpenProducerReply>(shm::OpenProducer{.topic_id = id});
  EXPECT_NE(producer.producer_id, 0U);
  const auto reader = ask<shm::OpenReaderReply>(shm::OpenReader{.topic_id = id});
  EXPECT_NE(reader.cell, producer.cell);
  EXPECT_EQ(error_of(shm::CloseCell{.cell = reader.cell}), ErrorCode::kNone);
  EXPECT_EQ(ask<shm::OpenReaderReply>(shm::OpenReader{.topic_id = id}).cell, reader.cell);
  EXPECT_EQ(error_of(shm::CloseCell{.cell = producer.cell}), ErrorCode::kNone);
  EXPECT_NE(ask<shm::OpenReaderReply>(shm::OpenReader{.topic_id = id}).cell, producer.cell);

  EXPECT_NE(ask<shm::TakeLeaseReply>(shm::TakeLease{.topic_id = id}).lease, 0U);
  ControlClient rival{daemon_.socket_path()};
  ASSERT_TRUE(rival.hello("rival"));
  auto held = rival.call(shm::TakeLease{.topic_id = id});
  ASSERT_TRUE(held);
  EXPECT_EQ(held->error(), ErrorCode::kLeaseHeld);
  auto taken = rival.call(shm::TakeLease{.topic_id = id, .take_over = true});
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->error(), ErrorCode::kNone);
}

TEST_F(TopicCommands, FindTimeOfAnEmptyLogIsItsEnd) {
  ASSERT_TRUE(admin_->create_topic("t", 1));
  const std::uint64_t id = open("t", shm::Intent::kConsume);
  EXPECT_EQ(ask<shm::FindTimeReply>(shm::FindTime{.topic_id = id, .time_ms = 0}).offset, 0U);
  EXPECT_NE(error_of(shm::FindSegment{.topic_id = id, .offset = 17}), ErrorCode::kNone);
}

}  // namespace
}  // namespace mallbots::test
