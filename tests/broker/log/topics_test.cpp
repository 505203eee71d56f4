#include "broker/log/topics.h"

#include "shm/concurrent/slot_word.h"
#include "tests/broker/log/log_instance.h"

namespace mallbots::test {
namespace {

using shm::AppendStatus;
using shm::ReadStatus;

std::string text_of(const shm::RecordView& view) {
  return {reinterpret_cast<const char*>(view.payload.data()), view.payload.size()};
}

const std::vector<shm::Setting> kSmallSlots = {{"slot.bytes", "128KiB", false}};

TEST(Topics, RecordsSurviveAStartThatLostTheMemory) {
  LogInstance instance;
  {
    broker::Topic& topic = instance.make("t", kSmallSlots);
    const auto client = instance.attach(topic);
    shm::Appender appender{client->parts, client->seat};
    append_all(instance, appender, 0, 5000, 100);
    instance.settle();
    EXPECT_EQ(topic.partition(0).durable_offset(), 5000U);
  }
  const LogEpoch before = instance.topics().log_epoch();
  instance.crash_and_start();
  EXPECT_EQ(instance.topics().log_epoch(), before + 1);
  broker::Topic& topic = instance.topic("t");
  EXPECT_EQ(topic.partition(0).start_offset(), 0U);
  EXPECT_EQ(topic.partition(0).end_offset(), 5000U);
  EXPECT_EQ(topic.partition(0).durable_offset(), 5000U);
  EXPECT_TRUE(instance.findings.empty());
  shm::UniqueFd fd;
  const auto found = topic.partition(0).find_segment(1234, fd);
  ASSERT_TRUE(found) << found.error().sentence();
  EXPECT_LE(found->base_offset, 1234U);
  EXPECT_GT(found->end_offset, 1234U);
}

TEST(Topics, TheEndOfTheLogOutlivesAllItsRecords) {
  LogInstance instance;
  {
    const auto client = instance.attach(instance.make("t", kSmallSlots));
    shm::Appender appender{client->parts, client->seat};
    append_all(instance, appender, 0, 10);
    instance.settle();
  }
  instance.crash_and_start();  // nothing is open any more
  static_cast<void>(instance.topic("t").partition(0).drop_before(10));
  instance.settle();
  instance.crash_and_start();
  EXPECT_EQ(instance.topic("t").partition(0).end_offset(), 10U);
}

TEST(Topics, RetentionTakesClosedSegmentsAlsoWhileTheNextOneIsMade) {
  LogInstance instance{{.records = true}};
  const auto append = [&](Offset first, Offset last) {
    const auto client = instance.attach(instance.topic("t"));
    shm::Appender appender{client->parts, client->seat};
    append_all(instance, appender, first, last, 100);
  };
  instance.make("t", {{"slot.bytes", "128KiB", false}, {"segment.bytes", "128KiB", false}});
  append(0, 2000);
  instance.drain_and_start();
  const std::uint64_t next = instance.recorder().writes() + 1;
  instance.recorder().add({.first = next, .last = next, .effect = Fault::kHold});
  append(2000, 2001);
  while (instance.recorder().held() == 0) instance.turn();
  broker::TopicSettings settings = instance.topic("t").settings();
  settings.retention_records = 1;
  EXPECT_TRUE(instance.topics().alter("t", settings));
  instance.turn();
  EXPECT_GT(instance.topic("t").partition(0).start_offset(), 0U);
  instance.recorder().release();
  instance.settle();
  instance.crash_and_start();
  EXPECT_EQ(instance.topic("t").partition(0).end_offset(), 2001U);
  EXPECT_TRUE(instance.findings.empty());
}

TEST(Topics, ADeletedTopicIsForgottenByTheEpochLog) {
  LogInstance instance;
  const PartitionId kept = instance.make("kept", kSmallSlots).partition(0).id();
  const PartitionId gone = instance.make("gone", kSmallSlots).partition(0).id();
  instance.crash_and_start();
  EXPECT_EQ(instance.topics().epochs().starts(gone).size(), 1U);
  ASSERT_TRUE(instance.topics().remove("gone"));
  instance.crash_and_start();
  EXPECT_TRUE(instance.topics().epochs().starts(gone).empty());
  EXPECT_EQ(instance.topics().epochs().starts(kept).size(), 1U);
}

TEST(Topics, AppendsGoOnBehindTheRecoveredEnd) {
  LogInstance instance;
  {
    const auto client = instance.attach(instance.make("t", kSmallSlots));
    shm::Appender appender{client->parts, client->seat};
    append_all(instance, appender, 0, 10);
    instance.settle();
  }
  for (std::uint64_t round = 1; round < 4; ++round) {
    instance.crash_and_start();
    const auto client = instance.attach(instance.topic("t"));
    shm::Appender appender{client->parts, client->seat};
    append_all(instance, appender, round * 10, round * 10 + 10);
    instance.settle();
  }
  instance.crash_and_start();
  EXPECT_EQ(instance.topic("t").partition(0).end_offset(), 40U);
}

TEST(Topics, ACleanStopKeepsTheLogEpoch) {
  LogInstance instance;
  {
    const auto client = instance.attach(instance.make("t", kSmallSlots));
    shm::Appender appender{client->parts, client->seat};
    append_all(instance, appender, 0, 3000, 100);
  }
  const LogEpoch before = instance.topics().log_epoch();
  instance.drain_and_start();
  EXPECT_EQ(instance.topics().log_epoch(), before);
  EXPECT_EQ(instance.topic("t").partition(0).end_offset(), 3000U);
}

TEST(Topics, ADrainedTopicSendsAppendersToTheNextBroker) {
  LogInstance instance;
  const auto client = instance.attach(instance.make("t", kSmallSlots));
  shm::Appender appender{client->parts, client->seat};
  append_all(instance, appender, 0, 3);
  BootNanos next = INT64_MAX;
  while (!instance.topics().drain(boot_now_ns(), next)) instance.turn();
  const auto refused = appender.append({}, {.deadline = Deadline::after_ms(1000)});
  EXPECT_EQ(refused.status, AppendStatus::kClosed);
}

TEST(Topics, HotRecordsAreReadWhileOlderSlotsAreRecycled) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kSmallSlots);
  const auto client = instance.attach(topic);
  shm::Appender appender{client->parts, client->seat};
  shm::PartitionReader reader{client->parts, *client->reader, false};
  append_all(instance, appender, 0, 1);
  ASSERT_EQ(reader.seek(0), ReadStatus::kRecord);
  shm::RecordView view{};
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    if (i > 0) append_all(instance, appender, i, i + 1, 100);
    ASSERT_EQ(reader.next(view), ReadStatus::kRecord) << i;
    ASSERT_EQ(text_of(view), payload_of(i, i == 0 ? 0 : 100));
  }
  EXPECT_EQ(topic.partition(0).ring().orphan_bytes(), 0U);
}

