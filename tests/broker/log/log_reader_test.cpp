#include "broker/log/log_reader.h"

#include <algorithm>

#include "tests/broker/log/log_instance.h"

namespace mallbots::test {
namespace {

using broker::LogReader;
using broker::LostRange;
using broker::ReadUpTo;

const std::vector<shm::Setting> kSmallSlots = {{"slot.bytes", "128KiB", false},
                                               {"segment.bytes", "256KiB", false}};

/// Reads to the end; the payloads by offset, and what was lost.
struct Found {
  std::map<Offset, std::string> records;
  std::vector<LostRange> lost;
  std::size_t calls = 0;
};

Found read_all(LogReader& reader, std::size_t bytes = LogReader::kReadBytes) {
  Found found;
  for (;;) {
    const Offset before = reader.next_offset();
    const auto batch = reader.read(bytes);
    if (!batch) {
      ADD_FAILURE() << batch.error().sentence();
      return found;
    }
    Offset at = before;
    for (const shm::RecordView& view : (*batch)->records) {
      EXPECT_GE(view.header->offset, at);
      at = view.header->offset + 1;
      found.records[view.header->offset] = {reinterpret_cast<const char*>(view.payload.data()),
                                            view.payload.size()};
    }
    for (const LostRange& lost : (*batch)->lost) found.lost.push_back(lost);
    if (++found.calls > 100'000) ADD_FAILURE() << "no end";
    if ((*batch)->at_end || found.calls > 100'000) return found;
  }
}

void expect_all(const Found& found, Offset first, Offset last, std::size_t bytes) {
  ASSERT_EQ(found.records.size(), last - first);
  for (Offset i = first; i < last; ++i) ASSERT_EQ(found.records.at(i), payload_of(i, bytes)) << i;
}

void fill(LogInstance& instance, Offset first, Offset last, std::size_t bytes) {
  const auto client = instance.attach(instance.topic("t"));
  shm::Appender appender{client->parts, client->seat};
  append_all(instance, appender, first, last, bytes);
}

TEST(LogReader, ReadsWhatIsInMemoryAndFollows) {
  LogInstance instance;
  instance.make("t", kSmallSlots);
  LogReader reader{instance.disk(), instance.topic("t").partition(0), ReadUpTo::kCommitted};
  const auto empty = reader.read();
  ASSERT_TRUE(empty);
  EXPECT_TRUE((*empty)->at_end);
  EXPECT_TRUE((*empty)->records.empty());
  for (Offset i = 0; i < 2000; i += 100) {
    fill(instance, i, i + 100, 100);
    const Found found = read_all(reader);
    expect_all(found, i, i + 100, 100);
    EXPECT_TRUE(found.lost.empty());
  }
}

TEST(LogReader, ReadsFilesThenMemoryWithoutAGap) {
  LogInstance instance;
  instance.make("t", kSmallSlots);
  fill(instance, 0, 20'000, 100);
  broker::Partition& partition = instance.topic("t").partition(0);
  ASSERT_GT(partition.ring().oldest_offset(), 10'000U);
  ASSERT_GT(partition.store()->segments().size(), 4U);
  for (const std::size_t bytes : {std::size_t{1024}, std::size_t{50'000}, LogReader::kReadBytes}) {
    LogReader reader{instance.disk(), partition, ReadUpTo::kCommitted};
    const Found found = read_all(reader, bytes);
    expect_all(found, 0, 20'000, 100);
    EXPECT_TRUE(found.lost.empty());
  }
}

TEST(LogReader, ReadsWhatStartsOfEveryKindLeave) {
  LogInstance instance;
  instance.make("t", kSmallSlots);
  Offset at = 0;
  for (int round = 0; round < 6; ++round) {
    fill(instance, at, at + 700, 100);
    at += 700;
    instance.settle();
    if (round % 3 == 0)
      instance.crash_and_start();
    else if (round % 3 == 1)
      instance.restart_broker();
    else
      instance.drain_and_start();
    LogReader reader{instance.disk(), instance.topic("t").partition(0), ReadUpTo::kDurable};
    const Found found = read_all(reader, 10'000);
    expect_all(found, 0, at, 100);
    EXPECT_TRUE(found.lost.empty());
  }
}

TEST(LogReader, StopsAtTheDurablePositionIfAsked) {
  LogInstance instance;
  instance.make("t", kSmallSlots);
  broker::Partition& partition = instance.topic("t").partition(0);
  fill(instance, 0, 10, 100);
  instance.settle();
  fill(instance, 10, 20, 100);
  LogReader durable{instance.disk(), partition, ReadUpTo::kDurable};
  LogReader committed{instance.disk(), partition, ReadUpTo::kCommitted};
  expect_all(read_all(durable), 0, partition.durable_offset(), 100);
  ASSERT_LT(partition.durable_offset(), 20U);
  expect_all(read_all(committed), 0, 20, 100);
  instance.settle();
  expect_all(read_all(durable), 10, 20, 100);
}

TEST(LogReader, FindsAnyRecordByItsOffset) {
  LogInstance instance;
  instance.make("t", kSmallSlots);
  fill(instance, 0, 9000, 100);
  LogReader reader{instance.disk(), instance.topic("t").partition(0), ReadUpTo::kCommitted};
  Offset at = 1;
  for (int i = 0; i < 2000; ++i) {
    at = i % 3 == 0 ? at * 48'271 % 9000 : std::min<Offset>(at + at % 7, 8999);
    reader.seek(at);
    auto batch = reader.read(512);
    for (int calls = 0; calls < 30 && batch && (*batch)->records.empty(); ++calls)
      batch = reader.read(512);
    ASSERT_TRUE(batch);
    ASSERT_FALSE((*batch)->records.empty()) << at;
    ASSERT_EQ((*batch)->records.front().header->offset, at);
  }
}

TEST(LogReader, TakesARecordLargerThanItsReads) {
  LogInstance instance;
  instance.make("t", {{"slot.bytes", "4MiB", false}});
  fill(instance, 0, 1, 10);
  fill(instance, 1, 2, 1'900'000);
  fill(instance, 2, 3, 10);
  broker::Partition& partition = instance.topic("t").partition(0);
  {
    LogReader reader{instance.disk(), partition, ReadUpTo::kCommitted};
    const Found found = read_all(reader, 4096);
    EXPECT_EQ(found.records.size(), 3U);
    EXPECT_EQ(found.records.at(1), payload_of(1, 1'900'000));
  }
  instance.settle();
  instance.crash_and_start();
  LogReader reader{instance.disk(), instance.topic("t").partition(0), ReadUpTo::kCommitted};
  EXPECT_EQ(read_all(reader, 4096).records.at(1), payload_of(1, 1'900'000));
}

TEST(LogReader, PassesDamageAndSaysWhatItCost) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kSmallSlots);
  fill(instance, 0, 10, 100);
  std::byte* const data = topic.partition(0).ring().find(0)->mapping.data() + shm::kPageBytes;
  const std::size_t record = shm::record_units(shm::kRecordHeaderBytes + 100) * shm::kUnitBytes;
  data[3 * record + shm::kRecordHeaderBytes + 20] ^= std::byte{1};  // a body
  data[6 * record + 8] ^= std::byte{1};                             // a header
  LogReader hot{instance.disk(), topic.partition(0), ReadUpTo::kCommitted};
  const std::vector<LostRange> lost{{3, 4, true}, {6, 7, true}};
  Found found = read_all(hot);
  EXPECT_EQ(found.records.size(), 8U);
  EXPECT_EQ(found.lost, lost);
  instance.settle();
  fill(instance, 10, 12, 100);
  instance.settle();
  instance.crash_and_start();
  LogReader cold{instance.disk(), instance.topic("t").partition(0), ReadUpTo::kCommitted};
  found = read_all(cold);
  EXPECT_EQ(found.records.count(11), 1U);
  Offset missing = 0;
  for (const LostRange& range : found.lost) {
    EXPECT_TRUE(range.damaged);
    missing += range.end - range.first;
  }
  EXPECT_EQ(found.records.size() + missing, 12U);
}

TEST(LogReader, WaitsAtAnOpenEndThatDoesNotCheckOut) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kSmallSlots);
  fill(instance, 0, 4, 100);
  std::byte* const data = topic.partition(0).ring().find(0)->mapping.data() + shm::kPageBytes;
  const std::size_t record = shm::record_units(shm::kRecordHeaderBytes + 100) * shm::kUnitBytes;
  data[3 * record + 8] ^= std::byte{1};
  LogReader reader{instance.disk(), topic.partition(0), ReadUpTo::kCommitted};
  EXPECT_EQ(read_all(reader).records.size(), 3U);
  EXPECT_EQ(reader.next_offset(), 3U);
  instance.settle();  // the persister seals the slot: now its end is known
  fill(instance, 4, 6, 100);
  const Found found = read_all(reader);
  EXPECT_EQ(found.lost, (std::vector<LostRange>{{3, 4, true}}));
  EXPECT_EQ(found.records.size(), 2U);
}

TEST(LogReader, SaysWhatRetentionAndARingHaveLetGo) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kSmallSlots);
  fill(instance, 0, 20'000, 100);
  instance.settle();
  ASSERT_TRUE(topic.partition(0).drop_before(9000));
  const Offset start = topic.partition(0).start_offset();
  EXPECT_GT(start, 5000U);
  EXPECT_LE(start, 9000U);
  LogReader reader{instance.disk(), topic.partition(0), ReadUpTo::kCommitted};
  Found found = read_all(reader);
  EXPECT_EQ(found.lost, (std::vector<LostRange>{{0, start, false}}));
  expect_all(found, start, 20'000, 100);
  EXPECT_FALSE(topic.partition(0).drop_before(start));

  ASSERT_TRUE(instance.topics().remove("t"));
  broker::Topic& memory =
      instance.make("t", {{"slot.bytes", "128KiB", false}, {"storage", "memory", false}});
  fill(instance, 0, 10'000, 100);
  LogReader ring{instance.disk(), memory.partition(0), ReadUpTo::kDurable};
  found = read_all(ring);
  ASSERT_EQ(found.lost.size(), 1U);
  EXPECT_EQ(found.lost.front(), (LostRange{0, memory.partition(0).start_offset(), false}));
  EXPECT_EQ(found.records.size(), 10'000 - found.lost.front().end);
}

}  // namespace
}  // namespace mallbots::test
