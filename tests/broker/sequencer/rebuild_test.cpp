#include "broker/sequencer/rebuild.h"

#include <gtest/gtest.h>

#include "tests/broker/log/log_instance.h"

namespace mallbots::test {
namespace {

using broker::ProducerHistory;

TEST(Rebuild, TellsLastSequencesAndWhereAWantedRecordIs) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", {{"slot.bytes", "64KiB"}});
  const auto first = instance.attach(topic);
  const auto second = instance.attach(topic);
  shm::Appender one{first->parts, first->seat};
  shm::Appender two{second->parts, second->seat};
  append_all(instance, one, 0, 30, 1'000);
  append_all(instance, two, 30, 60, 1'000);  // over the border of a slot
  append_all(instance, one, 60, 80, 1'000);
  std::map<std::uint64_t, ProducerHistory> producers;
  producers[first->seat.author.producer_id].wanted = 31;
  producers[second->seat.author.producer_id].wanted = 31;
  producers[12345].wanted = 1;
  broker::read_history(topic.partition(0).ring(), producers);
  const ProducerHistory& of_one = producers[first->seat.author.producer_id];
  EXPECT_EQ(of_one.last_sequence, 50U);
  EXPECT_EQ(of_one.end_offset, 80U);
  ASSERT_TRUE(of_one.found);
  EXPECT_EQ(of_one.found->offset, 60U);
  EXPECT_GT(of_one.found->timestamp_ms, 0);
  const ProducerHistory& of_two = producers[second->seat.author.producer_id];
  EXPECT_EQ(of_two.last_sequence, 30U);
  EXPECT_EQ(of_two.end_offset, 60U);
  EXPECT_FALSE(of_two.found);
  EXPECT_EQ(producers[12345].last_sequence, 0U);
  EXPECT_EQ(producers[12345].end_offset, 0U);
}

TEST(Rebuild, ALengthThatWrapsEndsTheWalkOfItsSlot) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t");
  const auto client = instance.attach(topic);
  shm::Appender appender{client->parts, client->seat};
  append_all(instance, appender, 0, 3);
  std::byte* const data = topic.partition(0).ring().find(0)->mapping.data() + shm::kPageBytes;
  reinterpret_cast<shm::RecordHeader*>(data)->length = 0xFFFF'FFFF;
  std::map<std::uint64_t, ProducerHistory> producers;
  producers[client->seat.author.producer_id].wanted = 2;
  broker::read_history(topic.partition(0).ring(), producers);
  EXPECT_FALSE(producers[client->seat.author.producer_id].found);
}

}  // namespace
}  // namespace mallbots::test
