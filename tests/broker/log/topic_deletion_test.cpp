// Topics that are deleted, refuse it, or may come back after a power cut.
#include <filesystem>

#include "broker/log/topics.h"
#include "tests/broker/log/log_instance.h"

namespace mallbots::test {
namespace {

using shm::AppendStatus;

const std::vector<shm::Setting> kSmallSlots = {{"slot.bytes", "128KiB", false}};

TEST(TopicDeletion, DeletedTopicsAreGoneFromMemoryAndDisk) {
  LogInstance instance;
  const auto client = instance.attach(instance.make("t", kSmallSlots));
  shm::Appender appender{client->parts, client->seat};
  append_all(instance, appender, 0, 100);
  ASSERT_TRUE(instance.topics().remove("t"));
  EXPECT_EQ(appender.append({}, {.deadline = Deadline::after_ms(1000)}).status,
            AppendStatus::kGone);
  EXPECT_EQ(instance.topics().remove("t").error().code, ErrorCode::kUnknownTopic);
  while (instance.topics().disk_bytes() != 0) instance.turn();
  instance.crash_and_start();
  EXPECT_EQ(instance.topics().find("t"), nullptr);
  EXPECT_EQ(instance.make("t", kSmallSlots).partition(0).end_offset(), 0U);
}

TEST(TopicDeletion, ADeletionThatIsNotSureToLastHoldsForEverybodyOrLeavesEveryRecord) {
  LogInstance instance{{.records = true}};
  broker::Topic& topic = instance.make("t", kSmallSlots);
  const std::string folder =
      broker::DataDirectory{.path = instance.data_dir()}.topic_folder(topic.id());
  const auto client = instance.attach(topic);
  shm::Appender appender{client->parts, client->seat};
  append_all(instance, appender, 0, 100);
  instance.settle();
  instance.recorder().fail_folder_syncs(EIO);
  EXPECT_EQ(instance.topics().remove("t").error().code, ErrorCode::kIo);
  EXPECT_EQ(instance.topics().find("t"), nullptr);
  EXPECT_EQ(appender.append({}, {.deadline = Deadline::after_ms(1000)}).status,
            AppendStatus::kGone);
  for (int i = 0; i < 10; ++i) instance.turn();
  EXPECT_TRUE(std::filesystem::exists(folder)) << "a power cut may still bring the topic back";
  TempDir dir;
  std::mt19937_64 dice(7);
  int kept = 0;
  for (int state = 0; state < 10; ++state) {
    LogInstance after{{.data_dir = instance.cut(dice, dir / std::to_string(state))}};
    if (after.topics().find("t") == nullptr) continue;
    ++kept;
    EXPECT_EQ(after.topic("t").partition(0).end_offset(), 100U) << "state " << state;
  }
  EXPECT_GT(kept, 0) << "no cut took the deletion back";
  instance.crash_and_start();
  EXPECT_EQ(instance.topics().find("t"), nullptr);
}

TEST(TopicDeletion, ADeletionInDoubtIsMadeToLastBeforeItsFilesGo) {
  LogInstance instance{{.records = true}};
  broker::Topic& topic = instance.make("t", kSmallSlots);
  const std::string folder =
      broker::DataDirectory{.path = instance.data_dir()}.topic_folder(topic.id());
  instance.recorder().fail_folder_syncs(EIO);
  EXPECT_FALSE(instance.topics().remove("t"));
  instance.recorder().fail_folder_syncs(0);
  instance.settle();
  EXPECT_FALSE(std::filesystem::exists(folder));
  TempDir dir;
  std::mt19937_64 dice(7);
  for (int state = 0; state < 10; ++state) {
    LogInstance after{{.data_dir = instance.cut(dice, dir / std::to_string(state))}};
    EXPECT_EQ(after.topics().find("t"), nullptr) << "state " << state;
  }
}

TEST(TopicDeletion, ARefusedDeletionLeavesTheTopicAsItWas) {
  LogInstance instance{{.records = true}};
  broker::Topic& topic = instance.make("t", kSmallSlots);
  const auto client = instance.attach(topic);
  shm::Appender appender{client->parts, client->seat};
  append_all(instance, appender, 0, 10);
  instance.recorder().fail_control(ENOSPC);
  EXPECT_EQ(instance.topics().remove("t").error().code, ErrorCode::kDiskFull);
  instance.recorder().fail_control(0);
  append_all(instance, appender, 10, 20);
  instance.settle();
  instance.crash_and_start();
  EXPECT_EQ(instance.topic("t").partition(0).end_offset(), 20U);
}

}  // namespace
}  // namespace mallbots::test
