// Producer on topics with ingest=sequenced: the same calls and promises, by another way.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <thread>

#include "clients/internal/link.h"
#include "clients/internal/ring_lane.h"
#include "clients/internal/ring_sender.h"
#include "clients/internal/topic_memory.h"
#include "tests/clients/fixture.h"
#include "tests/support/allocations.h"

namespace mallbots::test {
namespace {

using client::Acks;
using client::as_bytes;
using client::Record;

class SequencedProducerTest : public ClientTest {
 protected:
  void SetUp() override {
    ClientTest::SetUp();
    connection_ = connect();
  }
  static void create(client::Connection& connection, const std::string& topic,
                     std::vector<client::TopicSetting> settings = {},
                     std::uint32_t partitions = 1) {
    settings.push_back({"ingest", "sequenced"});
    ClientTest::create(connection, topic, partitions, settings);
  }
  [[nodiscard]] std::vector<std::string> read_all(const std::string& topic, std::size_t count) {
    const auto reader = consumer(*connection_);
    EXPECT_OK(reader->assign(topic, {}, client::Start::oldest()));
    return read(*reader, count);
  }
  /// Has the broker's control thread wait for a keeper that stands still: the sequencer goes on,
  /// but nothing is flushed. Until lose_memory().
  void hold_flushes() {
    const auto asks = connect();
    daemon_.process().send(SIGSTOP);
    attaches_ = std::jthread{[this] {
      static_cast<void>(client::Connection::open({.runtime_dir = daemon_.runtime_dir()}));
    }};
    const Deadline limit = Deadline::after_ms(20'000);
    while (!limit.has_passed())
      if (!asks->link().ask<shm::StatusReply>(shm::Status{}, Deadline::after_ms(500))) return;
    FAIL() << "the broker still answers";
  }
  void lose_memory() {
    daemon_.process().kill_all();
    EXPECT_TRUE(daemon_.start()) << daemon_.log();
  }
  /// "again", which is in the log when the first memory goes, and not durable.
  void append_durably_twice(client::Producer& own) {
    const auto other_connection = connect();
    const auto watches = producer(*other_connection, "t");
    const auto reader = consumer(*other_connection);
    ASSERT_OK(reader->assign("t", {}, client::Start::end()));
    const auto memory = client::TopicMemory::open(
        other_connection->link(), "t", shm::Intent::kProduce, Deadline::after_ms(10'000));
    ASSERT_OK(memory);
    ASSERT_NO_FATAL_FAILURE(hold_flushes());
    const Offset durable = watches->durable_offset(0);
    std::thread waits{[&] {
      const auto again = own.append({.payload = as_bytes("again")}, {.acks = Acks::kDurable});
      EXPECT_OK(again);
    }};
    const auto seen = reader->poll(Deadline::after_ms(20'000), 1);
    EXPECT_TRUE(seen && seen->size() == 1) << "not appended before the memory was lost";
    EXPECT_TRUE(!seen || seen->empty() || durable <= seen->front().offset);
    // The sequencer says that somebody waits; after that it is the producer, who has its answer.
    shm::wake_if_waited((*memory)->durable_word(0));
    EXPECT_TRUE(is_waited_for((*memory)->durable_word(0)));
    EXPECT_EQ(watches->durable_offset(0), durable) << "flushed before the memory was lost";
    lose_memory();
    waits.join();
  }
  [[nodiscard]] static bool is_waited_for(const std::atomic<std::uint32_t>& word) {
    const Deadline limit = Deadline::after_ms(20'000);
    while ((word.load() & 1) == 0 && !limit.has_passed()) ::usleep(100);
    return (word.load() & 1) != 0;
  }

  std::unique_ptr<client::Connection> connection_;
  std::jthread attaches_;
};

TEST_F(SequencedProducerTest, OffsetsAreDenseAndStampsDoNotStepBack) {
  for (const auto waiting :
       {client::Waiting::kSpin, client::Waiting::kHybrid, client::Waiting::kBlock}) {
    const auto own_connection = connect(waiting);
    const std::string topic = "t" + std::to_string(static_cast<int>(waiting));
    create(*own_connection, topic);
    const auto own = producer(*own_connection, topic);
    UnixMillis last = 0;
    for (Offset i = 0; i < 3'000; ++i) {
      const auto receipt = own->append({.payload = as_bytes("some bytes to fill slots with")});
      ASSERT_OK(receipt);
      ASSERT_EQ(receipt->offset, i);
      ASSERT_GE(receipt->timestamp_ms, last);
      last = receipt->timestamp_ms;
    }
    EXPECT_EQ(own->last_sequence(0), 3'000U);
  }
}

TEST_F(SequencedProducerTest, RecordsOfAllSizesComeOutAsTheyWentIn) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  std::vector<std::string> sent;
  std::uint32_t random = 7;
  for (int i = 0; i < 4'000; ++i) {
    random = random * 1664525 + 1013904223;
    // Now and then as large as the topic takes, so that entries come round at every place.
    const std::size_t bytes = i % 500 == 499 ? 32'000 : random % 3'000;
    sent.emplace_back(bytes, static_cast<char>('a' + i % 26));
    ASSERT_OK(own->append({.payload = as_bytes(sent.back()), .key = as_bytes("k")}));
  }
  const auto got = read_all("t", sent.size());
  ASSERT_EQ(got.size(), sent.size());
  EXPECT_TRUE(got == sent);
}

TEST_F(SequencedProducerTest, BatchIsOneCommitOfManyRecords) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  const client::Header headers[] = {{"trace", "1"}};
  const std::vector<Record> records{
      {.payload = as_bytes("a"), .headers = headers},
      {.payload = as_bytes("b"),
       .trace_context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
      {.key = as_bytes("k"), .is_tombstone = true}};
  const auto receipt = own->append_batch(records);
  ASSERT_OK(receipt);
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
  EXPECT_TRUE((*batch)[2].is_tombstone);
}

TEST_F(SequencedProducerTest, ConflictsAndSequencesAreAnsweredAsForDirectTopics) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  append_numbers(*own, 0, 5);
  const auto conflict = own->append({.payload = as_bytes("x")}, {.expected_offset = 4});
  ASSERT_FALSE(conflict.has_value());
  EXPECT_EQ(conflict.error().code, ErrorCode::kConflict);
  EXPECT_NE(conflict.error().detail.find("next offset is 5"), std::string::npos);
  EXPECT_EQ(own->append({.payload = as_bytes("x")}, {.expected_offset = 5})->offset, 5U);
  EXPECT_TRUE(own->append({.payload = as_bytes("x")}, {.sequence = 6})->duplicate);
  const auto gap = own->append({.payload = as_bytes("x")}, {.sequence = 8});
  ASSERT_FALSE(gap.has_value());
  EXPECT_EQ(gap.error().code, ErrorCode::kOutOfSequence);
  EXPECT_EQ(own->append({.payload = as_bytes("x")}, {.sequence = 7})->offset, 6U);
  const std::string large(own->record_max_bytes(), 'x');
  const auto size = own->append({.payload = as_bytes(large)});
  ASSERT_FALSE(size.has_value());
  EXPECT_EQ(size.error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(own->append({.payload = as_bytes("x")})->offset, 7U);
}

TEST_F(SequencedProducerTest, DurableMeansThatTheBoardSaysSo) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  const auto receipt = own->append({.payload = as_bytes("x")}, {.acks = Acks::kDurable});
  ASSERT_OK(receipt);
  EXPECT_GT(own->durable_offset(0), receipt->offset);
}

TEST_F(SequencedProducerTest, WithoutAcksRecordsAreInTheLogByTheNextFlush) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  for (int i = 0; i < 5'000; ++i)
    ASSERT_OK(own->append({.payload = as_bytes("some bytes")}, {.acks = Acks::kNone}));
  ASSERT_OK(own->flush(Deadline::after_ms(20'000)));
  EXPECT_EQ(own->durable_offset(0), 5'000U);
  EXPECT_EQ(own->append({.payload = as_bytes("x")})->offset, 5'000U);
}

TEST_F(SequencedProducerTest, WithoutAcksTheBrokerServesWhatAProducerLeftBehind) {
  create(*connection_, "t");
  {
    const auto own_connection = connect();
    const auto own = producer(*own_connection, "t");
    for (int i = 0; i < 100; ++i)
      ASSERT_OK(own->append({.payload = as_bytes(std::to_string(i))}, {.acks = Acks::kNone}));
  }
  EXPECT_EQ(read_all("t", 100), numbers(0, 100));
}

TEST_F(SequencedProducerTest, AStoppedBrokerIsATimeoutAndTheRecordIsNotInTheLog) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  append_numbers(*own, 0, 1);
  daemon_.signal_broker(SIGSTOP);
  int appended = 1;  // all of its threads stop some moments later
  auto last = own->append({.payload = as_bytes("1")}, {.deadline = Deadline::after_ms(2)});
  while (last)
    last = own->append({.payload = as_bytes(std::to_string(++appended))},
                       {.deadline = Deadline::after_ms(2)});
  // The sequencer may stop with that record in its hands: it will append it when it goes on.
  if (last.error().code == ErrorCode::kInDoubt)
    ++appended;
  else
    ASSERT_EQ(last.error().code, ErrorCode::kTimeout) << last.error().sentence();
  for (int i = 0; i < 200; ++i) {  // more than a ring holds: each is withdrawn, the rest is refused
    const auto receipt =
        own->append({.payload = as_bytes("late")}, {.deadline = Deadline::after_ms(2)});
    ASSERT_FALSE(receipt.has_value());
    ASSERT_EQ(receipt.error().code, ErrorCode::kTimeout) << receipt.error().sentence();
  }
  EXPECT_EQ(own->try_append({.payload = as_bytes("late")}).code, ErrorCode::kTimeout);
  daemon_.signal_broker(SIGCONT);
  const auto receipt = own->append({.payload = as_bytes(std::to_string(appended))});
  ASSERT_OK(receipt);
  EXPECT_EQ(receipt->offset, static_cast<Offset>(appended));
  const auto all = static_cast<std::size_t>(appended) + 1;
  EXPECT_EQ(read_all("t", all), numbers(0, appended + 1));
}

TEST_F(SequencedProducerTest, TryAppendDoesNotAllocate) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  EXPECT_EQ(own->try_append({.payload = as_bytes("x")}).code, ErrorCode::kTimeout);
  ASSERT_OK(own->prepare());
  const std::string pose(200, 'p');
  const client::Header headers[] = {{"robot", "r2"}};
  std::uint64_t appended = 0;
  std::uint64_t in_doubt = 0;  // the sequencer had it in its hands and did not get the processor
  const Deadline limit = Deadline::after_ms(60'000);
  while (appended < 1'000 && !limit.has_passed()) {
    const std::uint64_t before = allocations();
    for (int i = 0; i < 100; ++i) {
      const auto tried = own->try_append({.payload = as_bytes(pose), .headers = headers});
      if (tried) ++appended;
      if (tried.code == ErrorCode::kInDoubt) ++in_doubt;
    }
    EXPECT_EQ(allocations(), before);
    ASSERT_OK(own->tend());
  }
  EXPECT_GE(appended, 1'000U);
  const auto after =
      own->append({.payload = as_bytes("y")});  // waits until all before it have offsets
  ASSERT_OK(after);
  EXPECT_GE(after->offset, static_cast<Offset>(appended));
  EXPECT_LE(after->offset, static_cast<Offset>(appended + in_doubt));
}

TEST_F(SequencedProducerTest, RidesOutTheDeathOfTheBrokerAndDoublesNothing) {
  create(*connection_, "t", {{"retention.bytes", "none"}});
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

TEST_F(SequencedProducerTest, GoesOnAfterTheMemoryWasLost) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  ASSERT_OK(own->append({.payload = as_bytes("0")}, {.acks = Acks::kDurable}));
  daemon_.process().kill_all();
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  const auto after = own->append({.payload = as_bytes("1")}, {.acks = Acks::kDurable});
  ASSERT_OK(after);
  EXPECT_EQ(read_all("t", 2), numbers(0, 2));
}

TEST_F(SequencedProducerTest, FlushTellsOnceThatWhatWasHandedInNeverReachedTheLog) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  ASSERT_OK(own->append({.payload = as_bytes("0")}, {.acks = Acks::kDurable}));
  ASSERT_TRUE(daemon_.stop_broker());
  for (int i = 0; i < 100; ++i)
    ASSERT_OK(own->append({.payload = as_bytes("lost")}, {.acks = Acks::kNone}));
  daemon_.process().kill_all();
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  ASSERT_OK(own->append({.payload = as_bytes("1")}, {.acks = Acks::kDurable}));
  const auto flushed = own->flush(Deadline::after_ms(10'000));
  ASSERT_FALSE(flushed.has_value());
  EXPECT_EQ(flushed.error().code, ErrorCode::kTruncated) << flushed.error().sentence();
  EXPECT_OK(own->flush(Deadline::after_ms(10'000)));
  EXPECT_EQ(read_all("t", 2), numbers(0, 2));
}

TEST_F(SequencedProducerTest, FlushTellsOnceThatWhatWasAppendedWentWithTheMemory) {
  create(*connection_, "t", {{"flush.interval", "1m"}});
  const auto own = producer(*connection_, "t");
  for (int i = 0; i < 10; ++i)
    ASSERT_OK(own->append({.payload = as_bytes("lost")}, {.acks = Acks::kNone}));
  EXPECT_EQ(read_all("t", 10).size(), 10U);
  daemon_.process().kill_all();
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  ASSERT_OK(own->append({.payload = as_bytes("0")}, {.acks = Acks::kDurable}));
  const auto flushed = own->flush(Deadline::after_ms(10'000));
  ASSERT_FALSE(flushed.has_value());
  EXPECT_EQ(flushed.error().code, ErrorCode::kTruncated) << flushed.error().sentence();
  EXPECT_OK(own->flush(Deadline::after_ms(10'000)));
  EXPECT_EQ(read_all("t", 1), numbers(0, 1));
}

TEST_F(SequencedProducerTest, FlushHasNothingToTellOfADurableAppendThatWasMadeTwice) {
  create(*connection_, "t", {{"flush.interval", "1m"}});
  const auto own = producer(*connection_, "t");
  ASSERT_OK(own->append({.payload = as_bytes("0")}, {.acks = Acks::kDurable}));
  append_durably_twice(*own);
  EXPECT_OK(own->flush(Deadline::after_ms(10'000)));
  EXPECT_EQ(read_all("t", 2), (std::vector<std::string>{"0", "again"}));
}

TEST_F(SequencedProducerTest, FlushTellsOfWhatWasLostBeforeADurableAppendThatWasMadeTwice) {
  create(*connection_, "t", {{"flush.interval", "1m"}});
  const auto own = producer(*connection_, "t");
  ASSERT_OK(own->append({.payload = as_bytes("0")}, {.acks = Acks::kDurable}));
  for (int i = 0; i < 3; ++i)
    ASSERT_OK(own->append({.payload = as_bytes("lost")}, {.acks = Acks::kNone}));
  EXPECT_EQ(read_all("t", 4).size(), 4U);
  append_durably_twice(*own);
  const auto flushed = own->flush(Deadline::after_ms(10'000));
  ASSERT_FALSE(flushed.has_value());
  EXPECT_EQ(flushed.error().code, ErrorCode::kTruncated) << flushed.error().sentence();
  EXPECT_OK(own->flush(Deadline::after_ms(10'000)));
  EXPECT_EQ(read_all("t", 2), (std::vector<std::string>{"0", "again"}));
}

TEST_F(SequencedProducerTest, ADurableDuplicateOfAnotherProducersRecordIsDurable) {
  create(*connection_, "t", {{"flush.interval", "1m"}});
  const auto first = producer(*connection_, "t");
  ASSERT_OK(first->append({.payload = as_bytes("x")}, {.sequence = 1}));
  const auto second =
      client::Producer::open(*connection_, "t", {.producer_id = first->producer_id(0)});
  ASSERT_OK(second);
  EXPECT_EQ(first->durable_offset(0), 0U);
  const auto again =
      (*second)->append({.payload = as_bytes("x")}, {.acks = Acks::kDurable, .sequence = 1});
  ASSERT_OK(again);
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(first->durable_offset(0), 1U);
}

TEST_F(SequencedProducerTest, ADurableDuplicateOfWhatAPredecessorAppendedIsDurable) {
  create(*connection_, "t", {{"flush.interval", "1m"}});
  const auto first = producer(*connection_, "t");
  for (std::uint64_t sequence : {1U, 2U})
    ASSERT_OK(first->append({.payload = as_bytes("x")}, {.sequence = sequence}));
  ASSERT_TRUE(daemon_.kill_broker());
  ASSERT_TRUE(daemon_.ready(2)) << daemon_.log();
  const auto second =
      client::Producer::open(*connection_, "t", {.producer_id = first->producer_id(0)});
  ASSERT_OK(second);
  const auto again =
      (*second)->append({.payload = as_bytes("x")}, {.acks = Acks::kDurable, .sequence = 1});
  ASSERT_OK(again);
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ((*second)->durable_offset(0), 2U);
}

TEST_F(SequencedProducerTest, ADuplicateWhoseMemoryIsLostIsInDoubtAndNotAppended) {
  create(*connection_, "t", {{"flush.interval", "1m"}});
  const auto own = producer(*connection_, "t");
  ASSERT_OK(own->append({.payload = as_bytes("0")}, {.acks = Acks::kDurable, .sequence = 1}));
  ASSERT_OK(own->append({.payload = as_bytes("1")}, {.sequence = 2}));
  const auto other_connection = connect();
  const auto memory = client::TopicMemory::open(other_connection->link(), "t",
                                                shm::Intent::kProduce, Deadline::after_ms(10'000));
  ASSERT_OK(memory);
  ASSERT_NO_FATAL_FAILURE(hold_flushes());
  shm::wake_if_waited((*memory)->durable_word(0));
  std::thread waits{[&] {
    const auto again =
        own->append({.payload = as_bytes("1")}, {.acks = Acks::kDurable, .sequence = 2});
    EXPECT_FALSE(again.has_value());
    EXPECT_TRUE(again || again.error().code == ErrorCode::kInDoubt) << again.error().sentence();
  }};
  EXPECT_TRUE(is_waited_for((*memory)->durable_word(0)));
  lose_memory();
  waits.join();
  EXPECT_EQ(own->append({.payload = as_bytes("after")})->offset, 1U);
  EXPECT_EQ(read_all("t", 2), (std::vector<std::string>{"0", "after"}));
}

TEST_F(SequencedProducerTest, ADeletedTopicIsGone) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  append_numbers(*own, 0, 1);
  ASSERT_OK(client::Admin{*connection_}.delete_topic("t"));
  const auto receipt = own->append({.payload = as_bytes("x")});
  ASSERT_FALSE(receipt.has_value());
  EXPECT_EQ(receipt.error().code, ErrorCode::kTopicGone) << receipt.error().sentence();
  create(*connection_, "t");
  EXPECT_EQ(producer(*connection_, "t")->append({.payload = as_bytes("x")})->offset, 0U);
}

TEST_F(SequencedProducerTest, ProducersOfManySessionsShareAPartition) {
  create(*connection_, "t");
  const auto other_connection = connect();
  const auto first = producer(*connection_, "t");
  const auto second = producer(*other_connection, "t");
  const auto third = producer(*connection_, "t");  // of one session, a ring of its own
  client::Producer* const all[] = {first.get(), second.get(), third.get()};
  for (Offset i = 0; i < 3'000; ++i) {
    const auto receipt = all[i % 3]->append({.payload = as_bytes("payload")});
    ASSERT_OK(receipt);
    ASSERT_EQ(receipt->offset, i);
  }
  EXPECT_NE(first->producer_id(0), third->producer_id(0));
}

TEST_F(SequencedProducerTest, NobodyIsGivenASlotToWriteIn) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  append_numbers(*own, 0, 1);
  auto memory = client::TopicMemory::open(connection_->link(), "t", shm::Intent::kProduce,
                                          Deadline::after_ms(5'000));
  ASSERT_OK(memory);
  const auto slot_id = (*memory)->board(0).entries[0].slot_id.load();
  std::vector<shm::UniqueFd> fds;
  ASSERT_OK(connection_->link().ask<shm::Empty>(shm::GetSlot{(*memory)->topic_id(), 0, slot_id},
                                                Deadline::after_ms(5'000), &fds));
  ASSERT_EQ(fds.size(), 1U);
  EXPECT_EQ(fcntl(fds[0].get(), F_GETFL) & O_ACCMODE, O_RDONLY);
  EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0].get(), 0), MAP_FAILED);
  const auto seat = connection_->link().ask<shm::OpenProducerReply>(
      shm::OpenProducer{(*memory)->topic_id(), 0, 0}, Deadline::after_ms(5'000));
  ASSERT_FALSE(seat.has_value());
  EXPECT_EQ(seat.error().code, ErrorCode::kBadArgument);
}

TEST_F(SequencedProducerTest, ARingWithEntriesOfAnEarlierOwnerUnderWayIsNotOpenedByTheDeadline) {
  create(*connection_, "t");
  const Deadline deadline = Deadline::after_ms(10'000);
  const auto topic =
      client::TopicMemory::open(connection_->link(), "t", shm::Intent::kProduce, deadline);
  ASSERT_OK(topic);
  std::vector<shm::UniqueFd> fds;
  const auto reply = connection_->link().ask<shm::OpenRingReply>(
      shm::OpenRing{.topic_id = (*topic)->topic_id()}, deadline, &fds);
  ASSERT_OK(reply);
  const auto memory = shm::Mapping::of(fds[0].get(), shm::ingest_ring_bytes(reply->data_bytes),
                                       shm::Access::kReadWrite);
  ASSERT_OK(memory);
  // Taken, and not answered: as while the broker has no room for it.
  shm::IngestRing& ring = *memory->as<shm::IngestRing>();
  shm::entry_of(ring, 0).state.store(shm::ingest_word(0, shm::IngestState::kTaken));
  const shm::OpenRing wanted{.topic_id = (*topic)->topic_id(), .producer_id = reply->producer_id};
  const auto early = client::RingLane::open(**topic, wanted, Deadline::after_ms(50));
  ASSERT_FALSE(early.has_value());
  EXPECT_EQ(early.error().code, ErrorCode::kTimeout) << early.error().sentence();
  shm::note_sequence(ring, 7);
  shm::answer(ring, 0, {});
  const auto lane = client::RingLane::open(**topic, wanted, deadline);
  ASSERT_OK(lane);
  EXPECT_EQ((*lane)->last_sequence(), 7U) << "as it was before the wait";
}

TEST_F(SequencedProducerTest, KindsThatTheTopicDoesNotKnowAreRefused) {
  create(*connection_, "t");
  auto memory = client::TopicMemory::open(connection_->link(), "t", shm::Intent::kProduce,
                                          Deadline::after_ms(5'000));
  ASSERT_OK(memory);
  client::RingSender sender{**memory, 0};
  const auto answer =
      sender.send(0, {.kind = shm::IngestKind::kFirstOfTopic}, Deadline::after_ms(5'000));
  ASSERT_OK(answer);
  EXPECT_EQ(static_cast<ErrorCode>(answer->code), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace mallbots::test
