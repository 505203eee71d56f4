#include "broker/log/partition.h"

#include "tests/broker/log/log_instance.h"

namespace mallbots::test {
namespace {

const std::vector<shm::Setting> kSmallSlots = {{"slot.bytes", "128KiB", false}};

shm::BrokerSleep word_of(const LogInstance::Client& client) {
  return static_cast<shm::BrokerSleep>(client.parts.knock_header->broker.load());
}

TEST(Partition, ARecordThatComesBetweenDutyAndParkKeepsTheBrokerAwake) {
  LogInstance instance;
  const auto client = instance.attach(instance.make("t", kSmallSlots));
  shm::Appender appender{client->parts, client->seat};
  instance.settle();
  ASSERT_TRUE(instance.topics().park());
  instance.topics().unpark();
  // The duties saw nothing to do, so no timer runs for this one.
  append_all(instance, appender, 0, 1);
  EXPECT_FALSE(instance.topics().park());
  EXPECT_EQ(word_of(*client), shm::BrokerSleep::kAwake);
  instance.turn();
  EXPECT_TRUE(instance.topics().park());
  EXPECT_EQ(word_of(*client), shm::BrokerSleep::kParkedWithTimer);
}

TEST(Partition, ARecordThatComesBetweenRingingAndParkIsRungFor) {
  LogInstance instance;
  broker::Topic& topic =
      instance.make("t", {{"slot.bytes", "128KiB", false}, {"storage", "memory", false}});
  const auto client = instance.attach(topic);
  shm::Appender appender{client->parts, client->seat};
  const SessionIndex sleeper = instance.sessions().open();
  topic.add_doorbell(sleeper);
  instance.turn();
  ASSERT_TRUE(instance.topics().park());
  EXPECT_EQ(word_of(*client), shm::BrokerSleep::kParked);
  instance.topics().unpark();
  append_all(instance, appender, 0, 1);
  EXPECT_FALSE(instance.topics().park());
  auto& doorbell = instance.sessions().page(sleeper)->header.doorbell;
  const std::uint32_t key = shm::prepare_wait(doorbell);
  instance.turn();
  EXPECT_NE(doorbell.load(), key);
  EXPECT_TRUE(instance.topics().park());
}

TEST(Partition, TakeOverFindsItsPlaceInASlotWhoseBaseNobodySaid) {
  LogInstance instance;
  constexpr std::uint64_t kRecords = 900;  // into the second slot
  {
    broker::Topic& topic = instance.make("t", kSmallSlots);
    const auto client = instance.attach(topic);
    shm::Appender appender{client->parts, client->seat};
    append_all(instance, appender, 0, kRecords, 100);
    instance.settle();
    ASSERT_EQ(topic.partition(0).durable_offset(), kRecords);
    broker::HotSlot* const second = topic.partition(0).ring().find(1);
    ASSERT_GT(shm::load_word(second->header()).tail_units(), 0U);
    // Its producers rolled, the broker wrote what they appended and died before it said the base.
    second->header().identity.base_set.store(0);
  }
  instance.restart_broker();
  {
    const auto client = instance.attach(instance.topic("t"));
    shm::Appender appender{client->parts, client->seat};
    append_all(instance, appender, kRecords, kRecords + 50, 100);
    instance.settle();
    EXPECT_EQ(instance.topic("t").partition(0).durable_offset(), kRecords + 50);
  }
  EXPECT_EQ(instance.topics().damaged_ranges(), 0U);
  instance.crash_and_start();
  EXPECT_EQ(instance.topic("t").partition(0).end_offset(), kRecords + 50);
  EXPECT_TRUE(instance.findings.empty()) << instance.findings.front();
}

TEST(Partition, ABadProducerFromBeforeARestartIsExpelled) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kSmallSlots);
  const auto client = instance.attach(topic);
  {
    shm::Appender appender{client->parts, client->seat};
    append_all(instance, appender, 0, 3, 100);
  }
  // The second record's payload is changed behind its hash.
  std::byte* const data = topic.partition(0).ring().find(0)->mapping.data() + shm::kPageBytes;
  const std::size_t second = shm::record_units(shm::kRecordHeaderBytes + 100) * shm::kUnitBytes;
  data[second + shm::kRecordHeaderBytes + 20] ^= std::byte{1};
  instance.restart_broker();
  instance.settle();
  EXPECT_TRUE(instance.sessions().expelled.contains(client->session));
}

TEST(Partition, ALengthThatAProducerWroteHoldsTheBrokerUpNowhere) {
  LogInstance instance;
  broker::Topic& topic =
      instance.make("t", {{"slot.bytes", "128KiB", false}, {"storage", "memory", false}});
  const auto client = instance.attach(topic);
  shm::Appender appender{client->parts, client->seat};
  append_all(instance, appender, 0, 3);
  instance.settle();
  broker::Partition& partition = topic.partition(0);
  auto* const first = reinterpret_cast<shm::RecordHeader*>(
      partition.ring().find(0)->mapping.data() + shm::kPageBytes);
  first->timestamp_ms = 0;
  // 16-byte units of it are none, in 32 bits.
  first->length = 0xFFFF'FFFF;
  EXPECT_EQ(partition.cursor_at(2).units, 0U);
  EXPECT_EQ(partition.find_time(1), 3U);
}

}  // namespace
}  // namespace mallbots::test
