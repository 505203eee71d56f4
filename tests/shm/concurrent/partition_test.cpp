#include "shm/concurrent/partition.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>

#include "shm/concurrent/reclaim.h"
#include "tests/shm/concurrent/records.h"

namespace mallbots::test {
namespace {

struct PartitionTest : testing::Test {
  PartitionTest() {
    for (shm::SlotEntry& entry : board.entries) entry.n.store(shm::kNoSlot);
  }
  FakeBroker broker{FakeTopic{.slots = 2, .slot_bytes = 4096, .ready = 0}};
  shm::PartitionParts parts = broker.memory().parts(0);
  shm::PartitionBoard& board = broker.memory().board(0);
};

TEST_F(PartitionTest, EntryNamesOneSlotAtATime) {
  EXPECT_FALSE(shm::slot_on_board(parts, 0).has_value());
  EXPECT_FALSE(shm::slot_is_past(parts, 0));
  shm::post_slot(board, 2, 4, 77);
  EXPECT_EQ(shm::slot_on_board(parts, 4), 77U);
  for (const SlotGen other : {0, 2, 6}) EXPECT_FALSE(shm::slot_on_board(parts, other).has_value());
  EXPECT_TRUE(shm::slot_is_past(parts, 2));
  EXPECT_FALSE(shm::slot_is_past(parts, 4));
  EXPECT_FALSE(shm::slot_is_past(parts, 6));
}

TEST_F(PartitionTest, WithdrawnSlotIsNeitherThereNorPast) {
  shm::post_slot(board, 2, 4, 77);
  shm::withdraw_slot(board, 2, 2);  // not the one that stands there
  EXPECT_TRUE(shm::slot_on_board(parts, 4).has_value());
  shm::withdraw_slot(board, 2, 4);
  EXPECT_FALSE(shm::slot_on_board(parts, 4).has_value());
  EXPECT_FALSE(shm::slot_is_past(parts, 2));
}

TEST_F(PartitionTest, ReaderOfAnEntryNeverSeesHalfOfIt) {
  std::jthread writer([&](const std::stop_token& stop) {
    for (SlotGen n = 0; !stop.stop_requested(); n += 2) {
      if (n % 6 == 0) shm::withdraw_slot(board, 2, n - 2);
      shm::post_slot(board, 2, n, n * 10);
    }
  });
  SlotGen next = 0;
  for (int hits = 0; hits < 20'000;) {
    if (const auto id = shm::slot_on_board(parts, next)) {
      ASSERT_EQ(*id, next * 10);
      ++hits;
    } else if (shm::slot_is_past(parts, next)) {
      next = board.entries[0].n.load();
      if (next == shm::kNoSlot) next = 0;
    }
  }
}

TEST_F(PartitionTest, MemoryOfAnotherPartitionSizeOrGenerationIsNotTaken) {
  const shm::SlotMemory memory = broker.memory().slot(5);
  const shm::SlotInit good{.slot_gen = 3,
                           .partition_id = PartitionId{board.partition_id},
                           .log_epoch = 1,
                           .data_units = 256,
                           .base = std::nullopt};
  EXPECT_FALSE(shm::slot_is_valid(parts, memory, 0));  // zeros
  shm::init_slot(*memory.header, good);
  EXPECT_TRUE(shm::slot_is_valid(parts, memory, 3));
  EXPECT_FALSE(shm::slot_is_valid(parts, memory, 2));
  auto other = good;
  other.partition_id = PartitionId{99};
  shm::init_slot(*memory.header, other);
  EXPECT_FALSE(shm::slot_is_valid(parts, memory, 3));
  other = good;
  other.data_units = 128;
  shm::init_slot(*memory.header, other);
  EXPECT_FALSE(shm::slot_is_valid(parts, memory, 3));
  shm::init_slot(*memory.header, good);
  memory.header->identity.layout_version += 1;
  EXPECT_FALSE(shm::slot_is_valid(parts, memory, 3));
}

TEST_F(PartitionTest, BrokerIsRungOnlyAsItAskedToBe) {
  const shm::UniqueFd bell{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  parts.broker_eventfd = bell.get();
  const auto rung = [&] {
    std::uint64_t count = 0;
    return read(bell.get(), &count, sizeof count) == sizeof count;
  };
  const auto set = [&](shm::BrokerSleep sleep) {
    parts.knock_header->broker.store(static_cast<std::uint32_t>(sleep));
  };
  set(shm::BrokerSleep::kAwake);
  shm::ring_broker(parts, true);
  EXPECT_FALSE(rung());
  set(shm::BrokerSleep::kParkedWithTimer);
  shm::ring_broker(parts, false);
  EXPECT_FALSE(rung());
  shm::ring_broker(parts, true);
  EXPECT_TRUE(rung());
  set(shm::BrokerSleep::kParked);
  shm::ring_broker(parts, false);
  EXPECT_TRUE(rung());
  parts.knock_header = nullptr;  // a reader without rights
  shm::ring_broker(parts, true);
  EXPECT_FALSE(rung());
}

TEST_F(PartitionTest, FullBellIsNoFailure) {
  const shm::UniqueFd bell{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  const std::uint64_t almost = UINT64_MAX - 1;
  ASSERT_EQ(write(bell.get(), &almost, sizeof almost), static_cast<ssize_t>(sizeof almost));
  parts.broker_eventfd = bell.get();
  parts.knock_header->broker.store(static_cast<std::uint32_t>(shm::BrokerSleep::kParked));
  shm::ring_broker(parts, true);
}

TEST_F(PartitionTest, DurableOffsetWakesWhoWaitsForIt) {
  shm::KnockLine& knock = *parts.knock;
  const std::uint32_t key = shm::prepare_wait(knock.durable);
  shm::publish_durable(board, knock, 5);
  EXPECT_EQ(board.durable_offset.load(), 5U);
  EXPECT_EQ(knock.durable.load(), key + 1);
}

}  // namespace
}  // namespace mallbots::test
