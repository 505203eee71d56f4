#include "clients/admin.h"

#include <algorithm>

#include "tests/clients/fixture.h"

namespace mallbots::test {
namespace {

using client::Admin;
using client::as_bytes;

class AdminTest : public ClientTest {
 protected:
  void SetUp() override {
    ClientTest::SetUp();
    connection_ = connect();
  }
  std::unique_ptr<client::Connection> connection_;
};

TEST_F(AdminTest, CreatesDescribesAltersAndDeletesTopics) {
  Admin admin{*connection_};
  const auto created = admin.create_topic("t", 3, {{"slot.bytes", "65536"}, {"slots", "4"}});
  ASSERT_OK(created);
  EXPECT_GE(created->memory_bytes, 3U * 4 * 65'536);
  EXPECT_FALSE(created->disk_bytes.has_value());
  EXPECT_EQ(admin.create_topic("t", 1, {}).error().code, ErrorCode::kTopicExists);
  EXPECT_EQ(admin.create_topic("bad/name", 1, {}).error().code, ErrorCode::kBadTopicName);
  EXPECT_EQ(admin.create_topic("u", 1, {{"no.such", "1"}}).error().code,
            ErrorCode::kUnknownSetting);
  ASSERT_OK(admin.alter_topic("t", {{"flush.interval", "7"}}));
  EXPECT_EQ(admin.alter_topic("t", {{"slots", "8"}}).error().code, ErrorCode::kFixedSetting);
  const auto described = admin.describe_topic("t");
  ASSERT_OK(described);
  EXPECT_EQ(described->partitions.size(), 3U);
  EXPECT_EQ(described->topic_id, created->topic_id);
  const auto setting = std::find_if(described->settings.begin(), described->settings.end(),
                                    [](const auto& one) { return one.key == "slot.bytes"; });
  ASSERT_NE(setting, described->settings.end());
  EXPECT_FALSE(setting->is_default);
  ASSERT_OK(admin.delete_topic("t"));
  const auto gone = admin.describe_topic("t");
  ASSERT_FALSE(gone.has_value());
  EXPECT_EQ(gone.error().code, ErrorCode::kUnknownTopic);
}

TEST_F(AdminTest, PagesAreHidden) {
  Admin admin{*connection_};
  ASSERT_OK(admin.create_topic("wide", 3'000, {{"slot.bytes", "65536"}, {"slots", "2"}}));
  const auto described = admin.describe_topic("wide");
  ASSERT_OK(described);
  ASSERT_EQ(described->partitions.size(), 3'000U);
  for (PartitionIndex i = 0; i < 3'000; ++i) ASSERT_EQ(described->partitions[i].partition, i);
  std::vector<std::string> names{"wide"};
  for (int i = 0; i < 40; ++i) {
    names.push_back(std::string(190, 'n') + std::to_string(i + 100));
    ASSERT_OK(admin.create_topic(names.back(), 1, {{"class", "small"}}));
  }
  std::sort(names.begin(), names.end());
  const auto topics = admin.list_topics();
  ASSERT_OK(topics);
  ASSERT_EQ(topics->size(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ((*topics)[i].name, names[i]);
}

TEST_F(AdminTest, ShowsMovesAndDeletesGroups) {
  Admin admin{*connection_};
  create(*connection_, "t");
  append_numbers(*producer(*connection_, "t"), 0, 10);
  const std::string topics[] = {"t"};
  {
    const auto member = consumer(*connection_);
    ASSERT_OK(member->subscribe(topics, "g"));
    EXPECT_EQ(read(*member, 10).size(), 10U);
    ASSERT_OK(member->commit_durable(Deadline::after_ms(5'000)));
    const auto rows = admin.describe_group("g");
    ASSERT_OK(rows);
    EXPECT_EQ(rows->at(0).pid, static_cast<std::uint32_t>(getpid()));
    EXPECT_EQ(admin.seek_group("g", {}, true).error().code, ErrorCode::kGroupBusy);
  }
  const auto dry = admin.seek_group("g", {client::GroupSeek::To::kStart, 0}, false);
  ASSERT_OK(dry);
  ASSERT_EQ(dry->size(), 1U);
  EXPECT_EQ(dry->at(0).to_offset, 0U);
  ASSERT_OK(admin.seek_group("g", {client::GroupSeek::To::kForward, 2}, true));
  ASSERT_OK(admin.seek_group("g", {client::GroupSeek::To::kBackward, 3}, true));
  const auto groups = admin.list_groups();
  ASSERT_OK(groups);
  ASSERT_EQ(groups->size(), 1U);
  EXPECT_EQ(groups->at(0).group, "g");
  EXPECT_EQ(groups->at(0).members, 0U);
  ASSERT_OK(admin.delete_group("g"));
  EXPECT_EQ(admin.describe_group("g").error().code, ErrorCode::kUnknownGroup);
}

TEST_F(AdminTest, StatusAndClientsNameTheProcesses) {
  Admin admin{*connection_};
  create(*connection_, "t", 2);
  const auto status = admin.status();
  ASSERT_OK(status);
  EXPECT_EQ(status->keeper_pid, static_cast<std::uint32_t>(daemon_.keeper_pid()));
  EXPECT_EQ(status->broker_pid, static_cast<std::uint32_t>(daemon_.broker_pid()));
  EXPECT_EQ(status->topics, 1U);
  EXPECT_EQ(status->partitions, 2U);
  EXPECT_EQ(status->data_dir, daemon_.data_dir());
  const auto clients = admin.list_clients();
  ASSERT_OK(clients);
  ASSERT_EQ(clients->size(), 1U);
  EXPECT_EQ(clients->at(0).name, "test");
  EXPECT_EQ(clients->at(0).pid, static_cast<std::uint32_t>(getpid()));
}

}  // namespace
}  // namespace mallbots::test
