#include "broker/log/log_writer.h"

#include "broker/log/log_reader.h"
#include "shm/concurrent/slot_word.h"
#include "tests/broker/log/log_instance.h"

namespace mallbots::test {
namespace {

using broker::WriteStatus;

const std::vector<shm::Setting> kSmallSlots = {{"slot.bytes", "128KiB", false},
                                               {"stall.limit", "20ms", false}};

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}

shm::RecordInput record_of(const std::string& text, shm::RecordType type = shm::RecordType::kData) {
  return {.payload = bytes_of(text), .type = type};
}

TEST(LogWriter, ABatchIsCommittedWholeAndSoonDurable) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kSmallSlots);
  broker::Partition& partition = topic.partition(0);
  const std::string text = "mark";
  const std::vector<shm::RecordInput> records(3, record_of(text, shm::RecordType::kControl));
  const auto outcome = partition.writer().append(records, {.flush = true});
  ASSERT_EQ(outcome.status, WriteStatus::kAppended);
  EXPECT_EQ(outcome.offset, 0U);
  EXPECT_EQ(partition.end_offset(), 3U);
  EXPECT_EQ(partition.durable_offset(), 0U);
  instance.settle();
  EXPECT_EQ(partition.durable_offset(), 3U);
  EXPECT_TRUE(instance.troubles.empty());
}

TEST(LogWriter, SharesThePartitionWithClients) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kSmallSlots);
  const auto client = instance.attach(topic);
  shm::Appender appender{client->parts, client->seat};
  const std::string text = payload_of(1, 100);
  for (Offset i = 0; i < 8000; i += 2) {
    append_all(instance, appender, i, i + 1, 100);
    for (;;) {
      const auto outcome = topic.partition(0).writer().append(record_of(text));
      if (outcome.status == WriteStatus::kAppended) {
        ASSERT_EQ(outcome.offset, i + 1);
        break;
      }
      ASSERT_EQ(outcome.status, WriteStatus::kNoRoom);
      instance.turn();
    }
  }
  instance.settle();
  EXPECT_EQ(topic.partition(0).durable_offset(), 8000U);
}

TEST(LogWriter, SaysBusyWhileAClientIsInsideAndGoesOnBehindAStalledOne) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kSmallSlots);
  const auto stalled = instance.attach(topic);
  const std::string text = "r";
  broker::LogWriter& writer = topic.partition(0).writer();
  ASSERT_EQ(writer.append(record_of(text)).status, WriteStatus::kAppended);
  shm::SlotHeader& slot = topic.partition(0).ring().find(0)->header();
  ASSERT_TRUE(shm::try_acquire(slot, shm::load_word(slot), stalled->session));
  EXPECT_EQ(writer.append(record_of(text)).status, WriteStatus::kBusy);
  broker::WriteOutcome outcome;
  while ((outcome = writer.append(record_of(text))).status == WriteStatus::kBusy) instance.turn();
  ASSERT_EQ(outcome.status, WriteStatus::kAppended);
  EXPECT_EQ(outcome.offset, 1U);
}

TEST(LogWriter, SaysNoRoomWhileNothingReachesTheDisk) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kSmallSlots);
  const std::string text = payload_of(0, 60'000);
  broker::LogWriter& writer = topic.partition(0).writer();
  broker::WriteOutcome outcome;
  Offset written = 0;
  while ((outcome = writer.append(record_of(text))).status == WriteStatus::kAppended) ++written;
  EXPECT_EQ(outcome.status, WriteStatus::kNoRoom);
  instance.settle();
  outcome = writer.append(record_of(text));
  EXPECT_EQ(outcome.status, WriteStatus::kAppended);
  EXPECT_EQ(outcome.offset, written);
}

