// What the operator asks for, through the socket of mallbotsd.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "tests/broker/control/commands_fixture.h"

namespace mallbots::test {
namespace {

using AdminCommands = Commands;

TEST_F(AdminCommands, TopicIsCreatedListedDescribedAlteredAndDeleted) {
  const auto created = admin_->create_topic("orders", 3, {{"slots", "2"}, {"retention.ms", "1h"}});
  ASSERT_TRUE(created) << created.error().detail;
  EXPECT_GT(created->memory_bytes, 0U);
  const auto list = ask<shm::ListTopicsReply>(shm::ListTopics{});
  ASSERT_EQ(list.topics.size(), 1U);
  EXPECT_EQ(list.topics[0].name, "orders");
  EXPECT_EQ(list.topics[0].partitions, 3U);

  EXPECT_EQ(error_of(shm::AlterTopic{.name = "orders",
                                     .settings = {{.key = "stall.limit", .value = "20ms"}}}),
            ErrorCode::kNone);
  const auto described = ask<shm::DescribeTopicReply>(shm::DescribeTopic{.name = "orders"});
  EXPECT_EQ(described.partitions.size(), 3U);
  const auto setting = [&](const std::string& key) {
    const auto found = std::ranges::find(described.settings, key, &shm::Setting::key);
    return found == described.settings.end()
               ? std::string{"none"}
               : found->value + (found->is_default ? " default" : " given");
  };
  EXPECT_EQ(setting("stall.limit"), "20ms given");
  EXPECT_EQ(setting("slots"), "2 given");
  EXPECT_EQ(setting("slot.bytes"), "2MiB default");

  EXPECT_EQ(error_of(shm::DeleteTopic{.name = "orders"}), ErrorCode::kNone);
  EXPECT_EQ(error_of(shm::DescribeTopic{.name = "orders"}), ErrorCode::kUnknownTopic);
}

TEST_F(AdminCommands, WhatCannotBeIsRefusedWithItsReason) {
  ASSERT_TRUE(admin_->create_topic("t", 1));
  EXPECT_EQ(admin_->create_topic("t", 1).error().code, ErrorCode::kTopicExists);
  EXPECT_EQ(admin_->create_topic("", 1).error().code, ErrorCode::kBadTopicName);
  EXPECT_EQ(admin_->create_topic("a/b", 1).error().code, ErrorCode::kBadTopicName);
  EXPECT_EQ(admin_->create_topic("\xFF\xFE", 1).error().code, ErrorCode::kBadTopicName);
  EXPECT_EQ(admin_->create_topic("u", 5000).error().code, ErrorCode::kBadSetting);
  EXPECT_EQ(admin_->create_topic("u", 1, {{"colour", "red"}}).error().code,
            ErrorCode::kUnknownSetting);
  EXPECT_EQ(admin_->create_topic("u", 1, {{"type", "events"}, {"ingest", "direct"}}).error().code,
            ErrorCode::kBadSetting);
  EXPECT_EQ(admin_->create_topic("u", 1, {{"produce.allow", "no-such-user"}}).error().code,
            ErrorCode::kBadSetting);
  EXPECT_EQ(admin_->create_topic("u", 4096, {{"slot.bytes", "1GiB"}}).error().code,
            ErrorCode::kMemoryFull);
  EXPECT_EQ(error_of(shm::AlterTopic{.name = "t", .settings = {{.key = "slots", .value = "9"}}}),
            ErrorCode::kFixedSetting);
  EXPECT_EQ(error_of(shm::OpenTopic{.name = "nowhere"}), ErrorCode::kUnknownTopic);
  EXPECT_EQ(error_of(shm::OpenTopic{.name = "t", .intent = shm::Intent{9}}),
            ErrorCode::kBadArgument);
  const std::uint64_t id = open("t");
  EXPECT_EQ(error_of(shm::OpenProducer{.topic_id = id, .partition = 1}), ErrorCode::kBadPartition);
  EXPECT_EQ(error_of(shm::OpenReader{.topic_id = id + 1}), ErrorCode::kTopicGone);
  EXPECT_EQ(error_of(shm::TakeLease{.topic_id = id}), ErrorCode::kBadArgument);
  EXPECT_NE(error_of(shm::GetSlot{.topic_id = id, .slot_id = 999'999}), ErrorCode::kNone);
  EXPECT_EQ(error_of(shm::CloseCell{.cell = 2047}), ErrorCode::kBadArgument);
  EXPECT_EQ(error_of(shm::CloseCell{.cell = ~0U}), ErrorCode::kBadArgument);
  EXPECT_EQ(error_of(shm::DescribeGroup{.group = "nobody"}), ErrorCode::kUnknownGroup);
}

TEST_F(AdminCommands, UsersOfADeletedTopicAreTold) {
  ASSERT_TRUE(admin_->create_topic("t", 1));
  ControlClient user{daemon_.socket_path()};
  ASSERT_TRUE(user.hello("user"));
  ASSERT_TRUE(user.call(shm::OpenTopic{.name = "t", .intent = shm::Intent::kConsume}));
  ASSERT_EQ(error_of(shm::DeleteTopic{.name = "t"}), ErrorCode::kNone);
  const auto pushed = user.receive();
  ASSERT_TRUE(pushed);
  const auto notice = pushed->as<shm::Notice>();
  ASSERT_TRUE(notice);
  EXPECT_EQ(notice->code, ErrorCode::kTopicGone);
}

TEST_F(AdminCommands, StatusAndClientsSayWhatThereIs) {
  ASSERT_TRUE(admin_->create_topic("t", 5));
  open("t");
  const auto status = ask<shm::StatusReply>(shm::Status{});
  EXPECT_EQ(status.topics, 1U);
  EXPECT_EQ(status.partitions, 5U);
  EXPECT_EQ(status.sessions, 1U);
  EXPECT_EQ(status.incarnation, 1U);
  EXPECT_EQ(status.keeper_pid, static_cast<std::uint32_t>(daemon_.keeper_pid()));
  EXPECT_EQ(status.broker_pid, static_cast<std::uint32_t>(daemon_.broker_pid()));
  EXPECT_EQ(status.data_dir, daemon_.data_dir());
  EXPECT_GT(status.disk_free_bytes, 0U);
  EXPECT_FALSE(status.io_engine.empty());
  const auto clients = ask<shm::ListClientsReply>(shm::ListClients{});
  ASSERT_EQ(clients.clients.size(), 1U);
  EXPECT_EQ(clients.clients[0].pid, static_cast<std::uint32_t>(getpid()));
  EXPECT_EQ(clients.clients[0].name, "admin");
  EXPECT_EQ(clients.clients[0].topics, "t");
}

TEST_F(AdminCommands, LongListsComeInPages) {
  for (int i = 0; i < 250; ++i)
    ASSERT_TRUE(admin_->create_topic("t" + std::to_string(1000 + i), 1, {{"class", "small"}}));
  std::vector<std::string> names;
  shm::ListTopicsReply page{.more = true};
  while (page.more) {
    page = ask<shm::ListTopicsReply>(shm::ListTopics{.after = names.empty() ? "" : names.back()});
    ASSERT_FALSE(page.topics.empty());
    for (const shm::TopicRow& row : page.topics) names.push_back(row.name);
  }
  EXPECT_EQ(names.size(), 250U);
  EXPECT_TRUE(std::ranges::is_sorted(names));
}

}  // namespace
}  // namespace mallbots::test
