#include "broker/log/producer_names.h"

#include <algorithm>
#include <filesystem>
#include <random>

#include "shm/concurrent/slot_word.h"
#include "tests/broker/log/log_instance.h"

namespace mallbots::test {
namespace {

using broker::ProducerNames;
using shm::AppendStatus;

const std::vector<shm::Setting> kSmallSlots = {{"slot.bytes", "128KiB", false}};
const std::vector<shm::Setting> kSmallSegments = {{"slot.bytes", "128KiB", false},
                                                  {"segment.bytes", "128KiB", false}};

ProducerNames::Holder take(LogInstance& instance, const std::string& name) {
  const auto holder = instance.topics().name_producer(instance.topic("t"), name);
  EXPECT_TRUE(holder) << holder.error().sentence();
  return holder.value_or(ProducerNames::Holder{});
}

/// What a new holder would be told.
std::uint64_t last_of(LogInstance& instance, const std::string& name,
                      PartitionIndex partition = 0) {
  const auto client = instance.attach(instance.topic("t"), partition, take(instance, name));
  return client ? client->seat.last_sequence : ~std::uint64_t{0};
}

/// `count` records under the name, behind what is there.
void append_as(LogInstance& instance, const std::string& name, std::uint64_t count) {
  const auto client = instance.attach(instance.topic("t"), 0, take(instance, name));
  ASSERT_TRUE(client);
  shm::Appender appender{client->parts, client->seat};
  const Offset end = instance.topic("t").partition(0).end_offset();
  append_all(instance, appender, end, end + count, 200);
}

TEST(ProducerNames, TheLastSequenceIsKnownAfterEveryKindOfStart) {
  LogInstance instance;
  instance.make("t", kSmallSlots);
  append_as(instance, "a", 3000);
  append_as(instance, "b", 10);
  EXPECT_EQ(last_of(instance, "a"), 3000U);
  instance.restart_broker();  // some of it is in memory only
  EXPECT_EQ(last_of(instance, "a"), 3000U);
  EXPECT_EQ(last_of(instance, "b"), 10U);
  append_as(instance, "a", 500);
  instance.settle();
  instance.crash_and_start();
  EXPECT_EQ(last_of(instance, "a"), 3500U);
  EXPECT_EQ(last_of(instance, "b"), 10U);
  append_as(instance, "b", 5);
  instance.drain_and_start();
  EXPECT_EQ(last_of(instance, "a"), 3500U);
  EXPECT_EQ(last_of(instance, "b"), 15U);
  EXPECT_EQ(last_of(instance, "nobody"), 0U);
  EXPECT_TRUE(instance.findings.empty());
}

TEST(ProducerNames, EachPartitionHasItsOwnSequence) {
  LogInstance instance;
  instance.make("t", kSmallSlots, 3);
  append_as(instance, "a", 7);
  EXPECT_EQ(last_of(instance, "a", 0), 7U);
  EXPECT_EQ(last_of(instance, "a", 2), 0U);
}

TEST(ProducerNames, AnAppendThatWasSentBeforeTheCrashIsADuplicate) {
  LogInstance instance;
  instance.make("t", kSmallSlots);
  append_as(instance, "a", 5);
  instance.settle();
  instance.crash_and_start();
  const auto client = instance.attach(instance.topic("t"), 0, take(instance, "a"));
  shm::Appender appender{client->parts, client->seat};
  EXPECT_EQ(appender.append({}, {.sequence = 5}).status, AppendStatus::kDuplicate);
  EXPECT_EQ(appender.append({}, {.sequence = 7}).status, AppendStatus::kOutOfSequence);
  EXPECT_EQ(appender.append({}, {.sequence = 6}).offset, 5U);
}

TEST(ProducerNames, TheOlderHolderAppendsNothingMoreAndKeepsItsSession) {
  LogInstance instance;
  instance.make("t", kSmallSlots);
  const auto older = instance.attach(instance.topic("t"), 0, take(instance, "a"));
  shm::Appender old_appender{older->parts, older->seat};
  append_all(instance, old_appender, 0, 4);
  const auto newer = instance.attach(instance.topic("t"), 0, take(instance, "a"));
  EXPECT_EQ(newer->seat.last_sequence, 4U);
  EXPECT_EQ(old_appender.append({}, {}).status, AppendStatus::kNameTaken);
  shm::Appender new_appender{newer->parts, newer->seat};
  append_all(instance, new_appender, 4, 6);
  EXPECT_EQ(old_appender.append({}, {}).status, AppendStatus::kNameTaken);
  EXPECT_TRUE(instance.sessions().expelled.empty());
}

TEST(ProducerNames, TheOlderHolderInsideItsAppendCannotCommitIt) {
  LogInstance instance;
  instance.make("t", kSmallSlots);
  const auto older = instance.attach(instance.topic("t"), 0, take(instance, "a"));
  shm::Appender old_appender{older->parts, older->seat};
  append_all(instance, old_appender, 0, 4);
  // Stopped between acquire and commit.
  broker::HotSlot& slot = *instance.topic("t").partition(0).ring().find(0);
  const shm::Word seen = shm::load_word_seq_cst(slot.header());
  ASSERT_TRUE(shm::try_acquire(slot.header(), seen, older->session));
  const auto newer = instance.attach(instance.topic("t"), 0, take(instance, "a"));
  EXPECT_EQ(newer->seat.last_sequence, 4U);
  EXPECT_FALSE(shm::commit(slot.header(), seen.acquired_by(older->session), seen.tail_units() + 5));
  instance.settle();
  shm::Appender new_appender{newer->parts, newer->seat};
  append_all(instance, new_appender, 4, 6);
}

TEST(ProducerNames, AnOldEpochGetsNoSeatAlsoAfterAStart) {
  LogInstance instance;
  instance.make("t", kSmallSlots);
  const auto older = take(instance, "a");
  const auto newer = take(instance, "a");
  EXPECT_EQ(newer.producer_id, older.producer_id);
  EXPECT_GT(newer.epoch, older.epoch);
  for (int start = 0; start < 3; ++start) {
    EXPECT_EQ(instance.attach(instance.topic("t"), 0, older), nullptr);
    EXPECT_NE(instance.attach(instance.topic("t"), 0, newer), nullptr);
    start == 0 ? instance.restart_broker() : instance.crash_and_start();
  }
}

TEST(ProducerNames, AFailedSaveGivesNobodyTheName) {
  LogInstance instance{{.records = true}};
  instance.make("t", kSmallSlots);
  const auto holder = take(instance, "a");
  instance.recorder().fail_control(28);
  EXPECT_FALSE(instance.topics().name_producer(instance.topic("t"), "a"));
  EXPECT_FALSE(instance.topics().name_producer(instance.topic("t"), "b"));
  instance.recorder().fail_control(0);
  EXPECT_NE(instance.attach(instance.topic("t"), 0, holder), nullptr);
  EXPECT_EQ(take(instance, "a").epoch, holder.epoch + 1);
}

TEST(ProducerNames, NamesAreOfTheirTopicAndGoWithIt) {
  LogInstance instance;
  instance.make("t", kSmallSlots);
  instance.make("u", kSmallSlots);
  append_as(instance, "a", 9);
  const auto other = instance.topics().name_producer(instance.topic("u"), "a");
  ASSERT_TRUE(other);
  EXPECT_EQ(other->epoch, 1U);
  ASSERT_TRUE(instance.topics().remove("t"));
  instance.settle();
  instance.make("t", kSmallSlots);
  EXPECT_EQ(last_of(instance, "a"), 0U);
  instance.crash_and_start();
  EXPECT_EQ(last_of(instance, "a"), 0U);
}

TEST(ProducerNames, NamesAreChecked) {
  LogInstance instance;
  instance.make("t", kSmallSlots);
  instance.make("m", {{"storage", "memory", false}});
  instance.make("s", {{"ingest", "sequenced", false}});
  const auto code = [&](const std::string& topic, const std::string& name) {
    const auto taken = instance.topics().name_producer(instance.topic(topic), name);
    return taken ? ErrorCode::kNone : taken.error().code;
  };
  EXPECT_EQ(code("t", ""), ErrorCode::kBadArgument);
  EXPECT_EQ(code("t", std::string(201, 'x')), ErrorCode::kBadArgument);
  EXPECT_EQ(code("t", "a\nb"), ErrorCode::kBadArgument);
  EXPECT_EQ(code("m", "a"), ErrorCode::kUnsupported);
  EXPECT_EQ(code("s", "a"), ErrorCode::kUnsupported);
  EXPECT_EQ(code("t", std::string(200, 'x')), ErrorCode::kNone);
}

TEST(ProducerNames, ACheckpointOfWhatTheLogLostIsNotBelieved) {
  TempDir dir;
  const std::string data = dir / "data";
  const std::string aside = dir / "aside";
  {
    LogInstance instance{{.data_dir = data}};
    instance.make("t", kSmallSlots);
    append_as(instance, "a", 10);
    instance.drain_and_start();
    std::filesystem::copy(data, aside, std::filesystem::copy_options::recursive);
    append_as(instance, "a", 90);
    instance.drain_and_start();
  }
  // A disk that lost the newer segments and kept the newer checkpoint.
  std::filesystem::copy_file(data + "/producers", aside + "/producers",
                             std::filesystem::copy_options::overwrite_existing);
  LogInstance heir{{.data_dir = aside}};
  EXPECT_EQ(heir.findings.size(), 1U);
  EXPECT_EQ(last_of(heir, "a"), 10U);
}

/// Records without a name, of so many bytes that a segment of kSmallSegments is closed behind them.
void append_more(LogInstance& instance) {
  const auto client = instance.attach(instance.topic("t"));
  shm::Appender appender{client->parts, client->seat};
  const Offset end = instance.topic("t").partition(0).end_offset();
  append_all(instance, appender, end, end + 1500, 200);
  instance.settle();
}

TEST(ProducerNames, RetentionLeavesARecordUntilItsSequenceIsSaved) {
  LogInstance instance;
  std::vector<shm::Setting> settings = kSmallSegments;
  settings.push_back({"retention.records", "1", false});
  instance.make("t", settings);
  append_as(instance, "a", 10);
  const std::string in_the_way = instance.data_dir() + "/producers.tmp";
  std::filesystem::create_directory(in_the_way);
  append_more(instance);
  static_cast<void>(instance.topics().duty(boot_now_ns() + 2 * ProducerNames::kSaveAfter));
  EXPECT_EQ(instance.topic("t").partition(0).start_offset(), 0U);
  EXPECT_FALSE(instance.troubles.empty());
  std::filesystem::remove(in_the_way);
  instance.crash_and_start();
  EXPECT_EQ(last_of(instance, "a"), 10U);  // which saves it
  instance.turn();
  EXPECT_GT(instance.topic("t").partition(0).start_offset(), 10U);
  instance.crash_and_start();
  EXPECT_EQ(last_of(instance, "a"), 10U);
  EXPECT_TRUE(instance.findings.empty());
}

TEST(ProducerNames, RecordsThatAreGoneBehindTheCheckpointAreReported) {
  TempDir dir;
  const std::string data = dir / "data";
  std::string segments;
  {
    LogInstance instance{{.data_dir = data}};
    segments = instance.make("t", kSmallSegments).partition(0).store()->options().folder;
    append_as(instance, "a", 10);
    append_more(instance);
  }
  std::filesystem::remove(segments + "/" + broker::segment_file_name(1));
  LogInstance heir{{.data_dir = data}};
  EXPECT_TRUE(std::ranges::any_of(heir.findings, [](const std::string& finding) {
    return finding.contains("producers' sequences");
  }));
}

TEST(ProducerNames, AfterAPowerCutAtAnyMomentTheSequenceIsThatOfTheLastRecordThatSurvived) {
  std::mt19937_64 dice{20'26};
  LogInstance instance{{.records = true}};
  instance.make("t", kSmallSlots);
  struct Promise {
    std::size_t moment;
    std::uint32_t epoch;
  };
  std::vector<Promise> promises;
  for (int round = 0; round < 12; ++round) {
    const auto holder = take(instance, "a");
    promises.push_back({instance.recorder().now(), holder.epoch});
    const auto client = instance.attach(instance.topic("t"), 0, holder);
    ASSERT_TRUE(client);
    shm::Appender appender{client->parts, client->seat};
    const Offset end = instance.topic("t").partition(0).end_offset();
    EXPECT_EQ(client->seat.last_sequence, end);
    append_all(instance, appender, end, end + 1 + dice() % 400, 200);
    if (round % 3 != 0) instance.settle();
    // A checkpoint, which is written though the stop is no clean one with records under way.
    if (round % 4 == 3) static_cast<void>(instance.topics().write_clean_mark());
  }
  for (int i = 0; i < 60; ++i) {
    const std::size_t first = promises.front().moment;
    const std::size_t moment = first + dice() % (instance.recorder().now() - first + 1);
    TempDir dir;
    instance.recorder().cut(moment, dice, dir / "data");
    std::filesystem::remove(dir.path() / "data" / "CLEAN");
    std::filesystem::permissions(dir.path() / "data", std::filesystem::perms::owner_all);
    LogInstance heir{{.data_dir = dir / "data"}};
    std::uint32_t answered = 0;
    for (const Promise& promise : promises)
      if (promise.moment <= moment) answered = promise.epoch;
    const auto holder = take(heir, "a");
    EXPECT_GT(holder.epoch, answered);
    const auto client = heir.attach(heir.topic("t"), 0, holder);
    ASSERT_TRUE(client);
    // All records are of this producer: sequence = offset + 1.
    EXPECT_EQ(client->seat.last_sequence, heir.topic("t").partition(0).end_offset()) << moment;
  }
}

}  // namespace
}  // namespace mallbots::test
