#include "clients/producer.h"

#include <signal.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "clients/internal/topic_memory.h"
#include "shm/base/hash.h"
#include "tests/clients/fixture.h"
#include "tests/support/allocations.h"

namespace mallbots::test {
namespace {

using client::Acks;
using client::as_bytes;
using client::Producer;
using client::Receipt;
using client::Record;

class ProducerTest : public ClientTest {
 protected:
  void SetUp() override {
    ClientTest::SetUp();
    connection_ = connect();
  }
  std::unique_ptr<client::Connection> connection_;
};

TEST_F(ProducerTest, OffsetsAreDenseAndStampsDoNotStepBack) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  UnixMillis last = 0;
  for (Offset i = 0; i < 3'000; ++i) {
    const auto receipt = own->append({.payload = as_bytes("some bytes to fill slots with")});
    ASSERT_OK(receipt);
    ASSERT_EQ(receipt->offset, i);
    ASSERT_GE(receipt->timestamp_ms, last);
    last = receipt->timestamp_ms;
  }
}

TEST_F(ProducerTest, KeyDecidesThePartitionElseTheyTakeTurns) {
  create(*connection_, "t", 4);
  const auto own = producer(*connection_, "t");
  for (const char* key : {"a", "b", "order 7", "\xff"}) {
    const auto receipt = own->append({.payload = as_bytes("x"), .key = as_bytes(key)});
    ASSERT_OK(receipt);
    EXPECT_EQ(receipt->partition, xxh3(as_bytes(key)) % 4);
    EXPECT_EQ(receipt->partition, own->partition_of(as_bytes(key)));
  }
  std::set<PartitionIndex> seen;
  for (int i = 0; i < 4; ++i) seen.insert(own->append({.payload = as_bytes("x")})->partition);
  EXPECT_EQ(seen.size(), 4U);
}

TEST_F(ProducerTest, RefusesWithTheInputNamed) {
  create(*connection_, "t", 2);
  const auto own = producer(*connection_, "t");
  const auto partition = own->append({}, {.partition = 2});
  ASSERT_FALSE(partition.has_value());
  EXPECT_EQ(partition.error().code, ErrorCode::kBadPartition);
  EXPECT_NE(partition.error().detail.find("partition 2 of topic t, which has 2"),
            std::string::npos);
  const std::string large(own->record_max_bytes(), 'x');
  const auto size = own->append({.payload = as_bytes(large)}, {.partition = 1});
  ASSERT_FALSE(size.has_value());
  EXPECT_EQ(size.error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(own->append({}, {.expected_offset = 0}).error().code, ErrorCode::kBadArgument);
  EXPECT_EQ(own->append_batch({}).error().code, ErrorCode::kBadArgument);
  const auto unknown = Producer::open(*connection_, "nowhere");
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code, ErrorCode::kUnknownTopic);
  EXPECT_NE(unknown.error().detail.find("nowhere"), std::string::npos);
}

TEST_F(ProducerTest, ExpectedOffsetConflictsTellTheActualOne) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  append_numbers(*own, 0, 5);
  const auto conflict = own->append({.payload = as_bytes("x")}, {.expected_offset = 4});
  ASSERT_FALSE(conflict.has_value());
  EXPECT_EQ(conflict.error().code, ErrorCode::kConflict);
  EXPECT_NE(conflict.error().detail.find("next offset is 5"), std::string::npos);
  EXPECT_EQ(own->append({.payload = as_bytes("x")}, {.expected_offset = 5})->offset, 5U);
}

TEST_F(ProducerTest, SequencesMakeRepeatsHarmless) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  EXPECT_FALSE(own->append({.payload = as_bytes("a")}, {.sequence = 1})->duplicate);
  EXPECT_TRUE(own->append({.payload = as_bytes("a")}, {.sequence = 1})->duplicate);
  const auto gap = own->append({.payload = as_bytes("c")}, {.sequence = 3});
  ASSERT_FALSE(gap.has_value());
  EXPECT_EQ(gap.error().code, ErrorCode::kOutOfSequence);
  EXPECT_EQ(own->append({.payload = as_bytes("b")}, {.sequence = 2})->offset, 1U);
  EXPECT_EQ(own->last_sequence(0), 2U);
}

