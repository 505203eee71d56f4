#include "broker/schedule/schedule.h"

#include <algorithm>
#include <random>

#include "shm/layout/stream.h"
#include "tests/broker/log/log_instance.h"

namespace mallbots::test {
namespace {

using broker::DelayId;
using broker::Schedule;
using broker::ScheduleOptions;

constexpr std::int64_t kDay = 86'400'000;

class ScheduleTest : public testing::Test {
 protected:
  explicit ScheduleTest(const LogInstance::Options& disk = {}) : instance(disk) {
    instance.make("t", {{"slot.bytes", "128KiB", false}}, 2);
  }
  ~ScheduleTest() override {
    if (shifted_ != 0) shift_wall_clock(-shifted_);
  }

  void start() {
    schedule = std::make_unique<Schedule>(
        Schedule::Parts{instance.disk(), instance.topics(),
                        [this](const std::string& line) { said.push_back(line); }},
        options);
    const auto started = schedule->start();
    ASSERT_TRUE(started) << started.error().sentence();
    ASSERT_TRUE(schedule->open());
    client = instance.attach(instance.topic(shm::kDelayLog));
    appender = std::make_unique<shm::Appender>(client->parts, client->seat);
  }
  void stop() {
    appender.reset();
    client.reset();
    schedule.reset();
  }
  void jump(std::int64_t milliseconds) {
    shift_wall_clock(milliseconds);
    shifted_ += milliseconds;
  }

  DelayId hand_in(const std::string& payload, std::int64_t delay_ms, PartitionIndex partition = 0,
                  const std::string& topic = "t") {
    return hand_in_to({static_cast<std::uint64_t>(instance.topic(topic).id()), partition,
                       wall_now_ms() + delay_ms},
                      payload);
  }
  DelayId hand_in_to(const shm::DelayTarget& target, const std::string& payload) {
    std::vector<std::byte> attributes;
    shm::put_delay(attributes, target);
    for (;;) {
      const auto outcome = appender->append(
          {.payload = std::as_bytes(std::span{payload}), .attributes = attributes}, {});
      if (outcome.status == shm::AppendStatus::kAppended) return outcome.offset;
      EXPECT_EQ(outcome.status, shm::AppendStatus::kTimeout);
      turn();
    }
  }

  BootNanos turn() {
    const BootNanos next = schedule->duty(boot_now_ns());
    instance.turn();
    return next;
  }
  /// Until nothing more is due, and all of it is settled.
  void run_for(std::int64_t milliseconds) {
    const BootNanos until = boot_now_ns() + milliseconds * kMillisecond;
    while (boot_now_ns() < until) turn();
  }
  template <class Condition>
  void run_until(const Condition& done) {
    const BootNanos until = boot_now_ns() + 20 * kSecond;
    while (!done()) {
      turn();
      ASSERT_LT(boot_now_ns(), until);
    }
  }

  struct Delivered {
    std::string payload;
    std::optional<std::uint64_t> source;
    std::optional<std::uint64_t> due_ms;
    UnixMillis timestamp_ms = 0;
  };
  std::vector<Delivered> delivered(PartitionIndex partition = 0, const std::string& topic = "t") {
    std::vector<Delivered> all;
    broker::LogReader reader{instance.disk(), instance.topic(topic).partition(partition),
                             broker::ReadUpTo::kCommitted};
    for (;;) {
      const auto batch = reader.read();
      if (!batch) throw std::runtime_error(batch.error().sentence());
      for (const shm::RecordView& view : (*batch)->records)
        all.push_back({{reinterpret_cast<const char*>(view.payload.data()), view.payload.size()},
                       shm::attribute_number(view.attributes, shm::AttributeId::kSourceOffset),
                       shm::attribute_number(view.attributes, shm::AttributeId::kDueTime),
                       view.header->timestamp_ms});
      if ((*batch)->at_end) return all;
    }
  }

  LogInstance instance;
  ScheduleOptions options;
  std::unique_ptr<Schedule> schedule;
  std::unique_ptr<LogInstance::Client> client;
  std::unique_ptr<shm::Appender> appender;
  std::vector<std::string> said;