TEST(LogWriter, SaysWhyItMayNotAppend) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kSmallSlots);
  broker::Partition& partition = topic.partition(0);
  const std::string text = "r";
  EXPECT_EQ(partition.writer().append(record_of(std::string(100'000, 'x'))).status,
            WriteStatus::kTooLarge);
  partition.set_readonly(ErrorCode::kDiskFull);
  const auto refused = partition.writer().append(record_of(text));
  EXPECT_EQ(refused.status, WriteStatus::kReadOnly);
  EXPECT_EQ(refused.reason, ErrorCode::kDiskFull);
  partition.set_readonly(ErrorCode::kNone);
  const auto conflict = partition.writer().append(record_of(text), {.expected_offset = 7});
  EXPECT_EQ(conflict.status, WriteStatus::kConflict);
  EXPECT_EQ(conflict.offset, 0U);
  BootNanos next = INT64_MAX;
  while (!instance.topics().drain(boot_now_ns(), next)) instance.turn();
  EXPECT_EQ(partition.writer().append(record_of(text)).status, WriteStatus::kClosed);
}

TEST(LogWriter, AnHeirFreesTheWordOfADeadBrokerAtOnce) {
  LogInstance instance;
  {
    broker::Topic& topic = instance.make("t", kSmallSlots);
    const std::string text = "r";
    ASSERT_EQ(topic.partition(0).writer().append(record_of(text)).status, WriteStatus::kAppended);
    shm::SlotHeader& slot = topic.partition(0).ring().find(0)->header();
    ASSERT_TRUE(shm::try_acquire(slot, shm::load_word(slot), broker::kBrokerSession));
  }
  instance.restart_broker();
  broker::Topic& topic = instance.topic("t");
  EXPECT_FALSE(shm::load_word(topic.partition(0).ring().find(0)->header()).owned());
  const auto client = instance.attach(topic);
  shm::Appender appender{client->parts, client->seat};
  append_all(instance, appender, 1, 2);
}

TEST(LogWriter, KeepsItsIdentityAndItsSequencesRiseOverRestarts) {
  LogInstance instance;
  instance.make("t", kSmallSlots);
  std::uint64_t last = 0;
  std::uint64_t id = 0;
  Offset at = 0;
  for (int round = 0; round < 4; ++round) {
    broker::Topic& topic = instance.topic("t");
    const std::string text = "r";
    ASSERT_EQ(topic.partition(0).writer().append(record_of(text)).offset, at);
    broker::LogReader reader{instance.disk(), topic.partition(0), broker::ReadUpTo::kCommitted};
    reader.seek(at);
    const auto batch = reader.read();
    ASSERT_TRUE(batch);
    ASSERT_EQ((*batch)->records.size(), 1U);
    const shm::RecordHeader& header = *(*batch)->records.front().header;
    EXPECT_EQ(header.offset, at);
    EXPECT_GT(header.sequence, last);
    EXPECT_TRUE(id == 0 || header.producer_id == id);
    id = header.producer_id;
    last = header.sequence;
    ++at;
    instance.settle();
    if (round % 2 == 0)
      instance.restart_broker();
    else
      instance.crash_and_start();
  }
}

TEST(Topics, InternalTopicsAreTheBrokersOwn) {
  LogInstance instance;
  const auto settings = broker::new_settings(1, kSmallSlots);
  EXPECT_EQ(instance.topics().create("_mine", *settings).error().code, ErrorCode::kBadTopicName);
  instance.make("t", kSmallSlots);
  const auto made = instance.topics().internal("_own", *settings);
  ASSERT_TRUE(made);
  EXPECT_TRUE((*made)->is_internal());
  EXPECT_EQ(*instance.topics().internal("_own", *settings), *made);
  const std::string text = "r";
  ASSERT_EQ((*made)->partition(0).writer().append(record_of(text)).status, WriteStatus::kAppended);
  instance.settle();
  instance.crash_and_start();
  const auto again = instance.topics().internal("_own", *settings);
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->partition(0).end_offset(), 1U);
  EXPECT_EQ(instance.topics().all().size(), 2U);
  ASSERT_EQ(instance.topics().users().size(), 1U);
  EXPECT_EQ(instance.topics().users().front()->name(), "t");
}

}  // namespace
}  // namespace mallbots::test