TEST_F(ProducerTest, BatchIsOneCommitOfManyRecords) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  const client::Header headers[] = {{"trace", "1"}};
  const std::vector<Record> records{{.payload = as_bytes("a"), .headers = headers},
                                    {.payload = as_bytes("b")},
                                    {.payload = as_bytes("c"), .key = as_bytes("k")}};
  const auto receipt = own->append_batch(records);
  ASSERT_OK(receipt);
  EXPECT_EQ(receipt->records, 3U);
  EXPECT_EQ(receipt->last_offset(), receipt->offset + 2);
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->assign("t", {}, client::Start::oldest()));
  const auto batch = reader->poll(Deadline::after_ms(5'000));
  ASSERT_OK(batch);
  ASSERT_EQ(batch->size(), 3U);
  EXPECT_EQ((*batch)[0].header("trace"), "1");
  EXPECT_FALSE((*batch)[0].ends_batch);
  EXPECT_TRUE((*batch)[2].ends_batch);
  EXPECT_EQ((*batch)[2].key_text(), "k");
}

TEST_F(ProducerTest, DurableMeansThatTheBoardSaysSo) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  const auto receipt = own->append({.payload = as_bytes("x")}, {.acks = Acks::kDurable});
  ASSERT_OK(receipt);
  EXPECT_GT(own->durable_offset(0), receipt->offset);
}

