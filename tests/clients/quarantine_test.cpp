// A producer that overwrites what its slots say of themselves, and the broker that takes over: that
// partition alone is not served, and whoever uses it is told (broker/RECOVERY.md, section 11).
#include <csignal>
#include <thread>

#include "clients/internal/link.h"
#include "clients/internal/slot_cache.h"
#include "clients/internal/topic_memory.h"
#include "shm/concurrent/partition.h"
#include "shm/concurrent/slot_word.h"
#include "tests/clients/fixture.h"

namespace mallbots::test {
namespace {

using client::Acks;
using client::as_bytes;
using client::Start;

constexpr std::int64_t kLimitMs = 10'000;

class QuarantineTest : public ClientTest {
 protected:
  void SetUp() override {
    ClientTest::SetUp();
    connection_ = connect();
    ASSERT_NE(connection_, nullptr);
  }
  void make_topics(std::vector<client::TopicSetting> settings = {}) {
    create(*connection_, "theirs", 2, std::move(settings));
    create(*connection_, "ours");
  }
  /// Partition 0 of the topic, mapped as any client may that produces to it.
  struct OpenSlot {
    std::unique_ptr<client::TopicMemory> topic;
    std::unique_ptr<client::SlotCache> slots;
    shm::SlotHeader* header = nullptr;
  };
  OpenSlot map_open_slot(const std::string& name = "theirs") {
    const Deadline deadline = Deadline::after_ms(kLimitMs);
    auto topic =
        client::TopicMemory::open(connection_->link(), name, shm::Intent::kProduce, deadline);
    if (!topic) throw std::runtime_error(topic.error().sentence());
    OpenSlot open{.topic = std::move(*topic)};
    open.slots = std::make_unique<client::SlotCache>(*open.topic, 0, shm::Access::kReadWrite);
    open.slots->may_ask(deadline);
    const auto parts = open.topic->parts(0, *open.slots);
    if (const auto slot_id = shm::slot_on_board(parts, parts.board->open_hint.load()))
      open.header = open.slots->map_slot(*slot_id).header;
    if (open.header == nullptr) throw std::runtime_error("the open slot cannot be mapped");
    return open;
  }
  void overwrite_open_slot() { map_open_slot().header->identity.magic = 0x4242; }
  static void expect_quarantine(const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kCorrupt) << error.sentence();
    EXPECT_NE(error.detail.find("theirs/0"), std::string::npos) << error.detail;
    EXPECT_NE(error.detail.find("quarantine"), std::string::npos) << error.detail;
    EXPECT_NE(error.detail.find("deleted"), std::string::npos) << error.detail;
  }
  /// The error that ends the reading; what comes before it is counted.
  static Error error_of(client::Consumer& reader, std::size_t& read) {
    const Deadline deadline = Deadline::after_ms(kLimitMs);
    while (!deadline.has_passed()) {
      const auto batch = reader.poll(Deadline::after_ms(1'000));
      if (!batch) return batch.error();
      read += batch->size();
    }
    return {ErrorCode::kTimeout, "no error came"};
  }
  [[nodiscard]] client::PartitionDescription describe(PartitionIndex partition) {
    const auto topic = client::Admin{*connection_}.describe_topic("theirs");
    if (!topic) {
      ADD_FAILURE() << topic.error().sentence();
      return {};
    }
    return topic->partitions.at(partition);
  }

  std::unique_ptr<client::Connection> connection_;
};

TEST_F(QuarantineTest, OthersGoOnAndLoseNothingWhoeverTakesOver) {
  make_topics();
  append_numbers(*producer(*connection_, "theirs"), 0, 100);
  const auto ours = producer(*connection_, "ours");
  append_numbers(*ours, 0, 100);
  overwrite_open_slot();
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->assign("ours", {}, Start::oldest()));
  for (int round = 0; round < 2; ++round) {
    const int at = round * 400;
    daemon_.signal_broker(SIGKILL);
    append_numbers(*ours, at + 100, 300);  // while nobody serves, and on
    ASSERT_TRUE(daemon_.ready(2 + static_cast<std::size_t>(round))) << daemon_.log();
    for (int i = at + 400; i < at + 500; ++i)
      ASSERT_OK(ours->append({.payload = as_bytes(std::to_string(i))}, {.acks = Acks::kDurable}));
    EXPECT_EQ(describe(0).state, ErrorCode::kCorrupt);
    EXPECT_EQ(describe(1).state, ErrorCode::kNone);
  }
  EXPECT_EQ(read(*reader, 900), numbers(0, 900));
  const auto status = client::Admin{*connection_}.status();
  ASSERT_OK(status);
  EXPECT_EQ(status->readonly_partitions, 1U);
  EXPECT_TRUE(daemon_.logs("theirs/0 in memory: slot 0's header contradicts the board"));
}

TEST_F(QuarantineTest, ProducersAreToldThereAndGoOnElsewhere) {
  make_topics();
  const auto known = producer(*connection_, "theirs");
  append_numbers(*known, 0, 100);
  overwrite_open_slot();
  ASSERT_TRUE(daemon_.kill_broker()) << daemon_.log();
  const auto began = boot_now_ns();
  const client::SendOptions there{.deadline = Deadline::after_ms(kLimitMs), .partition = 0};
  const auto connection = connect();
  const auto other = producer(*connection_, "theirs");
  const auto newcomer = producer(*connection, "theirs");
  for (client::Producer* const each : {known.get(), other.get(), newcomer.get()}) {
    const auto receipt = each->append({.payload = as_bytes("x")}, there);
    ASSERT_FALSE(receipt);
    expect_quarantine(receipt.error());
    ASSERT_OK(each->append({.payload = as_bytes("x")}, {.partition = 1, .acks = Acks::kDurable}));
  }
  EXPECT_EQ(known->try_append({.payload = as_bytes("x")}, there).code, ErrorCode::kCorrupt);
  EXPECT_LT(boot_now_ns() - began, 5 * kSecond);
}

TEST_F(QuarantineTest, ReadersAreToldOnceAndReadTheOtherPartitionsOn) {
  make_topics();
  const auto theirs = producer(*connection_, "theirs");
  append_numbers(*theirs, 0, 100);
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->assign("theirs", {}, Start::oldest()));
  EXPECT_EQ(read(*reader, 100), numbers(0, 100));
  overwrite_open_slot();
  ASSERT_TRUE(daemon_.kill_broker()) << daemon_.log();
  ASSERT_OK(theirs->append({.payload = as_bytes("x")}, {.partition = 1}));
  std::size_t more = 0;
  expect_quarantine(error_of(*reader, more));
  ASSERT_OK(theirs->append({.payload = as_bytes("y")}, {.partition = 1}));
  EXPECT_EQ(read(*reader, 2 - more).size(), 2 - more);

