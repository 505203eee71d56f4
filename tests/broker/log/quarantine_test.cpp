// What a direct producer does to what its slots say of themselves costs its own partition alone
// (broker/RECOVERY.md, section 11).
#include <cstring>
#include <filesystem>
#include <map>
#include <tuple>

#include "broker/log/log_reader.h"
#include "shm/concurrent/cells.h"
#include "tests/broker/log/log_instance.h"

namespace mallbots::test {
namespace {

using Settings = std::vector<shm::Setting>;
const Settings kOnDisk = {{"slot.bytes", "128KiB", false}, {"stall.limit", "20ms", false}};
const Settings kInMemory = {{"slot.bytes", "128KiB", false}, {"storage", "memory", false}};

template <class Part>
void fill(Part& part, int byte) {
  std::memset(static_cast<void*>(&part), byte, sizeof part);
}

using Overwrite = void (*)(shm::SlotHeader&);
const Overwrite kOverwrites[] = {
    [](shm::SlotHeader& slot) { slot.identity.magic = 0; },
    [](shm::SlotHeader& slot) { slot.identity.layout_version ^= 1; },
    [](shm::SlotHeader& slot) { slot.identity.slot_gen.store(77); },
    [](shm::SlotHeader& slot) { slot.identity.partition_id ^= 1; },
    [](shm::SlotHeader& slot) { slot.identity.data_units = 1; },
    [](shm::SlotHeader& slot) { fill(slot.identity, 0); },
    [](shm::SlotHeader& slot) { fill(slot.identity, 0xA5); },
    [](shm::SlotHeader& slot) { fill(slot, 0); },
    [](shm::SlotHeader& slot) { fill(slot, 0xFF); },
};

/// Two partitions of "theirs", of which the first is to be damaged, and "ours"; each with records
/// in two slots of which the last may not be on the disk yet.
class Scene {
 public:
  explicit Scene(const Settings& settings, bool settled = true) {
    instance.make("theirs", settings, 2);
    instance.make("ours", settings);
    append("theirs", 0, 0, kRecords);
    append("theirs", 1, 0, kRecords);
    append("ours", 0, 0, kRecords);
    if (settled) instance.settle();
  }
  static constexpr Offset kRecords = 900;  // into the second slot

  void append(const std::string& topic, PartitionIndex partition, Offset first, Offset last) {
    const auto client = instance.attach(instance.topic(topic), partition);
    shm::Appender appender{client->parts, client->seat};
    append_all(instance, appender, first, last, 100);
  }
  /// Maps all slots of theirs/0 as its producer, and overwrites one.
  void overwrite(SlotGen slot_gen, Overwrite how) {
    while (instance.disk().in_flight() > 0) instance.disk().reap();
    broker::Topic& topic = instance.topic("theirs");
    producer = instance.attach(topic);
    for (const broker::HotSlot& slot : topic.partition(0).ring().slots())
      slots[slot.slot_gen] = producer->slots->map_slot(slot.slot_id);
    how(*slots.at(slot_gen).header);
  }
  /// All that the memory of theirs/0 holds, board included, but for the refusal of appends.
  [[nodiscard]] std::string memory() const {
    std::string all;
    for (const auto& [slot_gen, slot] : slots)
      all.append(reinterpret_cast<const char*>(slot.header), shm::kPageBytes + (128 << 10));
    const shm::PartitionBoard& board = *producer->parts.board;
    all.append(reinterpret_cast<const char*>(board.entries), sizeof board.entries);
    for (const auto* word : {&board.durable_offset, &board.start_offset, &board.lease,
                             &board.open_hint, &board.oldest_hint})
      all += std::to_string(word->load()) + " ";
    return all;
  }
  [[nodiscard]] broker::Partition& damaged() { return instance.topic("theirs").partition(0); }
  void turns() {
    for (int i = 0; i < 20; ++i) instance.turn();
    instance.settle();
  }
  void expect_quarantine() {
    EXPECT_EQ(instance.topics().quarantined_partitions(), 1U);
    EXPECT_EQ(instance.topics().readonly_partitions(), 1U);
    ASSERT_TRUE(damaged().quarantine());
    EXPECT_EQ(damaged().readonly(), ErrorCode::kCorrupt);
    EXPECT_FALSE(instance.topic("theirs").partition(1).quarantine());
    EXPECT_FALSE(instance.topic("ours").partition(0).quarantine());
    EXPECT_EQ(instance.dropped(), 0U);  // the keeper has all of it
  }
  /// Records [first, end) of the partition, as the broker reads them.
  [[nodiscard]] Offset read_all(broker::Partition& partition) {
    broker::LogReader reader{instance.disk(), partition, broker::ReadUpTo::kCommitted};
    Offset next = 0;
    for (;;) {
      const auto batch = reader.read();
      if (!batch) return kNoOffset;
      EXPECT_TRUE((*batch)->lost.empty());
      for (const shm::RecordView& view : (*batch)->records) {
        EXPECT_EQ(view.header->offset, next);
        const std::string text = payload_of(next++, 100);
        EXPECT_EQ(std::memcmp(view.payload.data(), text.data(),
                              std::min(view.payload.size(), text.size())),
                  0);
      }
      if ((*batch)->at_end) return next;
    }
  }