TEST_F(ProducerTest, ARecordThatIsNotFlushedInTimeIsInTheLogAndSaysSo) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  ASSERT_OK(own->append({.payload = as_bytes("first")}, {.acks = Acks::kDurable}));
  daemon_.signal_broker(SIGSTOP);
  const auto late = own->append({.payload = as_bytes("late")},
                                {.deadline = Deadline::after_ms(150), .acks = Acks::kDurable});
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, ErrorCode::kNotDurable);
  daemon_.signal_broker(SIGCONT);
  ASSERT_OK(own->flush(Deadline::after_ms(10'000)));
  EXPECT_EQ(own->durable_offset(0), 2U);
}

TEST_F(ProducerTest, FullMemoryIsATimeoutAndNothingIsLost) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  const std::string text(1'000, 'x');
  ASSERT_OK(own->append({.payload = as_bytes(text)}));
  daemon_.signal_broker(SIGSTOP);
  Offset appended = 1;
  for (;;) {
    const auto receipt =
        own->append({.payload = as_bytes(text)}, {.deadline = Deadline::after_ms(100)});
    if (!receipt) {
      EXPECT_TRUE(receipt.error().code == ErrorCode::kTimeout) << receipt.error().sentence();
      break;
    }
    ++appended;
    ASSERT_LT(appended, 10'000U);
  }
  daemon_.signal_broker(SIGCONT);
  const auto receipt = own->append({.payload = as_bytes(text)});
  ASSERT_OK(receipt);
  EXPECT_EQ(receipt->offset, appended);
}

TEST_F(ProducerTest, TryAppendNeitherAllocatesNorWaits) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  EXPECT_EQ(own->try_append({.payload = as_bytes("x")}).code, ErrorCode::kTimeout);
  ASSERT_OK(own->prepare());
  const std::string pose(200, 'p');
  const client::Header headers[] = {{"robot", "r2"}};
  std::uint64_t appended = 0;
  const Deadline limit = Deadline::after_ms(20'000);
  while (appended < 3'000 && !limit.has_passed()) {
    const std::uint64_t before = allocations();
    for (int i = 0; i < 100; ++i)
      if (own->try_append({.payload = as_bytes(pose), .headers = headers})) ++appended;
    EXPECT_EQ(allocations(), before);
    ASSERT_OK(own->tend());
  }
  EXPECT_GE(appended, 3'000U);
  const auto range = consumer(*connection_)->range({"t", 0});
  ASSERT_OK(range);
  EXPECT_EQ(range->end, appended);
}

TEST_F(ProducerTest, TendPreparesWhatTryAppendMissed) {
  create(*connection_, "t", 3);
  const auto own = producer(*connection_, "t");
  EXPECT_FALSE(own->try_append({.payload = as_bytes("x")}, {.partition = 2}));
  ASSERT_OK(own->tend());
  EXPECT_TRUE(own->try_append({.payload = as_bytes("x")}, {.partition = 2}));
  EXPECT_EQ(own->producer_id(0), 0U);
  EXPECT_NE(own->producer_id(2), 0U);
}

TEST_F(ProducerTest, RidesOutTheDeathOfTheBroker) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  const std::string text(500, 'x');
  Offset next = 0;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 500; ++i) {
      const auto receipt = own->append({.payload = as_bytes(text)});
      ASSERT_OK(receipt);
      ASSERT_EQ(receipt->offset, next++);
      if (i == 250) daemon_.signal_broker(SIGKILL);
    }
    const auto receipt = own->append({.payload = as_bytes(text)}, {.acks = Acks::kDurable});
    ASSERT_OK(receipt);
    ASSERT_EQ(receipt->offset, next++);
  }
}

TEST_F(ProducerTest, SettlesReceiptsAfterTheMemoryWasLost) {
  create(*connection_, "t", 1, {{"flush.interval", "1m"}});
  const auto own = producer(*connection_, "t");
  const auto kept = own->append({.payload = as_bytes("kept")}, {.acks = Acks::kDurable});
  ASSERT_OK(kept);
  daemon_.signal_broker(SIGSTOP);
  const auto gone = own->append({.payload = as_bytes("gone")});
  ASSERT_OK(gone);
  daemon_.process().kill_all();
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  const auto after = own->append({.payload = as_bytes("after")}, {.acks = Acks::kDurable});
  ASSERT_OK(after);
  EXPECT_EQ(after->offset, 1U);
  EXPECT_GT(after->log_epoch, kept->log_epoch);
  EXPECT_OK(own->wait_durable(*kept, Deadline::after_ms(5'000)));
  const auto settled = own->wait_durable(*gone, Deadline::after_ms(5'000));
  ASSERT_FALSE(settled.has_value());
  EXPECT_EQ(settled.error().code, ErrorCode::kTruncated);
}

TEST_F(ProducerTest, FlushTellsOnceThatWhatWasAppendedWentWithTheMemory) {
  create(*connection_, "t", 2, {{"flush.interval", "1m"}});
  const auto own = producer(*connection_, "t");
  ASSERT_OK(own->append({.payload = as_bytes("kept")}, {.partition = 0, .acks = Acks::kDurable}));
  ASSERT_TRUE(daemon_.stop_broker());
  for (int i = 0; i < 10; ++i)
    ASSERT_OK(own->append({.payload = as_bytes("gone")}, {.partition = 0}));
  daemon_.process().kill_all();
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  for (const PartitionIndex partition : {0U, 1U})
    ASSERT_OK(own->append({.payload = as_bytes("after")},
                          {.partition = partition, .acks = Acks::kDurable}));
  const auto flushed = own->flush(Deadline::after_ms(10'000));
  ASSERT_FALSE(flushed.has_value());
  EXPECT_EQ(flushed.error().code, ErrorCode::kTruncated) << flushed.error().sentence();
  EXPECT_OK(own->flush(Deadline::after_ms(10'000)));
}

TEST_F(ProducerTest, FlushHasNothingToTellOfADurableAppendThatWasMadeTwice) {
  create(*connection_, "t", 1, {{"flush.interval", "1m"}});
  const auto own = producer(*connection_, "t");
  ASSERT_OK(own->append({.payload = as_bytes("kept")}, {.acks = Acks::kDurable}));
  const auto other_connection = connect();
  const auto reader = consumer(*other_connection);
  ASSERT_OK(reader->assign("t", {}, client::Start::end()));
  ASSERT_TRUE(daemon_.stop_broker());
  std::thread waits{
      [&] { EXPECT_OK(own->append({.payload = as_bytes("again")}, {.acks = Acks::kDurable})); }};
  const auto seen = reader->poll(Deadline::after_ms(20'000), 1);
  daemon_.process().kill_all();
  EXPECT_TRUE(daemon_.start()) << daemon_.log();
  waits.join();
  EXPECT_TRUE(seen.has_value() && seen->size() == 1) << "not appended before the memory was lost";
  EXPECT_OK(own->flush(Deadline::after_ms(10'000)));
}

TEST_F(ProducerTest, FlushIsContentWithALostMemoryThatWasOnDisk) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  for (int round = 0; round < 2; ++round) {
    // Durable: right after a death the memory that is lost may still take what is only committed.
    ASSERT_OK(own->append({.payload = as_bytes("first")}, {.acks = Acks::kDurable}));
    append_numbers(*own, 0, 10);
    ASSERT_OK(own->flush(Deadline::after_ms(10'000)));
    daemon_.process().kill_all();
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
  }
  ASSERT_OK(own->append({.payload = as_bytes("after")}, {.acks = Acks::kDurable}));
  EXPECT_OK(own->flush(Deadline::after_ms(10'000)));
}

TEST_F(ProducerTest, FlushTellsOfEachLostMemoryAndOfNoneInVain) {
  create(*connection_, "t", 2, {{"flush.interval", "1m"}});
  const auto own = producer(*connection_, "t");
  for (int round = 0; round < 2; ++round) {
    for (const PartitionIndex partition : {0U, 1U})
      ASSERT_OK(own->append({.payload = as_bytes("kept")},
                            {.partition = partition, .acks = Acks::kDurable}));
    ASSERT_TRUE(daemon_.stop_broker());
    for (const PartitionIndex partition : {0U, 1U})
      ASSERT_OK(own->append({.payload = as_bytes("gone")}, {.partition = partition}));
    daemon_.process().kill_all();
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
  }
  ASSERT_OK(own->append({.payload = as_bytes("after")}, {.partition = 0, .acks = Acks::kDurable}));
  for (int told = 0; told < 4; ++told) {
    // A flush that has no time to look takes nothing back of what it has to tell.
    ASSERT_TRUE(daemon_.stop_broker());
    const auto hasty = own->flush(Deadline::passed());
    ASSERT_FALSE(hasty.has_value());
    EXPECT_EQ(hasty.error().code, ErrorCode::kNotDurable) << hasty.error().sentence();
    daemon_.signal_broker(SIGCONT);
    const auto flushed = own->flush(Deadline::after_ms(10'000));
    ASSERT_FALSE(flushed.has_value()) << told;
    EXPECT_EQ(flushed.error().code, ErrorCode::kTruncated) << flushed.error().sentence();
  }
  EXPECT_OK(own->flush(Deadline::after_ms(10'000)));
}

TEST_F(ProducerTest, ADurableDuplicateOfAnotherProducersRecordIsDurable) {
  create(*connection_, "t", 1, {{"flush.interval", "1m"}});
  const auto first = producer(*connection_, "t");
  ASSERT_OK(first->append({.payload = as_bytes("x")}, {.sequence = 1}));
  auto second = Producer::open(*connection_, "t", {.producer_id = first->producer_id(0)});
  ASSERT_OK(second);
  EXPECT_EQ(first->durable_offset(0), 0U);
  const auto again =
      (*second)->append({.payload = as_bytes("x")}, {.acks = Acks::kDurable, .sequence = 1});
  ASSERT_OK(again);
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(first->durable_offset(0), 1U);
}

TEST_F(ProducerTest, ADuplicateWhoseMemoryIsLostIsInDoubtWithoutANameAndAppendedWithOne) {
  create(*connection_, "t", 2, {{"flush.interval", "1m"}});
  const auto unnamed = producer(*connection_, "t");
  const auto other_connection = connect();
  const auto opened = Producer::open(*other_connection, "t", {.name = "one"});
  ASSERT_OK(opened);
  Producer& named = **opened;
  ASSERT_OK(unnamed->append({.payload = as_bytes("kept")},
                            {.partition = 0, .acks = Acks::kDurable, .sequence = 1}));
  ASSERT_OK(named.append({.payload = as_bytes("kept")},
                         {.partition = 1, .acks = Acks::kDurable, .sequence = 1}));
  const auto memory = client::TopicMemory::open(connection_->link(), "t", shm::Intent::kProduce,
                                                Deadline::after_ms(10'000));
  ASSERT_OK(memory);
  ASSERT_TRUE(daemon_.stop_broker());
  ASSERT_OK(unnamed->append({.payload = as_bytes("x")}, {.partition = 0, .sequence = 2}));
  ASSERT_OK(named.append({.payload = as_bytes("x")}, {.partition = 1, .sequence = 2}));
  const auto again = [](Producer& producer, PartitionIndex partition) {
    return producer.append({.payload = as_bytes("x")},
                           {.partition = partition, .acks = Acks::kDurable, .sequence = 2});
  };
  for (const PartitionIndex partition : {0U, 1U})
    shm::wake_if_waited((*memory)->durable_word(partition));
  std::thread in_doubt{[&] {
    const auto outcome = again(*unnamed, 0);
    EXPECT_FALSE(outcome.has_value());
    EXPECT_TRUE(outcome || outcome.error().code == ErrorCode::kInDoubt);
  }};
  std::thread appended{[&] {
    const auto outcome = again(named, 1);
    EXPECT_OK(outcome);
    EXPECT_TRUE(outcome && !outcome->duplicate && outcome->offset == 1);
  }};
  // The first bit is set before the append; the next one by who waits behind it.
  const Deadline limit = Deadline::after_ms(20'000);
  for (int look = 0; look < 2; ++look)
    for (const PartitionIndex partition : {0U, 1U}) {
      while (((*memory)->durable_word(partition).load() & 1) == 0 && !limit.has_passed())
        ::usleep(100);
      if (look == 0) shm::wake_if_waited((*memory)->durable_word(partition));
    }
  EXPECT_FALSE(limit.has_passed());
  daemon_.process().kill_all();
  EXPECT_TRUE(daemon_.start()) << daemon_.log();
  in_doubt.join();
  appended.join();
  EXPECT_EQ(named.durable_offset(0), 1U);
  EXPECT_EQ(named.durable_offset(1), 2U);
}

TEST_F(ProducerTest, WithoutANameFlushAnswersForItsOwnRecordsAlone) {
  create(*connection_, "t", 1, {{"flush.interval", "1m"}});
  const auto first = producer(*connection_, "t");
  ASSERT_OK(first->append({.payload = as_bytes("x")}, {.sequence = 1}));
  auto second = Producer::open(*connection_, "t", {.producer_id = first->producer_id(0)});
  ASSERT_OK(second);
  ASSERT_OK((*second)->prepare());
  EXPECT_OK((*second)->flush(Deadline::after_ms(10'000)));
  EXPECT_EQ(first->durable_offset(0), 0U);
}

TEST_F(ProducerTest, AFlushOfADeletedTopicEndsAtOnce) {
  create(*connection_, "t", 1, {{"flush.interval", "1m"}});
  const auto own = producer(*connection_, "t");
  ASSERT_OK(own->prepare());
  ASSERT_TRUE(daemon_.stop_broker());
  ASSERT_OK(own->append({.payload = as_bytes("gone")}));
  daemon_.process().kill_all();
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  ASSERT_OK(own->append({.payload = as_bytes("after")}, {.acks = Acks::kDurable}));
  ASSERT_OK(client::Admin{*connection_}.delete_topic("t"));
  const auto flushed = own->flush(Deadline::never());
  ASSERT_FALSE(flushed.has_value());
  EXPECT_EQ(flushed.error().code, ErrorCode::kTopicGone) << flushed.error().sentence();
}

TEST_F(ProducerTest, ALossIsToldAlsoWhenRetentionHasPassedIt) {
  create(*connection_, "t", 1,
         {{"flush.interval", "1m"}, {"slot.bytes", "64KiB"}, {"segment.bytes", "64KiB"}});
  const auto own = producer(*connection_, "t");
  ASSERT_OK(own->append({.payload = as_bytes("kept")}, {.acks = Acks::kDurable}));
  ASSERT_TRUE(daemon_.stop_broker());
  const auto gone = own->append({.payload = as_bytes("gone")});
  ASSERT_OK(gone);
  daemon_.process().kill_all();
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  const auto other_connection = connect();
  const auto other = producer(*other_connection, "t");
  const std::string big(16 * 1024, 'x');
  for (int i = 0; i < 16; ++i)
    ASSERT_OK(other->append({.payload = as_bytes(big)}, {.acks = Acks::kDurable}));
  client::Admin admin{*other_connection};
  ASSERT_OK(admin.alter_topic("t", {{"retention.bytes", "64KiB"}}));
  const Deadline deadline = Deadline::after_ms(60'000);
  for (Offset start = 0; start <= gone->offset;) {
    ASSERT_FALSE(deadline.has_passed());
    const auto topic = admin.describe_topic("t");
    ASSERT_OK(topic);
    start = topic->partitions.at(0).start_offset;
  }
  const auto flushed = own->flush(Deadline::after_ms(10'000));
  ASSERT_FALSE(flushed.has_value());
  EXPECT_EQ(flushed.error().code, ErrorCode::kTruncated) << flushed.error().sentence();
}

TEST_F(ProducerTest, ADeletedTopicIsGone) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  append_numbers(*own, 0, 1);
  ASSERT_OK(client::Admin{*connection_}.delete_topic("t"));
  const auto receipt = own->append({.payload = as_bytes("x")});
  ASSERT_FALSE(receipt.has_value());
  EXPECT_EQ(receipt.error().code, ErrorCode::kTopicGone);
}

TEST_F(ProducerTest, MemoryTopicsRefuseDurability) {
  create(*connection_, "m", 1, {{"storage", "memory"}});
  const auto own = producer(*connection_, "m");
  EXPECT_TRUE(own->is_memory_only());
  const auto refused = own->append({.payload = as_bytes("x")}, {.acks = Acks::kDurable});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  const auto receipt = own->append({.payload = as_bytes("x")});
  ASSERT_OK(receipt);
  EXPECT_EQ(receipt->offset, 0U);
}

TEST_F(ProducerTest, TwoProcessesWorthOfProducersShareAPartition) {
  create(*connection_, "t");
  const auto other_connection = connect();
  const auto first = producer(*connection_, "t");
  const auto second = producer(*other_connection, "t");
  for (Offset i = 0; i < 2'000; ++i) {
    const auto receipt = (i % 2 == 0 ? first : second)->append({.payload = as_bytes("payload")});
    ASSERT_OK(receipt);
    ASSERT_EQ(receipt->offset, i);
  }
}

}  // namespace
}  // namespace mallbots::test