  const auto late = consumer(*connection_);
  const PartitionIndex first = 0;
  const auto at_end = late->assign("theirs", {&first, 1}, Start::end());
  ASSERT_FALSE(at_end);
  expect_quarantine(at_end.error());
  const auto at_time = late->assign("theirs", {&first, 1}, Start::time(1));
  ASSERT_FALSE(at_time);
  expect_quarantine(at_time.error());
  ASSERT_OK(late->assign("theirs", {&first, 1}, Start::oldest()));
  std::size_t none = 0;
  expect_quarantine(error_of(*late, none));
  EXPECT_EQ(none, 0U);
}

TEST_F(QuarantineTest, ItsTopicCanBeDeletedAndMadeAnew) {
  make_topics();
  append_numbers(*producer(*connection_, "theirs"), 0, 10);
  overwrite_open_slot();
  ASSERT_TRUE(daemon_.kill_broker()) << daemon_.log();
  client::Admin admin{*connection_};
  const auto before = admin.status();
  ASSERT_OK(before);
  ASSERT_OK(admin.delete_topic("theirs"));
  create(*connection_, "theirs", 2);
  append_numbers(*producer(*connection_, "theirs"), 0, 10);
  EXPECT_EQ(describe(0).state, ErrorCode::kNone);
  ASSERT_TRUE(daemon_.kill_broker()) << daemon_.log();
  const auto after = admin.status();
  ASSERT_OK(after);
  EXPECT_EQ(after->readonly_partitions, 0U);
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->assign("theirs", {}, Start::oldest()));
  EXPECT_EQ(read(*reader, 10), numbers(0, 10));
}

TEST_F(QuarantineTest, AStopAndAStartKeepWhatIsDurable) {
  make_topics({{"flush.interval", "1m"}});
  {
    const auto theirs = producer(*connection_, "theirs");
    for (int i = 0; i < 20; ++i)
      ASSERT_OK(theirs->append({.payload = as_bytes(std::to_string(i))},
                               {.partition = 0, .acks = Acks::kDurable}));
    append_numbers(*theirs, 20, 5);  // in memory only
    overwrite_open_slot();
    ASSERT_TRUE(daemon_.kill_broker()) << daemon_.log();
    EXPECT_EQ(describe(0).durable_offset, 20U);
    EXPECT_EQ(describe(0).end_offset, 20U);
  }
  connection_.reset();
  static_cast<void>(daemon_.stop());
  EXPECT_TRUE(daemon_.logs("clean stop not noted"));
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  connection_ = connect();
  const auto theirs = producer(*connection_, "theirs");
  EXPECT_EQ(describe(0).state, ErrorCode::kNone);
  EXPECT_EQ(theirs->log_epoch(0), 2U);
  const auto next = theirs->append({.payload = as_bytes("20")}, {.partition = 0});
  ASSERT_OK(next);
  EXPECT_EQ(next->offset, 20U);
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->assign("theirs", {}, Start::oldest()));
  EXPECT_EQ(read(*reader, 21), numbers(0, 21));
}