TEST(Topics, APinnedSlotIsReplacedAndNeitherChangesNorStopsAppends) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kSmallSlots);
  const auto writer = instance.attach(topic);
  const auto stuck = instance.attach(topic);
  shm::Appender appender{writer->parts, writer->seat};
  append_all(instance, appender, 0, 1, 100);
  {
    shm::PartitionReader reader{stuck->parts, *stuck->reader, false};
    ASSERT_EQ(reader.seek(0), ReadStatus::kRecord);
    shm::RecordView view{};
    ASSERT_EQ(reader.next(view), ReadStatus::kRecord);
    append_all(instance, appender, 1, 10'000, 100);
    EXPECT_EQ(text_of(view), payload_of(0, 100));
    EXPECT_GT(topic.partition(0).ring().orphan_bytes(), 0U);
  }
  instance.settle();
  EXPECT_EQ(topic.partition(0).ring().orphan_bytes(), 0U);
}

TEST(Topics, AMemoryTopicReusesItsOldestSlots) {
  LogInstance instance;
  broker::Topic& topic =
      instance.make("t", {{"slot.bytes", "128KiB", false}, {"storage", "memory", false}});
  const auto client = instance.attach(topic);
  shm::Appender appender{client->parts, client->seat};
  append_all(instance, appender, 0, 20'000, 100);
  instance.turn();
  EXPECT_EQ(topic.partition(0).end_offset(), 20'000U);
  EXPECT_GT(topic.partition(0).start_offset(), 15'000U);
  shm::PartitionReader reader{client->parts, *client->reader, false};
  EXPECT_EQ(reader.seek(0), ReadStatus::kCold);
}

TEST(Topics, ADeadHoldersWordIsFreedAndItsBytesAreReused) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kSmallSlots);
  const auto dead = instance.attach(topic);
  const auto alive = instance.attach(topic);
  shm::Appender appender{alive->parts, alive->seat};
  append_all(instance, appender, 0, 2);
  shm::SlotHeader& slot = topic.partition(0).ring().find(0)->header();
  ASSERT_TRUE(shm::try_acquire(slot, shm::load_word(slot), dead->session));
  EXPECT_EQ(appender.append({}, {}).status, AppendStatus::kTimeout);
  instance.topics().session_died(dead->session);
  instance.sessions().close(dead->session);
  append_all(instance, appender, 2, 3);
}

TEST(Topics, AStalledHolderIsFencedAndOthersGoOnInTheNextSlot) {
  LogInstance instance;
  broker::Topic& topic =
      instance.make("t", {{"slot.bytes", "128KiB", false}, {"stall.limit", "20ms", false}});
  const auto stalled = instance.attach(topic);
  const auto alive = instance.attach(topic);
  shm::Appender appender{alive->parts, alive->seat};
  append_all(instance, appender, 0, 2);
  shm::SlotHeader& slot = topic.partition(0).ring().find(0)->header();
  const shm::Word held = shm::load_word(slot).acquired_by(stalled->session);
  ASSERT_TRUE(shm::try_acquire(slot, shm::load_word(slot), stalled->session));
  append_all(instance, appender, 2, 4);
  EXPECT_TRUE(shm::load_word(slot).sealed());
  EXPECT_FALSE(shm::commit(slot, held, held.tail_units() + 8));
}

TEST(Topics, AStalledHoldersMemoryIsNotUsedAgainWhileItLives) {
  LogInstance instance;
  broker::Topic& topic =
      instance.make("t", {{"slot.bytes", "128KiB", false}, {"stall.limit", "20ms", false}});
  const auto stalled = instance.attach(topic);
  const auto alive = instance.attach(topic);
  shm::Appender appender{alive->parts, alive->seat};
  append_all(instance, appender, 0, 2);
  const shm::SlotMemory slot = stalled->slots->map_slot(topic.partition(0).ring().find(0)->slot_id);
  ASSERT_TRUE(shm::try_acquire(*slot.header, shm::load_word(*slot.header), stalled->session));
  append_all(instance, appender, 2, 10'000, 100);  // several times round the ring
  EXPECT_EQ(shm::load_slot_gen(*slot.header), 0U);
  EXPECT_TRUE(shm::load_word(*slot.header).sealed());
  stalled->slots->drop_slot(slot);
}

TEST(Topics, ALeaseTakenOverFencesItsOldHolder) {
  LogInstance instance;
  broker::Topic& topic =
      instance.make("t", {{"slot.bytes", "128KiB", false}, {"producers", "exclusive", false}});
  const auto first = instance.attach(topic);
  const auto second = instance.attach(topic);
  const auto lease = topic.partition(0).take_lease(first->session, false);
  ASSERT_TRUE(lease);
  shm::ExclusiveAppender old{first->parts, first->seat, *lease};
  const shm::RecordInput record{};
  ASSERT_EQ(old.append_batch({&record, 1}, {}).status, AppendStatus::kAppended);
  EXPECT_EQ(topic.partition(0).take_lease(second->session, false).error().code,
            ErrorCode::kLeaseHeld);
  const auto taken = topic.partition(0).take_lease(second->session, true);
  ASSERT_TRUE(taken);
  EXPECT_EQ(old.append_batch({&record, 1}, {}).status, AppendStatus::kLeaseLost);
  instance.turn();
  shm::ExclusiveAppender heir{second->parts, second->seat, *taken};
  const auto outcome = heir.append_batch({&record, 1}, {});
  EXPECT_EQ(outcome.status, AppendStatus::kAppended);
  EXPECT_EQ(outcome.offset, 1U);
}

TEST(Topics, ALeaseFencesWhoeverHoldsTheWord) {
  // A broker that died between its store of the lease and its fence leaves a holder that the board
  // no longer names.
  LogInstance instance;
  broker::Topic& topic =
      instance.make("t", {{"slot.bytes", "128KiB", false}, {"producers", "exclusive", false}});
  const auto forgotten = instance.attach(topic);
  const auto heir = instance.attach(topic);
  shm::SlotHeader& slot = topic.partition(0).ring().find(0)->header();
  ASSERT_TRUE(shm::try_acquire(slot, shm::load_word(slot), forgotten->session));
  const auto lease = topic.partition(0).take_lease(heir->session, true);
  ASSERT_TRUE(lease);
  EXPECT_TRUE(shm::load_word(slot).sealed());
  instance.turn();
  shm::ExclusiveAppender appender{heir->parts, heir->seat, *lease};
  const shm::RecordInput record{};
  EXPECT_EQ(appender.append_batch({&record, 1}, {}).status, AppendStatus::kAppended);
}

TEST(Topics, AnExpelledHoldersLeaseEndsAndItsWordIsFenced) {
  LogInstance instance;
  broker::Topic& topic =
      instance.make("t", {{"slot.bytes", "128KiB", false}, {"producers", "exclusive", false}});
  const auto silent = instance.attach(topic);
  const auto heir = instance.attach(topic);
  shm::ExclusiveAppender old{silent->parts, silent->seat,
                             *topic.partition(0).take_lease(silent->session, false)};
  const shm::RecordInput record{};
  ASSERT_EQ(old.append_batch({&record, 1}, {}).status, AppendStatus::kAppended);
  instance.topics().session_expelled(heir->session);
  EXPECT_EQ(topic.partition(0).take_lease(heir->session, false).error().code, ErrorCode::kLeaseHeld)
      << "nobody else's lease ends";
  instance.topics().session_expelled(silent->session);
  EXPECT_EQ(old.append_batch({&record, 1}, {}).status, AppendStatus::kLeaseLost);
  const auto lease = topic.partition(0).take_lease(heir->session, false);
  ASSERT_TRUE(lease) << lease.error().sentence();
  instance.turn();
  shm::ExclusiveAppender appender{heir->parts, heir->seat, *lease};
  EXPECT_EQ(appender.append_batch({&record, 1}, {}).offset, 1U);
}

TEST(Topics, NamesThatCouldEscapeOrConfuseAreRefused) {
  LogInstance instance;
  const auto settings = broker::new_settings(1, {});
  for (const std::string name :
       {"", ".hidden", "a/b", "a\nb", "\xC0\x80", "\xED\xA0\x80", "\xFF"}) {
    const auto made = instance.topics().create(name, *settings);
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().code, ErrorCode::kBadTopicName) << name;
  }
  EXPECT_EQ(instance.topics().create(std::string(201, 'x'), *settings).error().code,
            ErrorCode::kBadTopicName);
  EXPECT_TRUE(instance.topics().create("Läden", *settings));
}

TEST(Topics, TimeFindsTheFirstRecordAtOrAfterIt) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kSmallSlots);
  const auto client = instance.attach(topic);
  shm::Appender appender{client->parts, client->seat};
  append_all(instance, appender, 0, 10);
  EXPECT_EQ(topic.partition(0).find_time(0).value_or(99), 0U);
  EXPECT_EQ(topic.partition(0).find_time(wall_now_ms() + 3'600'000).value_or(99), 10U);
}