 private:
  std::int64_t shifted_ = 0;
};

class ScheduleOnFaultyDiskTest : public ScheduleTest {
 protected:
  ScheduleOnFaultyDiskTest() : ScheduleTest({.records = true}) {}
};

TEST_F(ScheduleTest, RecordsAreDeliveredInTheOrderOfTheirTimesAndNotBefore) {
  start();
  const DelayId late = hand_in("late", 60);
  const DelayId soon = hand_in("soon", 20);
  const DelayId at_once = hand_in("at once", -5000);
  run_until([&] { return delivered().size() == 3; });
  const auto all = delivered();
  EXPECT_EQ(all[0].payload, "at once");
  EXPECT_EQ(all[1].payload, "soon");
  EXPECT_EQ(all[2].payload, "late");
  EXPECT_EQ(all[0].source, at_once);
  EXPECT_EQ(all[1].source, soon);
  EXPECT_EQ(all[2].source, late);
  // Stamps are coarse: up to a tick behind the clock that was asked.
  EXPECT_GE(all[2].timestamp_ms + 10, static_cast<UnixMillis>(*all[2].due_ms));
  run_until([&] { return schedule->pending() == 0; });
  EXPECT_EQ(schedule->counters().delivered, 3U);
  EXPECT_EQ(schedule->duty(boot_now_ns()), INT64_MAX);
  EXPECT_TRUE(said.empty());
}

TEST_F(ScheduleTest, WaitsWithoutWorkUntilSomethingIsDue) {
  start();
  static_cast<void>(hand_in("far", 3'600'000));
  run_until([&] { return schedule->pending() == 1; });
  instance.settle();
  run_for(20);
  const BootNanos now = boot_now_ns();
  EXPECT_GE(schedule->duty(now), now + 59 * kSecond);
  EXPECT_EQ(schedule->overdue_ms(wall_now_ms()), 0);
}

TEST_F(ScheduleTest, AMemoryTopicGetsItsRecords) {
  instance.make("m", {{"slot.bytes", "128KiB", false}, {"storage", "memory", false}});
  start();
  static_cast<void>(hand_in("x", 5, 0, "m"));
  run_until([&] { return schedule->counters().delivered == 1; });
  EXPECT_EQ(delivered(0, "m").size(), 1U);
}

TEST_F(ScheduleTest, ADelayOfADayOrOfTenYearsSurvivesJumpsOfTheClock) {
  options.delay_max_ms = 4000 * kDay;
  start();
  for (const std::int64_t days : {1, 3650}) {
    const std::size_t before = delivered().size();
    static_cast<void>(hand_in("soon", 1000));
    static_cast<void>(hand_in("far", days * kDay));
    run_until([&] { return schedule->pending() == 2; });
    jump(-days * kDay);
    run_for(30);
    EXPECT_EQ(delivered().size(), before);
    stop();
    instance.restart_broker();
    start();
    run_for(30);
    EXPECT_EQ(delivered().size(), before);
    jump(days * kDay + 1000);
    run_until([&] { return delivered().size() == before + 1; });
    EXPECT_EQ(delivered().back().payload, "soon");
    jump(days * kDay);
    run_until([&] { return delivered().size() == before + 2; });
    jump(-days * kDay);
    run_for(20);
    stop();
    instance.crash_and_start();
    start();
    jump(days * kDay);
    run_for(20);
    run_until([&] { return schedule->pending() == 0 && delivered().size() >= before + 2; });
    EXPECT_EQ(delivered().size(), before + 2);
    jump(-days * kDay - 1000);
  }
}

TEST_F(ScheduleTest, ACancelledRecordIsNotDeliveredAndCannotBeCancelledAgain) {
  start();
  const DelayId gone = hand_in("gone", 50);
  const DelayId stays = hand_in("stays", 50);
  EXPECT_EQ(schedule->cancel(gone).error().code, ErrorCode::kTimeout);  // not on the disk yet
  run_until([&] { return schedule->pending() == 2; });
  ASSERT_EQ(schedule->list(kNoOffset, 10).size(), 2U);
  EXPECT_EQ(schedule->list(gone, 10).size(), 1U);
  const auto cancelled = schedule->cancel(gone);
  ASSERT_TRUE(cancelled);
  EXPECT_EQ(schedule->cancel(gone).error().code, ErrorCode::kUnknownDelayed);
  EXPECT_EQ(schedule->cancel(12345).error().code, ErrorCode::kUnknownDelayed);
  run_until([&] { return schedule->is_durable(*cancelled); });
  stop();
  instance.crash_and_start();
  start();
  run_until([&] { return delivered().size() == 1; });
  run_for(20);
  ASSERT_EQ(delivered().size(), 1U);
  EXPECT_EQ(delivered().front().payload, "stays");
  EXPECT_EQ(schedule->cancel(stays).error().code, ErrorCode::kUnknownDelayed);
}

TEST_F(ScheduleTest, WhoAsksAfterAStartHearsOfAllThatIsDurable) {
  constexpr std::size_t kRecords = 40;
  const std::string large(60'000, 'x');  // more than a turn takes in
  start();
  DelayId last = 0;
  for (std::size_t i = 0; i < kRecords; ++i) last = hand_in(large, 3'600'000);
  run_until([&] { return schedule->pending() == kRecords; });
  stop();
  instance.crash_and_start();
  start();
  EXPECT_EQ(schedule->list(kNoOffset, 2 * kRecords).size(), kRecords);
  stop();
  instance.crash_and_start();
  start();
  EXPECT_TRUE(schedule->find(last));
  EXPECT_TRUE(schedule->cancel(last));
}

TEST_F(ScheduleTest, WhatCannotBeDeliveredIsSaidAndDoesNotStopTheRest) {
  instance.make("x", {{"producers", "exclusive", false}});
  instance.make("deleted", {{"slot.bytes", "128KiB", false}});
  start();
  static_cast<void>(hand_in_to({0x1234, 0, wall_now_ms()}, "no such topic"));
  static_cast<void>(hand_in("no such partition", 0, 9));
  static_cast<void>(hand_in("exclusive", 0, 0, "x"));
  static_cast<void>(hand_in("too late", 400 * kDay));
  static_cast<void>(hand_in(std::string(100'000, 'x'), 0));
  static_cast<void>(appender->append({}, {}));  // neither when nor where to
  static_cast<void>(hand_in("deleted", 30, 0, "deleted"));
  static_cast<void>(hand_in("good", 0));
  run_until([&] { return schedule->counters().undeliverable == 6; });
  ASSERT_TRUE(instance.topics().remove("deleted"));
  run_until([&] { return schedule->counters().undeliverable == 7; });
  run_until([&] { return schedule->pending() == 0; });
  EXPECT_EQ(delivered().size(), 1U);
  EXPECT_EQ(said.size(), 7U);
  stop();
  instance.restart_broker();
  start();
  run_for(20);
  EXPECT_EQ(schedule->counters().undeliverable, 0U);
}

TEST_F(ScheduleTest, ADamagedRecordDoesNotTakeTheOneBeforeItAlong) {
  start();
  static_cast<void>(hand_in("intact", 3'600'000));
  static_cast<void>(hand_in("neighbour", 3'600'000));
  run_until([&] { return schedule->pending() == 2; });
  instance.settle();
  shm::Mapping& slot = instance.topic(shm::kDelayLog).partition(0).ring().find(0)->mapping;
  const std::string_view bytes{reinterpret_cast<const char*>(slot.data()), slot.size_bytes()};
  slot.data()[bytes.find("neighbour")] ^= std::byte{1};
  jump(3'600'000);
  run_until([&] { return schedule->pending() == 0; });
  ASSERT_EQ(delivered().size(), 1U);
  EXPECT_EQ(delivered()[0].payload, "intact");
  EXPECT_EQ(schedule->counters().undeliverable, 1U);
}

TEST_F(ScheduleTest, MoreThanMayBePendingWaitsOnTheDiskAndProducersAreTold) {
  options.pending_max = 50;
  start();
  for (int i = 0; i < 2000; ++i) static_cast<void>(hand_in("r" + std::to_string(i), 40));
  run_until([&] { return schedule->pending() >= 50; });
  turn();
  EXPECT_EQ(appender->append({}, {}).status, shm::AppendStatus::kReadOnly);
  run_until([&] { return delivered().size() == 2000; });
  run_until([&] { return schedule->pending() == 0; });
  turn();
  static_cast<void>(hand_in("again", 0));
  run_until([&] { return delivered().size() == 2001; });
}

TEST_F(ScheduleTest, CheckpointsLetTheJournalGoAndAStartReadsLittle) {
  options.checkpoint_changes = 500;
  start();
  const DelayId far = hand_in("far", 3'600'000);
  std::size_t count = 0;
  while (instance.topic(broker::kDelayJournal).partition(0).start_offset() == 0) {
    for (int i = 0; i < 200; ++i) static_cast<void>(hand_in(std::string(2000, 'x'), 0));
    count += 200;
    run_until([&] { return schedule->counters().delivered == count; });
    if (count > 600'000) GTEST_FAIL() << "nothing is let go";
    // A closed segment of the journal takes long to fill; a start closes it.
    if (count % 2000 == 0) {
      stop();
      instance.drain_and_start();
      start();
      run_until([&] { return schedule->pending() == 1; });
      count = 0;
    }
  }
  stop();
  instance.crash_and_start();
  start();
  run_until([&] { return schedule->pending() == 1; });
  EXPECT_EQ(schedule->list(kNoOffset, 10).front().id, far);
  const std::size_t before = delivered().size();
  run_for(30);
  EXPECT_EQ(delivered().size(), before);
  EXPECT_TRUE(said.empty());
}

TEST_F(ScheduleOnFaultyDiskTest, WhatACheckpointCoversGoesAlsoWhileTheDelayLogIsWritten) {
  start();
  for (int i = 0; i < 20; ++i) static_cast<void>(hand_in("old", 0));
  run_until([&] { return schedule->counters().delivered == 20; });
  stop();
  instance.drain_and_start();  // closes the segments
  options.checkpoint_changes = 30;
  start();
  static_cast<void>(hand_in("far", 3'600'000));
  instance.settle();
  static_cast<void>(hand_in("far", 3'600'000));
  FaultyDisk& disk = instance.recorder();
  disk.add({.first = disk.writes() + 1, .last = disk.writes() + 1, .effect = Fault::kHold});
  while (disk.held() == 0) instance.turn();
  run_until([&] { return instance.topic(broker::kDelayJournal).partition(0).start_offset() > 0; });
  EXPECT_EQ(instance.topic(shm::kDelayLog).partition(0).start_offset(), 20U);
  disk.release();
}

TEST_F(ScheduleTest, ATargetInQuarantineWaitsAndNothingIsDeliveredToItTwice) {
  options.checkpoint_changes = 10;
  start();
  for (int i = 0; i < 5; ++i) static_cast<void>(hand_in(std::to_string(i), 0));
  run_until([&] { return delivered().size() == 5; });
  for (int i = 5; i < 10; ++i) static_cast<void>(hand_in(std::to_string(i), 0));
  broker::Partition* target = &instance.topic("t").partition(0);
  const BootNanos limit = boot_now_ns() + 20 * kSecond;
  while (target->end_offset() < 10) {
    turn();
    ASSERT_LT(boot_now_ns(), limit);
  }
  // Delivered and durable, and the journal was not told.
  while (target->durable_offset() < 10) instance.turn();
  stop();
  target->ring().find(0)->header().identity.magic = 0;
  instance.restart_broker();
  target = &instance.topic("t").partition(0);
  ASSERT_TRUE(target->quarantine());
  start();
  static_cast<void>(hand_in("late", 0));
  for (int i = 0; i < 60; ++i) static_cast<void>(hand_in("p" + std::to_string(i), 0, 1));
  run_until([&] { return delivered(1).size() == 60; });
  run_for(50);  // several checkpoints
  EXPECT_GE(schedule->pending(), 1U);
  for (int kind = 0; kind < 2; ++kind) {
    stop();
    kind == 0 ? instance.restart_broker() : instance.crash_and_start();
    start();
    run_for(30);
  }
  run_until([&] { return schedule->pending() == 0; });
  std::map<std::string, int> seen;
  for (const Delivered& one : delivered()) ++seen[one.payload];
  EXPECT_EQ(seen.size(), 11U);
  for (const auto& [payload, count] : seen) EXPECT_EQ(count, 1) << payload;
  EXPECT_EQ(delivered(1).size(), 60U);
  EXPECT_TRUE(said.empty()) << said.front();
}

/// Whatever dies when: what was on the disk is delivered exactly once, nothing ever twice.
TEST_F(ScheduleTest, EachIsDeliveredExactlyOnceOverStartsOfEveryKind) {
  options.checkpoint_changes = 60;
  std::mt19937 random{20261121};
  std::map<std::string, bool> promised;
  std::map<std::string, DelayId> young;  // committed, not on the disk when last looked at
  start();
  for (int round = 0; round < 60; ++round) {
    const auto count = random() % 40;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string name = std::to_string(round) + "." + std::to_string(i);
      young[name] = hand_in(name, static_cast<std::int64_t>(random() % 12), random() % 2);
      if (random() % 8 == 0) turn();
    }
    for (std::uint64_t turns = random() % 30; turns > 0; --turns) turn();
    const Offset durable = instance.topic(shm::kDelayLog).partition(0).durable_offset();
    const int kind = static_cast<int>(random() % 3);
    for (const auto& [name, id] : young) promised[name] = kind == 2 || id < durable;
    if (kind == 1) young.clear();
    std::erase_if(young, [&](const auto& one) { return promised[one.first]; });
    stop();
    if (kind == 0)
      instance.restart_broker();
    else if (kind == 1)
      instance.crash_and_start();
    else
      instance.drain_and_start();
    start();
  }
  for (const auto& [name, id] : young) promised[name] = true;
  run_until([&] {
    return instance.topic(shm::kDelayLog).partition(0).durable_offset() ==
           instance.topic(shm::kDelayLog).partition(0).end_offset();
  });
  std::map<std::string, int> seen;
  const auto look = [&] {
    seen.clear();
    for (const PartitionIndex partition : {0U, 1U})
      for (const Delivered& one : delivered(partition)) ++seen[one.payload];
  };
  run_until([&] {  // what is pending has perhaps not been taken in yet
    if (schedule->pending() != 0) return false;
    look();
    return std::ranges::all_of(
        promised, [&](const auto& one) { return !one.second || seen.contains(one.first); });
  });
  run_for(50);
  look();
  for (const auto& [name, is] : promised) {
    EXPECT_LE(seen[name], 1) << name;
    if (is) {
      EXPECT_EQ(seen[name], 1) << name;
    }
  }
  EXPECT_TRUE(said.empty()) << said.front();
}

}  // namespace
}  // namespace mallbots::test