  LogInstance instance;
  std::unique_ptr<LogInstance::Client> producer;
  std::map<SlotGen, shm::SlotMemory> slots;
};

class Quarantine : public testing::TestWithParam<std::tuple<Overwrite, SlotGen, bool>> {};

TEST_P(Quarantine, IsOfOnePartitionWhichStaysAsItIs) {
  const auto [overwrite, slot_gen, in_memory] = GetParam();
  Scene scene{in_memory ? kInMemory : kOnDisk, false};
  scene.overwrite(slot_gen, overwrite);  // sealed, open or ready
  const Offset durable = scene.producer->parts.board->durable_offset.load();
  const std::string before = scene.memory();
  for (Offset round = 0; round < 3; ++round) {
    scene.instance.troubles.clear();
    scene.instance.restart_broker();
    scene.expect_quarantine();
    ASSERT_EQ(scene.instance.troubles.size(), 1U);
    const std::string& told = scene.instance.troubles.front();
    EXPECT_NE(told.find("theirs/0"), std::string::npos) << told;
    EXPECT_NE(told.find("slot " + std::to_string(slot_gen)), std::string::npos) << told;
    EXPECT_NE(told.find("quarantine"), std::string::npos) << told;
    // All others go on where they were, into other slots.
    const Offset at = Scene::kRecords + round * 900;
    scene.append("theirs", 1, at, at + 900);
    scene.append("ours", 0, at, at + 900);
    // Nothing goes in here.
    shm::Appender appender{scene.producer->parts, scene.producer->seat};
    EXPECT_EQ(appender.append({}, {}).status, shm::AppendStatus::kReadOnly);
    EXPECT_EQ(scene.damaged().writer().append(shm::RecordInput{}).status,
              broker::WriteStatus::kReadOnly);
    EXPECT_EQ(scene.read_all(scene.damaged()), kNoOffset);
    scene.instance.topics().session_died(scene.producer->session);
    scene.turns();
    EXPECT_EQ(scene.damaged().durable_offset(), durable);
    EXPECT_TRUE(scene.memory() == before);
  }
  if (!in_memory) {
    EXPECT_EQ(scene.read_all(scene.instance.topic("ours").partition(0)), 4 * Scene::kRecords);
  }
}

INSTANTIATE_TEST_SUITE_P(Takeover, Quarantine,
                         testing::Combine(testing::ValuesIn(kOverwrites),
                                          testing::Values(SlotGen{0}, SlotGen{1}, SlotGen{2}),
                                          testing::Bool()));

TEST(QuarantineEnds, WithTheMemoryAndNoOffsetIsGivenForTwoDurableRecords) {
  Scene scene{kOnDisk};
  scene.overwrite(1, kOverwrites[5]);
  scene.instance.restart_broker();
  scene.expect_quarantine();
  const LogEpoch before = scene.instance.topics().log_epoch();
  scene.slots.clear();
  scene.producer.reset();
  scene.instance.crash_and_start();
  EXPECT_EQ(scene.instance.topics().quarantined_partitions(), 0U);
  EXPECT_GT(scene.instance.topics().log_epoch(), before);
  EXPECT_EQ(scene.damaged().end_offset(), Scene::kRecords);
  scene.append("theirs", 0, Scene::kRecords, 3'000);
  scene.instance.settle();
  EXPECT_EQ(scene.read_all(scene.damaged()), 3'000U);
  scene.instance.restart_broker();
  EXPECT_EQ(scene.instance.topics().quarantined_partitions(), 0U);
  EXPECT_EQ(scene.instance.topics().damaged_ranges(), 0U);
}

TEST(QuarantineEnds, WhatWasNotDurableIsGivenUpInANewEpoch) {
  Scene scene{kOnDisk};
  scene.append("theirs", 0, Scene::kRecords, Scene::kRecords + 20);  // not on the disk
  scene.overwrite(1, kOverwrites[0]);
  const Offset durable = scene.producer->parts.board->durable_offset.load();
  scene.instance.restart_broker();
  scene.expect_quarantine();
  scene.turns();
  const LogEpoch before = scene.instance.topics().log_epoch();
  // A stop is no clean one: those offsets will be given out again.
  BootNanos next = INT64_MAX;
  const BootNanos limit = boot_now_ns() + 20 * kSecond;
  while (!scene.instance.topics().drain(boot_now_ns(), next)) {
    scene.instance.disk().reap();
    ASSERT_LT(boot_now_ns(), limit);
  }
  const auto mark = scene.instance.topics().write_clean_mark();
  ASSERT_FALSE(mark);
  EXPECT_EQ(mark.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(mark.error().detail.find("theirs/0"), std::string::npos);
  scene.slots.clear();
  scene.producer.reset();
  scene.instance.crash_and_start();
  EXPECT_GT(scene.instance.topics().log_epoch(), before);
  const Offset end = scene.damaged().end_offset();
  EXPECT_GE(end, durable);
  EXPECT_LE(end, Scene::kRecords + 20);
  EXPECT_EQ(scene.read_all(scene.damaged()), end);
  EXPECT_EQ(scene.instance.topic("ours").partition(0).end_offset(), Scene::kRecords);
  scene.append("theirs", 0, end, end + 10);
}

TEST(QuarantineEnds, WithItsTopicAndNothingIsLeft) {
  for (const auto& settings : {kOnDisk, kInMemory}) {
    Scene scene{settings};
    scene.overwrite(2, kOverwrites[7]);
    scene.instance.restart_broker();
    scene.expect_quarantine();
    const auto folders = [&] {
      const std::filesystem::path topics = scene.instance.data_dir() + "/topics";
      return std::distance(std::filesystem::directory_iterator{topics},
                           std::filesystem::directory_iterator{});
    };
    const auto all = folders();
    ASSERT_TRUE(scene.instance.topics().remove("theirs"));
    EXPECT_EQ(scene.instance.topics().quarantined_partitions(), 0U);
    scene.turns();
    EXPECT_EQ(folders(), all == 0 ? 0 : all - 1);  // memory topics have none
    EXPECT_EQ(scene.producer->parts.topic->state.load(),
              static_cast<std::uint32_t>(shm::BoardState::kGone));
    scene.instance.make("theirs", settings, 2);
    scene.append("theirs", 0, 0, 10);
    scene.append("ours", 0, Scene::kRecords, Scene::kRecords + 10);
    scene.instance.restart_broker();
    EXPECT_EQ(scene.instance.dropped(), 0U);
    EXPECT_EQ(scene.damaged().end_offset(), 10U);
  }
}

TEST(QuarantineOf, TwoTopicsIsToldForEach) {
  LogInstance instance;
  for (const char* name : {"a", "b", "c"}) {
    const auto client = instance.attach(instance.make(name, kOnDisk));
    shm::Appender appender{client->parts, client->seat};
    append_all(instance, appender, 0, 5);
  }
  for (const char* name : {"a", "c"})
    instance.topic(name).partition(0).ring().find(0)->header().identity.magic = 0;
  instance.restart_broker();
  EXPECT_EQ(instance.topics().quarantined_partitions(), 2U);
  EXPECT_EQ(instance.troubles.size(), 2U);
  EXPECT_EQ(instance.topic("b").partition(0).end_offset(), 5U);
}

TEST(QuarantineAnd, NamesOfProducersGoOnWhereTheyAre) {
  Scene scene{kOnDisk};
  broker::Topic* topic = &scene.instance.topic("theirs");
  const auto append_as = [&](PartitionIndex partition, Offset first, Offset last) {
    const auto holder = scene.instance.topics().name_producer(*topic, "robot");
    ASSERT_TRUE(holder) << holder.error().sentence();
    const auto client = scene.instance.attach(*topic, partition, *holder);
    ASSERT_TRUE(client);
    shm::Appender appender{client->parts, client->seat};
    append_all(scene.instance, appender, first, last, 100);
  };
  append_as(0, 900, 910);
  append_as(1, 900, 905);
  scene.turns();
  scene.overwrite(1, kOverwrites[5]);
  scene.instance.restart_broker();
  scene.expect_quarantine();
  topic = &scene.instance.topic("theirs");
  append_as(1, 905, 915);
  scene.turns();
  EXPECT_EQ(scene.instance.troubles.size(), 1U);
  scene.slots.clear();
  scene.producer.reset();
  scene.instance.crash_and_start();
  topic = &scene.instance.topic("theirs");
  for (const auto& [partition, last] : {std::pair{0U, 10U}, {1U, 15U}}) {
    const auto holder = scene.instance.topics().name_producer(*topic, "robot");
    ASSERT_TRUE(holder);
    const auto client = scene.instance.attach(*topic, partition, *holder);
    ASSERT_TRUE(client);
    EXPECT_EQ(client->seat.last_sequence, last) << partition;
  }
  EXPECT_TRUE(scene.instance.findings.empty()) << scene.instance.findings.front();
}

}  // namespace
}  // namespace mallbots::test
