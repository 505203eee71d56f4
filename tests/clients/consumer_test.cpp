#include "clients/consumer.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <stop_token>
#include <thread>
#include <vector>

#include "shm/base/hash.h"
#include "shm/concurrent/wait.h"
#include "tests/clients/fixture.h"
#include "tests/clients/old_publication.h"

namespace mallbots::test {
namespace {

using client::as_bytes;
using client::ConsumerOptions;
using client::Message;
using client::ReadLevel;
using client::Start;

class ConsumerTest : public ClientTest {
 protected:
  void SetUp() override {
    ClientTest::SetUp();
    connection_ = connect();
  }
  std::unique_ptr<client::Connection> connection_;
};

TEST_F(ConsumerTest, StartsWhereItIsTold) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  append_numbers(*own, 0, 10);
  const UnixMillis middle = wall_now_ms() + 20;
  while (wall_coarse_ms() < middle) std::this_thread::yield();
  append_numbers(*own, 10, 10);
  const auto from = [&](const Start& start) {
    const auto reader = consumer(*connection_);
    EXPECT_OK(reader->assign("t", {}, start));
    const auto batch = reader->poll(Deadline::after_ms(50));
    return batch && !batch->empty() ? std::string{batch->front().text()} : std::string{};
  };
  EXPECT_EQ(from(Start::oldest()), "0");
  EXPECT_EQ(from(Start::offset(7)), "7");
  EXPECT_EQ(from(Start::time(middle)), "10");
  EXPECT_EQ(from(Start::time(0)), "0");
  EXPECT_EQ(from(Start::end()), "");
  EXPECT_EQ(from(Start::time(middle + 1'000'000)), "");
  const auto reader = consumer(*connection_);
  const auto beyond = reader->assign("t", {}, Start::offset(21));
  ASSERT_FALSE(beyond.has_value());
  EXPECT_EQ(beyond.error().code, ErrorCode::kBadPosition);
  EXPECT_TRUE(reader->assignment().empty());
  ASSERT_OK(reader->assign("t", {}, Start::end()));
  append_numbers(*own, 20, 1);
  EXPECT_EQ(read(*reader, 1), numbers(20, 1));
}

TEST_F(ConsumerTest, RefusesWithTheInputNamed) {
  create(*connection_, "t");
  const auto reader = consumer(*connection_);
  EXPECT_EQ(reader->assign("none", {}, Start::end()).error().code, ErrorCode::kUnknownTopic);
  const PartitionIndex three[] = {3};
  EXPECT_EQ(reader->assign("t", three, Start::end()).error().code, ErrorCode::kBadPartition);
  EXPECT_EQ(reader->commit().error().code, ErrorCode::kBadArgument);
  EXPECT_EQ(reader->pause({"t", 0}).error().code, ErrorCode::kBadPartition);
  ASSERT_OK(reader->assign("t", {}, Start::end()));
  EXPECT_EQ(reader->assign("t", {}, Start::end()).error().code, ErrorCode::kBadArgument);
  const std::string topics[] = {"t"};
  EXPECT_EQ(reader->subscribe(topics, "g").error().code, ErrorCode::kBadArgument);
}

TEST_F(ConsumerTest, ReadsFromDiskWhatMemoryHasNoMoreAndComesBack) {
  create(*connection_, "t", 1, {{"segment.bytes", "262144"}});
  const auto own = producer(*connection_, "t");
  append_numbers(*own, 0, 4'000, 200);
  const auto reader = consumer(*connection_, {.disk_buffer_bytes = 8192});
  ASSERT_OK(reader->assign("t", {}, Start::oldest()));
  std::size_t from_disk = 0;
  bool more = false;
  Offset next = 0;
  while (next < 4'500) {
    const auto batch = reader->poll(Deadline::after_ms(5'000), 100);
    ASSERT_OK(batch);
    ASSERT_FALSE(batch->empty());
    for (const Message& message : *batch) {
      ASSERT_EQ(message.offset, next);
      ASSERT_TRUE(message.text().starts_with(std::to_string(next) + " "));
      from_disk += message.from_disk ? 1 : 0;
      ++next;
    }
    if (next >= 2'000 && !more) {
      append_numbers(*own, 4'000, 500, 200);
      more = true;
    }
  }
  EXPECT_GT(from_disk, 2'000U);
  append_numbers(*own, 4'500, 1, 200);
  const auto batch = reader->poll(Deadline::after_ms(5'000));
  ASSERT_OK(batch);
  EXPECT_FALSE(batch->front().from_disk);
  const auto back = reader->seek({"t", 0}, Start::offset(3));
  ASSERT_OK(back);
  EXPECT_EQ(reader->poll(Deadline::after_ms(5'000), 1)->front().offset, 3U);
}

TEST_F(ConsumerTest, ViewsOfOnePollStayWholeWhileSlotsAreReused) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->assign("t", {}, Start::oldest()));
  int appended = 0;
  for (int seen = 0; seen < 4'000;) {
    append_numbers(*own, appended, 200, 100);
    appended += 200;
    const auto batch = reader->poll(Deadline::after_ms(5'000), 10'000);
    ASSERT_OK(batch);
    // Behind the views' back, more slots than the ring has are filled.
    append_numbers(*own, appended, 400, 1'000);
    appended += 400;
    for (const Message& message : *batch)
      ASSERT_TRUE(message.text().starts_with(std::to_string(seen++) + " "));
  }
}

TEST_F(ConsumerTest, DurableReadersSeeOnlyWhatIsOnDisk) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  ASSERT_OK(own->append({.payload = as_bytes("0")}, {.acks = client::Acks::kDurable}));
  const auto durable = consumer(*connection_, {.read = ReadLevel::kDurable});
  const auto committed = consumer(*connection_);
  ASSERT_OK(durable->assign("t", {}, Start::oldest()));
  ASSERT_OK(committed->assign("t", {}, Start::oldest()));
  EXPECT_EQ(read(*durable, 1), numbers(0, 1));
  EXPECT_EQ(read(*committed, 1), numbers(0, 1));
  daemon_.signal_broker(SIGSTOP);
  append_numbers(*own, 1, 1);
  EXPECT_EQ(read(*committed, 1), numbers(1, 1));
  EXPECT_TRUE(durable->poll(Deadline::after_ms(100))->empty());
  daemon_.signal_broker(SIGCONT);
  EXPECT_EQ(read(*durable, 1), numbers(1, 1));
}

TEST_F(ConsumerTest, EveryWayOfWaitingWakesUp) {
  create(*connection_, "t", 3);
  for (const auto waiting :
       {client::Waiting::kSpin, client::Waiting::kHybrid, client::Waiting::kBlock}) {
    const auto connection = connect(waiting);
    const auto reader = consumer(*connection);
    ASSERT_OK(reader->assign("t", {}, Start::end()));
    std::jthread later{[&] {
      const auto own_connection = connect();
      const auto own = producer(*own_connection, "t");
      for (int i = 0; i < 30; ++i) EXPECT_OK(own->append({.payload = as_bytes("x")}));
    }};
    EXPECT_EQ(read(*reader, 30).size(), 30U);
    const Deadline soon = Deadline::after_ms(60);
    EXPECT_TRUE(reader->poll(soon)->empty());
    EXPECT_TRUE(soon.has_passed());
  }
}

// A spinner of one partition has a way of its own to what it sees: the records come while it spins.
TEST_F(ConsumerTest, ASpinnerOfOnePartitionGetsEachRecordOnceAndInOrder) {
  constexpr std::size_t kMost = 3;  // of a batch of four
  const auto spinning = connect(client::Waiting::kSpin);
  for (const auto level : {ReadLevel::kCommitted, ReadLevel::kDurable}) {
    const bool durable = level == ReadLevel::kDurable;
    const std::string topic = durable ? "durable" : "committed";
    const int records = durable ? 100 : 2'000;
    create(*connection_, topic);
    const auto reader = consumer(*spinning, {.read = level});
    ASSERT_OK(reader->assign(topic, {}, Start::oldest()));
    std::atomic<int> seen{0};
    std::jthread later{[&](const std::stop_token& done) {
      const auto own_connection = connect();
      const auto own = producer(*own_connection, topic);
      for (int next = 0; next < records && !done.stop_requested();) {
        while (seen.load() != next && !done.stop_requested()) std::this_thread::yield();
        for (int pause = 0; pause < 500; ++pause) shm::cpu_relax();
        const std::vector<std::string> texts = numbers(next, next % 5 == 0 ? 4 : 1);
        std::vector<client::Record> batch(texts.size());
        for (std::size_t i = 0; i < texts.size(); ++i) batch[i].payload = as_bytes(texts[i]);
        ASSERT_OK(own->append_batch(batch));
        next += static_cast<int>(texts.size());
      }
    }};
    while (seen.load() < records) {
      const auto batch = reader->poll(Deadline::after_ms(20'000), kMost);
      ASSERT_OK(batch);
      ASSERT_FALSE(batch->empty());
      ASSERT_LE(batch->size(), kMost);
      int next = seen.load();
      for (const Message& message : *batch) {
        ASSERT_EQ(message.offset, static_cast<Offset>(next));
        ASSERT_EQ(message.text(), std::to_string(next++));
      }
      ASSERT_EQ(reader->position({topic, 0})->offset, static_cast<Offset>(next));
      seen.store(next);
    }
  }
}

TEST_F(ConsumerTest, MemoryTopicsTellWhatWasOverwritten) {
  create(*connection_, "m", 1, {{"storage", "memory"}});
  const auto own = producer(*connection_, "m");
  append_numbers(*own, 0, 1);
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->assign("m", {}, Start::oldest()));
  EXPECT_EQ(read(*reader, 1), numbers(0, 1));
  ASSERT_OK(reader->pause({"m", 0}));
  append_numbers(*own, 1, 3'000, 200);
  EXPECT_TRUE(reader->poll(Deadline::passed())->empty());
  ASSERT_OK(reader->resume({"m", 0}));
  const auto evicted = reader->poll(Deadline::after_ms(5'000));
  ASSERT_FALSE(evicted.has_value());
  ASSERT_EQ(evicted.error().code, ErrorCode::kEvicted);
  EXPECT_TRUE(client::is_setback(evicted.error().code));
  EXPECT_EQ(reader->setback().first, 1U);
  const Offset oldest = reader->setback().end;
  EXPECT_GT(oldest, 1U);
  const auto batch = reader->poll(Deadline::after_ms(5'000));
  ASSERT_OK(batch);
  EXPECT_EQ(batch->front().offset, oldest);
}

TEST_F(ConsumerTest, MemoryTopicsBeginAnewAfterACleanStopAndTheirReadersAreTold) {
  create(*connection_, "m", 1, {{"storage", "memory"}});
  create(*connection_, "t");
  const auto in_memory = producer(*connection_, "m");
  const auto on_disk = producer(*connection_, "t");
  append_numbers(*in_memory, 0, 10);
  append_numbers(*on_disk, 0, 10);
  const auto reader = consumer(*connection_);
  const auto other = consumer(*connection_);
  ASSERT_OK(reader->assign("m", {}, Start::oldest()));
  ASSERT_OK(other->assign("t", {}, Start::oldest()));
  EXPECT_EQ(read(*reader, 10), numbers(0, 10));
  EXPECT_EQ(read(*other, 10), numbers(0, 10));
  ASSERT_EQ(daemon_.stop().exit_code, 0) << daemon_.log();
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  append_numbers(*in_memory, 100, 20);
  append_numbers(*on_disk, 10, 10);
  const auto told = reader->poll(Deadline::after_ms(10'000));
  ASSERT_FALSE(told.has_value());
  EXPECT_EQ(told.error().code, ErrorCode::kTruncated) << told.error().sentence();
  EXPECT_EQ(reader->setback().first, 0U);
  EXPECT_EQ(reader->setback().end, 10U);
  EXPECT_EQ(read(*reader, 20), numbers(100, 20));
  EXPECT_EQ(read(*other, 10), numbers(10, 10));
}

TEST_F(ConsumerTest, DamageOnDiskIsToldOnceAndPassed) {
  create(*connection_, "t", 1, {{"segment.bytes", "262144"}});
  const auto own = producer(*connection_, "t");
  append_numbers(*own, 0, 4'000, 200);
  ASSERT_OK(own->flush(Deadline::after_ms(10'000)));
  // The first segment file, somewhere in its middle.
  std::filesystem::path first;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(daemon_.data_dir()))
    if (entry.path().extension() == ".seg" && (first.empty() || entry.path() < first))
      first = entry.path();
  ASSERT_FALSE(first.empty());
  const int file = open(first.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(file, 0);
  ASSERT_EQ(pwrite(file, "damage", 6, 100'000), 6);
  close(file);
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->assign("t", {}, Start::oldest()));
  Offset next = 0;
  int damaged = 0;
  while (next < 4'000) {
    const auto batch = reader->poll(Deadline::after_ms(5'000));
    if (!batch) {
      ASSERT_EQ(batch.error().code, ErrorCode::kDamaged) << batch.error().sentence();
      EXPECT_EQ(reader->setback().first, next);
      EXPECT_LE(reader->setback().end, next + 3) << first;
      next = reader->setback().end;
      ++damaged;
      continue;
    }
    ASSERT_FALSE(batch->empty());
    for (const Message& message : *batch) ASSERT_EQ(message.offset, next++);
  }
  EXPECT_EQ(damaged, 1);
}

TEST_F(ConsumerTest, ReadsOnWhileTheBrokerIsKilled) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->assign("t", {}, Start::oldest()));
  for (int round = 0; round < 3; ++round) {
    append_numbers(*own, round * 1'000, 500, 100);
    daemon_.signal_broker(SIGKILL);
    append_numbers(*own, round * 1'000 + 500, 500, 100);
    EXPECT_EQ(read(*reader, 1'000), numbers(round * 1'000, 1'000, 100));
  }
}

TEST_F(ConsumerTest, IsSetBackWhenAPowerCutTakesRecordsBack) {
  create(*connection_, "t", 1, {{"flush.interval", "1m"}});
  const auto own = producer(*connection_, "t");
  ASSERT_OK(own->append({.payload = as_bytes("0")}, {.acks = client::Acks::kDurable}));
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->assign("t", {}, Start::oldest()));
  EXPECT_EQ(read(*reader, 1), numbers(0, 1));
  daemon_.signal_broker(SIGSTOP);
  append_numbers(*own, 1, 5);
  EXPECT_EQ(read(*reader, 5), numbers(1, 5));
  daemon_.process().kill_all();
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  // As many records as were lost: an offset alone would not tell.
  for (int i = 0; i < 8; ++i)
    ASSERT_OK(own->append({.payload = as_bytes("new")}, {.acks = client::Acks::kDurable}));
  Result<std::span<const Message>> batch;
  do {
    batch = reader->poll(Deadline::after_ms(5'000));
  } while (batch && batch->empty());
  ASSERT_FALSE(batch.has_value());
  ASSERT_EQ(batch.error().code, ErrorCode::kTruncated) << batch.error().sentence();
  EXPECT_EQ(reader->setback().first, 1U);
  EXPECT_EQ(reader->setback().end, 6U);
  EXPECT_EQ(read(*reader, 8), std::vector<std::string>(8, "new"));
}

TEST_F(ConsumerTest, CleanRestartLosesNothing) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->assign("t", {}, Start::oldest()));
  append_numbers(*own, 0, 100);
  EXPECT_EQ(read(*reader, 50), numbers(0, 50));
  ASSERT_EQ(daemon_.stop().exit_code, 0) << daemon_.log();
  ASSERT_TRUE(daemon_.start());
  append_numbers(*own, 100, 100);
  EXPECT_EQ(read(*reader, 150), numbers(50, 150));
}

TEST_F(ConsumerTest, LatestGivesTheLastValueAndTheLastOfAKey) {
  create(*connection_, "t", 1, {{"segment.bytes", "262144"}});
  const auto own = producer(*connection_, "t");
  const auto reader = consumer(*connection_);
  EXPECT_FALSE(reader->latest({"t", 0})->has_value());
  const auto put = [&](const std::string& key, const std::string& value) {
    ASSERT_OK(own->append({.payload = as_bytes(value), .key = as_bytes(key)}));
  };
  put("door", "open");
  for (int i = 0; i < 3'000; ++i) put("lamp", std::string(200, 'o'));
  put("lamp", "off");
  EXPECT_EQ((*reader->latest({"t", 0}))->text(), "off");
  EXPECT_EQ((*reader->latest({"t", 0}, as_bytes("door")))->text(), "open");
  put("door", "shut");
  EXPECT_EQ((*reader->latest({"t", 0}, as_bytes("door")))->text(), "shut");
  EXPECT_EQ((*reader->latest({"t", 0}))->key_text(), "door");
  ASSERT_OK(own->append({.key = as_bytes("door"), .is_tombstone = true}));
  EXPECT_FALSE(reader->latest({"t", 0}, as_bytes("door"))->has_value());
  EXPECT_FALSE(reader->latest({"t", 0}, as_bytes("none"))->has_value());
}

TEST_F(ConsumerTest, LatestIsNothingOfATopicThatWasDeleted) {
  create(*connection_, "t");
  const auto reader = consumer(*connection_);
  ASSERT_OK(
      producer(*connection_, "t")->append({.payload = as_bytes("old"), .key = as_bytes("k")}));
  EXPECT_EQ((*reader->latest({"t", 0}, as_bytes("k")))->text(), "old");
  ASSERT_OK(client::Admin{*connection_}.delete_topic("t"));
  const auto gone = reader->latest({"t", 0}, as_bytes("k"));
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::kTopicGone);
  create(*connection_, "t");
  const auto nothing = reader->latest({"t", 0}, as_bytes("k"));
  ASSERT_OK(nothing);
  EXPECT_FALSE(nothing->has_value());
  ASSERT_OK(
      producer(*connection_, "t")->append({.payload = as_bytes("new"), .key = as_bytes("k")}));
  EXPECT_EQ((*reader->latest({"t", 0}, as_bytes("k")))->text(), "new");
}

TEST_F(ConsumerTest, LatestKnowsWhatIsCommittedThoughALatePublicationHidesIt) {
  create(*connection_, "t");
  const auto own = producer(*connection_, "t");
  const auto reader = consumer(*connection_);
  append_numbers(*own, 0, 1);
  const OldPublication late{*connection_, "t", 0};
  EXPECT_EQ((*reader->latest({"t", 0}))->text(), "0");
  append_numbers(*own, 1, 1);
  late.store();
  EXPECT_EQ((*reader->latest({"t", 0}))->text(), "1");
}

TEST_F(ConsumerTest, ADeletedTopicEndsItsReadingOnly) {
  create(*connection_, "a");
  create(*connection_, "b");
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->assign("a", {}, Start::oldest()));
  ASSERT_OK(reader->assign("b", {}, Start::oldest()));
  ASSERT_OK(client::Admin{*connection_}.delete_topic("a"));
  const auto gone = reader->poll(Deadline::after_ms(5'000));
  ASSERT_FALSE(gone.has_value());
  EXPECT_EQ(gone.error().code, ErrorCode::kTopicGone);
  append_numbers(*producer(*connection_, "b"), 0, 3);
  EXPECT_EQ(read(*reader, 3), numbers(0, 3));
}

TEST_F(ConsumerTest, WhatIsGivenOfADeletedTopicIsReadableUntilTheNextPoll) {
  create(*connection_, "t", 1, {{"flush.interval", "1m"}});
  const auto own = producer(*connection_, "t");
  append_numbers(*own, 0, 4);
  ASSERT_OK(own->append({.payload = as_bytes("4")}, {.acks = client::Acks::kDurable}));
  const auto reader = consumer(*connection_, {.read = ReadLevel::kDurable});
  ASSERT_OK(reader->assign("t", {}, Start::oldest()));
  append_numbers(*own, 5, 5);  // committed only: at them the reader sees that no more comes
  EXPECT_EQ(read(*reader, 1), numbers(0, 1));
  ASSERT_OK(client::Admin{*connection_}.delete_topic("t"));
  const auto batch = reader->poll(Deadline::after_ms(5'000));
  ASSERT_OK(batch);
  std::vector<std::string> texts;
  for (const Message& message : *batch) texts.emplace_back(message.text());
  EXPECT_EQ(texts, numbers(1, 4));
  const auto gone = reader->poll(Deadline::after_ms(5'000));
  ASSERT_FALSE(gone.has_value());
  EXPECT_EQ(gone.error().code, ErrorCode::kTopicGone);
}

TEST_F(ConsumerTest, ATopicMadeAnewCanBeAssignedOnceTheOldOneIsToldAsGone) {
  create(*connection_, "t");
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->assign("t", {}, Start::oldest()));
  ASSERT_OK(client::Admin{*connection_}.delete_topic("t"));
  create(*connection_, "t");
  append_numbers(*producer(*connection_, "t"), 0, 3);
  const auto gone = reader->poll(Deadline::after_ms(5'000));
  ASSERT_FALSE(gone.has_value());
  EXPECT_EQ(gone.error().code, ErrorCode::kTopicGone);
  ASSERT_OK(reader->assign("t", {}, Start::oldest()));
  EXPECT_EQ(read(*reader, 3), numbers(0, 3));
}

TEST_F(ConsumerTest, VerifiesMemoryOnRequest) {
  create(*connection_, "t");
  append_numbers(*producer(*connection_, "t"), 0, 500, 50);
  const auto reader = consumer(*connection_, {.verify_memory = true});
  ASSERT_OK(reader->assign("t", {}, Start::oldest()));
  EXPECT_EQ(read(*reader, 500), numbers(0, 500, 50));
}

}  // namespace
}  // namespace mallbots::test