TEST_F(QuarantineTest, WhoWaitsForTheDiskOrForRecordsIsWokenWithTheError) {
  make_topics({{"flush.interval", "1m"}});
  const auto theirs = producer(*connection_, "theirs");
  append_numbers(*theirs, 0, 3);
  const auto connection = connect();
  const auto reader = consumer(*connection);
  const PartitionIndex first = 0;
  ASSERT_OK(reader->assign("theirs", {&first, 1}, Start::oldest()));
  EXPECT_EQ(read(*reader, 3), numbers(0, 3));
  const OpenSlot slot = map_open_slot();
  const std::uint32_t tail = shm::load_word(*slot.header).tail_units();
  ASSERT_TRUE(daemon_.stop_broker());
  Error of_reader;
  std::jthread waiting{[&] {
    const auto batch = reader->poll(Deadline::after_ms(3 * kLimitMs));
    if (batch && batch->size() == 1) {  // what the producer appends
      std::size_t none = 0;
      of_reader = error_of(*reader, none);
    } else if (!batch) {
      of_reader = batch.error();
    }
  }};
  std::jthread kills{[&] {
    // The broker stands, and the producer waits for it.
    EXPECT_TRUE(eventually([&] { return shm::load_word(*slot.header).tail_units() > tail; }, 20));
    slot.header->identity.magic = 0x4242;
    daemon_.signal_broker(SIGKILL);
  }};
  const auto receipt = theirs->append(
      {.payload = as_bytes("3")},
      {.deadline = Deadline::after_ms(3 * kLimitMs), .partition = 0, .acks = Acks::kDurable});
  ASSERT_FALSE(receipt);
  expect_quarantine(receipt.error());
  kills.join();
  waiting.join();
  expect_quarantine(of_reader);
}

TEST_F(QuarantineTest, AMemberOfAGroupReadsItsOtherPartitionsOnAndPositionsStay) {
  make_topics();
  auto theirs = producer(*connection_, "theirs");
  const auto durable = [&](PartitionIndex partition, int from, int to) {
    for (int i = from; i < to; ++i)
      ASSERT_OK(theirs->append({.payload = as_bytes(std::to_string(i))},
                               {.partition = partition, .acks = Acks::kDurable}));
  };
  durable(0, 0, 10);
  durable(1, 0, 10);
  const std::vector<std::string> topics{"theirs"};
  auto connection = connect();
  auto member = consumer(*connection);
  ASSERT_OK(member->subscribe(topics, "g"));
  EXPECT_EQ(read(*member, 20).size(), 20U);
  ASSERT_OK(member->commit());
  ASSERT_OK(member->commit_durable(Deadline::after_ms(kLimitMs)));
  overwrite_open_slot();
  ASSERT_TRUE(daemon_.kill_broker()) << daemon_.log();
  durable(1, 10, 20);
  std::size_t of_other = 0;
  Error error;
  const Deadline deadline = Deadline::after_ms(2 * kLimitMs);
  while ((of_other < 10 || error.code == ErrorCode::kNone) && !deadline.has_passed()) {
    const auto batch = member->poll(Deadline::after_ms(100));
    if (!batch)
      error = batch.error();
    else
      for (const client::Message& message : *batch) of_other += message.partition == 1 ? 1 : 0;
  }
  expect_quarantine(error);
  EXPECT_EQ(of_other, 10U);
  ASSERT_OK(member->commit());
  member.reset();
  theirs.reset();
  connection.reset();
  connection_.reset();
  static_cast<void>(daemon_.stop());
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  connection_ = connect();
  member = consumer(*connection_);
  ASSERT_OK(member->subscribe(topics, "g"));
  const auto again = producer(*connection_, "theirs");
  for (int i = 10; i < 15; ++i)
    ASSERT_OK(again->append({.payload = as_bytes(std::to_string(i))},
                            {.partition = 0, .acks = Acks::kDurable}));
  EXPECT_EQ(read(*member, 5), numbers(10, 5));
}

}  // namespace
}  // namespace mallbots::test