TEST(Topics, CorruptRecordsOfAMadProducerBecomeDamagedNotLost) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kSmallSlots);
  const auto client = instance.attach(topic);
  {
    shm::Appender appender{client->parts, client->seat};
    append_all(instance, appender, 0, 3, 100);
    // The second record's payload is changed behind its hash.
    std::byte* const data = topic.partition(0).ring().find(0)->mapping.data() + shm::kPageBytes;
    const std::size_t second = shm::record_units(shm::kRecordHeaderBytes + 100) * shm::kUnitBytes;
    data[second + shm::kRecordHeaderBytes + 20] ^= std::byte{1};
    instance.settle();
    append_all(instance, appender, 3, 6, 100);
    instance.settle();
  }
  EXPECT_EQ(instance.sessions().expelled.count(client->session), 1U);
  EXPECT_EQ(topic.partition(0).durable_offset(), 6U);
  EXPECT_GE(instance.topics().damaged_ranges(), 1U);
}

TEST(Topics, ADrainThatLeftRecordsBehindIsNoCleanStop) {
  LogInstance instance{{.records = true}};
  const auto client = instance.attach(instance.make("t"));
  shm::Appender appender{client->parts, client->seat};
  append_all(instance, appender, 0, 3);
  instance.settle();
  instance.recorder().add({.sort = Fault::kWrites});
  append_all(instance, appender, 3, 5);
  const LogEpoch before = instance.topics().log_epoch();
  BootNanos next = INT64_MAX;
  const Deadline limit = Deadline::after_ms(10'000);
  while (!instance.topics().drain(boot_now_ns(), next)) {
    ASSERT_FALSE(limit.has_passed());
    instance.disk().reap();
  }
  const auto clean = instance.topics().write_clean_mark();
  ASSERT_FALSE(clean);
  EXPECT_EQ(clean.error().code, ErrorCode::kIo);
  instance.crash_and_start();
  // Offsets 3 and 4, which readers may have seen, are others from now on.
  EXPECT_EQ(instance.topic("t").partition(0).end_offset(), 3U);
  EXPECT_GT(instance.topics().log_epoch(), before);
}

/// As `topic alter` does it.
void alter(LogInstance& instance, const shm::Setting& setting) {
  const auto settings =
      broker::altered_settings(instance.topic("t").settings(), std::span{&setting, 1});
  ASSERT_TRUE(settings) << settings.error().sentence();
  ASSERT_TRUE(instance.topics().alter("t", *settings));
}

/// Turns until it is so, for two seconds at the most.
template <class Condition>
bool turns_until(LogInstance& instance, const Condition& is_so) {
  const Deadline limit = Deadline::after_ms(2'000);
  while (!is_so() && !limit.has_passed()) instance.turn();
  return is_so();
}

TEST(Topics, AnAlteredStallLimitHoldsAtOnce) {
  LogInstance instance;
  broker::Topic& topic =
      instance.make("t", {{"slot.bytes", "128KiB", false}, {"stall.limit", "1h", false}});
  const auto stalled = instance.attach(topic);
  shm::SlotHeader& slot = topic.partition(0).ring().find(0)->header();
  ASSERT_TRUE(shm::try_acquire(slot, shm::load_word(slot), stalled->session));
  instance.turn();
  alter(instance, {"stall.limit", "20ms", false});
  EXPECT_TRUE(turns_until(instance, [&] { return shm::load_word(slot).sealed(); }));
  EXPECT_EQ(stalled->parts.topic->stall_limit_ns, 20 * kMillisecond);
}

TEST(Topics, AnAlteredFlushIntervalHoldsAtOnce) {
  LogInstance instance;
  broker::Topic& topic =
      instance.make("t", {{"slot.bytes", "128KiB", false}, {"flush.interval", "1m", false}});
  const auto client = instance.attach(topic);
  shm::Appender appender{client->parts, client->seat};
  append_all(instance, appender, 0, 3);
  instance.turn();
  ASSERT_EQ(topic.partition(0).durable_offset(), 0U);
  alter(instance, {"flush.interval", "1ms", false});
  EXPECT_TRUE(turns_until(instance, [&] { return topic.partition(0).durable_offset() == 3; }));
  EXPECT_EQ(client->parts.topic->flush_interval_ns, kMillisecond);
}

TEST(Topics, AlteredSegmentBytesHoldFromTheNextSegmentOn) {
  LogInstance instance;
  broker::Topic& topic = instance.make("t", kSmallSlots);
  const auto client = instance.attach(topic);
  shm::Appender appender{client->parts, client->seat};
  append_all(instance, appender, 0, 1'000, 1'000);
  instance.settle();
  alter(instance, {"segment.bytes", "256KiB", false});
  append_all(instance, appender, 1'000, 2'000, 1'000);
  instance.settle();
  const broker::PartitionStore& store = *topic.partition(0).store();
  ASSERT_EQ(store.segments().size(), 1U);
  while (!topic.partition(0).store()->close()) instance.turn();
  append_all(instance, appender, 2'000, 4'000, 1'000);
  instance.settle();
  ASSERT_GT(store.segments().size(), 5U);
  for (const broker::SegmentInfo& segment : store.segments().subspan(1))
    EXPECT_LE(segment.end_byte, 256 * broker::kKiB);
}

TEST(Topics, AFooterThatCannotBeWrittenIsSaidAsThat) {
  LogInstance instance{{.records = true}};
  const auto client = instance.attach(instance.make("t"));
  shm::Appender appender{client->parts, client->seat};
  append_all(instance, appender, 0, 3);
  instance.settle();
  instance.recorder().add({.sort = Fault::kWrites});
  while (!instance.topic("t").partition(0).store()->close()) instance.turn();
  ASSERT_EQ(instance.troubles.size(), 1U);
  EXPECT_NE(instance.troubles[0].find("write the footer of"), std::string::npos)
      << instance.troubles[0];
}

}  // namespace
}  // namespace mallbots::test
