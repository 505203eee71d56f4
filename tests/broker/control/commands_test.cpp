// The commands of mallbotsd, each through its socket.
#include "broker/control/commands.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "shm/layout/board.h"
#include "shm/layout/knock.h"
#include "shm/layout/session_page.h"
#include "shm/region/memory.h"
#include "tests/support/control_client.h"
#include "tests/support/daemon.h"

namespace mallbots::test {
namespace {

constexpr uid_t kStranger = 65'534;

class Commands : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
    admin_.emplace(daemon_.socket_path());
    ASSERT_TRUE(admin_->hello("admin"));
  }
  void TearDown() override { EXPECT_EQ(daemon_.stop().exit_code, 0) << daemon_.log(); }

  template <class Message>
  ErrorCode error_of(const Message& message) {
    const auto answer = admin_->call(message);
    return answer ? answer->error() : ErrorCode::kConnectionLost;
  }
  template <class Reply, class Message>
  Reply ask(const Message& message) {
    const std::optional<Answer> answer = admin_->call(message);
    EXPECT_TRUE(answer);
    if (!answer) return {};
    EXPECT_EQ(answer->error(), ErrorCode::kNone) << answer->detail();
    return answer->as<Reply>().value_or(Reply{});
  }
  std::uint64_t open(const std::string& topic, shm::Intent intent = shm::Intent::kProduce) {
    return ask<shm::OpenTopicReply>(shm::OpenTopic{.name = topic, .intent = intent}).topic_id;
  }

  Daemon daemon_;
  std::optional<ControlClient> admin_;
};

TEST_F(Commands, TopicIsCreatedListedDescribedAlteredAndDeleted) {
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

TEST_F(Commands, WhatCannotBeIsRefusedWithItsReason) {
  ASSERT_TRUE(admin_->create_topic("t", 1));
  EXPECT_EQ(admin_->create_topic("t", 1).error().code, ErrorCode::kTopicExists);
  EXPECT_EQ(admin_->create_topic("", 1).error().code, ErrorCode::kBadTopicName);
  EXPECT_EQ(admin_->create_topic("a/b", 1).error().code, ErrorCode::kBadTopicName);
  EXPECT_EQ(admin_->create_topic("\xFF\xFE", 1).error().code, ErrorCode::kBadTopicName);
  EXPECT_EQ(admin_->create_topic("u", 5000).error().code, ErrorCode::kBadSetting);
  EXPECT_EQ(admin_->create_topic("u", 1, {{"colour", "red"}}).error().code,
            ErrorCode::kUnknownSetting);
  EXPECT_EQ(admin_->create_topic("u", 1, {{"type", "events"}}).error().code,
            ErrorCode::kUnsupported);
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

TEST_F(Commands, DescriptorsComeWithTheRightsTheyShouldHave) {
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

TEST_F(Commands, ProducerReaderAndLeaseAreOpened) {
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

TEST_F(Commands, FindTimeOfAnEmptyLogIsItsEnd) {
  ASSERT_TRUE(admin_->create_topic("t", 1));
  const std::uint64_t id = open("t", shm::Intent::kConsume);
  EXPECT_EQ(ask<shm::FindTimeReply>(shm::FindTime{.topic_id = id, .time_ms = 0}).offset, 0U);
  EXPECT_NE(error_of(shm::FindSegment{.topic_id = id, .offset = 17}), ErrorCode::kNone);
}

TEST_F(Commands, GroupMemberGetsReplyThenAssignment) {
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

TEST_F(Commands, UsersOfADeletedTopicAreTold) {
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

TEST_F(Commands, StatusAndClientsSayWhatThereIs) {
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

TEST_F(Commands, LongListsComeInPages) {
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

TEST_F(Commands, GoodbyeFreesTheSession) {
  ControlClient client{daemon_.socket_path()};
  const auto welcome = client.hello("short");
  ASSERT_TRUE(welcome);
  const auto answer = client.call(shm::Goodbye{});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error(), ErrorCode::kNone);
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(ask<shm::StatusReply>(shm::Status{}).sessions, 1U);
}

/// What a process of another user gets to hear, as one word a line.
std::string stranger_tries(const std::string& socket_path) {
  ProcessOptions options;
  options.run_as = kStranger;
  Process stranger = Process::call(
      [&] {
        ControlClient client{socket_path};
        const auto welcome = client.hello("stranger");
        const auto word = [&](const char* what, const std::optional<Answer>& answer) {
          const ErrorCode code = answer ? answer->error() : ErrorCode::kConnectionLost;
          dprintf(STDOUT_FILENO, "%s=%s", what,
                  code == ErrorCode::kNone ? "ok" : error_entry(code).name.data());
          if (answer && code == ErrorCode::kNone)
            dprintf(STDOUT_FILENO, ",%zu", answer->fds.size());
          dprintf(STDOUT_FILENO, "\n");
        };
        word("status", client.call(shm::Status{}));
        word("create", client.call(shm::CreateTopic{.name = "mine", .partitions = 1}));
        word("closed", client.call(shm::OpenTopic{.name = "closed"}));
        word("read", client.call(shm::OpenTopic{.name = "readable"}));
        word("write",
             client.call(shm::OpenTopic{.name = "readable", .intent = shm::Intent::kProduce}));
        word("both",
             client.call(shm::OpenTopic{.name = "writable", .intent = shm::Intent::kProduce}));
        const auto list = client.call(shm::ListTopics{});
        const auto reply = list ? list->as<shm::ListTopicsReply>() : std::nullopt;
        dprintf(STDOUT_FILENO, "listed=%zu\n", reply ? reply->topics.size() : 99);
        return welcome ? 0 : 1;
      },
      options);
  EXPECT_EQ(stranger.wait().exit_code, 0);
  return stranger.output();
}

TEST_F(Commands, StrangersMayWhatTheAllowListsSay) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to be another user";
  // The test's own folder is closed to others; what counts is the runtime directory.
  ASSERT_EQ(run({"chmod", "0711", daemon_.folder().path()}).ended.exit_code, 0);
  ASSERT_TRUE(admin_->create_topic("closed", 1));
  ASSERT_TRUE(admin_->create_topic("readable", 1, {{"consume.allow", "65534"}}));
  ASSERT_TRUE(admin_->create_topic("writable", 1, {{"produce.allow", "nobody"}}));
  EXPECT_EQ(stranger_tries(daemon_.socket_path()),
            "status=NotPermitted\ncreate=NotPermitted\nclosed=NotPermitted\n"
            "read=ok,1\nwrite=NotPermitted\nboth=ok,2\nlisted=2\n");
}

}  // namespace
}  // namespace mallbots::test
