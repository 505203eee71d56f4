#include "shm/concurrent/append.h"

#include <gtest/gtest.h>

#include "shm/concurrent/cells.h"
#include "shm/concurrent/reclaim.h"
#include "shm/segment/record_check.h"
#include "tests/shm/concurrent/records.h"

namespace mallbots::test {
namespace {

using shm::Appender;
using shm::AppendStatus;

struct AppenderTest : testing::Test {
  Appender appender(SessionIndex session) {
    return Appender(broker.memory().parts(session), broker.memory().seat(session));
  }
  FakeBroker broker{FakeTopic{.slot_bytes = 4096}};
};

TEST_F(AppenderTest, GivesDenseOffsetsAndLeavesWholeRecords) {
  auto writer = appender(0);
  std::vector<Seen> expected;
  for (Offset i = 0; i < 20; ++i) {
    const auto outcome = append(writer, "record " + std::to_string(i));
    ASSERT_EQ(outcome.status, AppendStatus::kAppended);
    EXPECT_EQ(outcome.offset, i);
    EXPECT_GT(outcome.timestamp_ms, 0);
    expected.push_back({i, "record " + std::to_string(i)});
  }
  EXPECT_EQ(log_of(broker), expected);
  EXPECT_EQ(broker.end_offset(), 20U);
}

TEST_F(AppenderTest, WritesHeadersThatCheckOut) {
  auto writer = appender(0);
  const std::string key = "key", text = "payload", attributes = std::string("\x01\0\x02\0ab", 6);
  ASSERT_EQ(
      writer
          .append(
              {.payload = bytes_of(text), .key = bytes_of(key), .attributes = bytes_of(attributes)},
              {})
          .status,
      AppendStatus::kAppended);
  const auto slot = broker.find(0);
  shm::RecordHeader header{};
  std::memcpy(&header, slot.data, sizeof header);
  const shm::PartitionBoard& board = broker.memory().board(0);
  EXPECT_EQ(header.header_check,
            shm::header_check(header, shm::record_seed(PartitionId{board.partition_id}, 1)));
  EXPECT_EQ(header.body_hash, shm::body_hash({.payload = bytes_of(text),
                                              .key = bytes_of(key),
                                              .attributes = bytes_of(attributes)}));
  EXPECT_EQ(header.flags, shm::kLastOfBatch | shm::kHasBodyHash);
  EXPECT_EQ(header.sequence, 1U);
  EXPECT_EQ(header.producer_id, 1U);
  EXPECT_EQ(header.length, 64U + 6 + 3 + 7);
}

TEST_F(AppenderTest, BatchIsOneCommitWithItsLastRecordFlagged) {
  auto writer = appender(0);
  ASSERT_EQ(append(writer, "first").offset, 0U);
  const auto outcome = append_batch(writer, {"a", "b", "c"});
  ASSERT_EQ(outcome.status, AppendStatus::kAppended);
  EXPECT_EQ(outcome.offset, 1U);
  shm::PartitionReader reader(broker.memory().parts(9), broker.memory().reader_cell(9), false);
  ASSERT_EQ(reader.seek(1), shm::ReadStatus::kRecord);
  shm::RecordView view{};
  for (std::uint16_t i = 0; i < 3; ++i) {
    ASSERT_EQ(reader.next(view), shm::ReadStatus::kRecord);
    EXPECT_EQ(view.header->batch_position, i);
    EXPECT_EQ(view.header->sequence, 2U + i);
    EXPECT_EQ((view.header->flags & shm::kLastOfBatch) != 0, i == 2);
  }
}

TEST_F(AppenderTest, BatchThatDoesNotFitGoesWholeIntoTheNextSlot) {
  auto writer = appender(0);
  const std::string big(900, 'x');
  for (int i = 0; i < 3; ++i) ASSERT_EQ(append(writer, big).status, AppendStatus::kAppended);
  ASSERT_EQ(append_batch(writer, {big, big}).offset, 3U);
  EXPECT_TRUE(shm::load_word(*broker.find(0).header).sealed());
  EXPECT_EQ(shm::log_end(*broker.find(0).header, 0)->next_offset, 3U);
  EXPECT_EQ(shm::log_end(*broker.find(1).header, 1)->next_offset, 5U);
}

TEST_F(AppenderTest, ExpectedOffsetThatIsNotTheNextIsAConflictThatNamesTheNext) {
  auto writer = appender(0);
  EXPECT_EQ(append(writer, "a", {.expected_offset = 0}).status, AppendStatus::kAppended);
  const auto refused = append(writer, "b", {.expected_offset = 0});
  EXPECT_EQ(refused.status, AppendStatus::kConflict);
  EXPECT_EQ(refused.offset, 1U);
  EXPECT_EQ(append(writer, "b", {.expected_offset = 1}).status, AppendStatus::kAppended);
  EXPECT_EQ(log_of(broker).size(), 2U);
}

TEST_F(AppenderTest, ConflictUsesUpNoSequence) {
  auto writer = appender(0);
  ASSERT_EQ(append(writer, "a", {.sequence = 1}).status, AppendStatus::kAppended);
  ASSERT_EQ(append(writer, "b", {.expected_offset = 7, .sequence = 2}).status,
            AppendStatus::kConflict);
  EXPECT_EQ(append(writer, "b", {.sequence = 2}).status, AppendStatus::kAppended);
}

TEST_F(AppenderTest, SequenceAppendedBeforeIsADuplicateAndOneTooFarIsRefused) {
  auto writer = appender(0);
  ASSERT_EQ(append(writer, "a", {.sequence = 1}).status, AppendStatus::kAppended);
  EXPECT_EQ(append(writer, "a", {.sequence = 1}).status, AppendStatus::kDuplicate);
  const auto gap = append(writer, "c", {.sequence = 3});
  EXPECT_EQ(gap.status, AppendStatus::kOutOfSequence);
  EXPECT_EQ(gap.offset, 1U);
  EXPECT_EQ(log_of(broker).size(), 1U);
}

TEST_F(AppenderTest, BatchThatIsOnlyPartlyADuplicateIsNotCalledOne) {
  auto writer = appender(0);
  ASSERT_EQ(append(writer, "a", {.sequence = 1}).status, AppendStatus::kAppended);
  // Record 2 is new: whoever hears "duplicate" would believe it to be in the log.
  EXPECT_EQ(append_batch(writer, {"a", "b"}, {.sequence = 1}).status, AppendStatus::kOutOfSequence);
  ASSERT_EQ(append_batch(writer, {"b", "c"}, {.sequence = 2}).status, AppendStatus::kAppended);
  EXPECT_EQ(append_batch(writer, {"b", "c"}, {.sequence = 2}).status, AppendStatus::kDuplicate);
  EXPECT_EQ(log_of(broker).size(), 3U);
}

TEST_F(AppenderTest, SecondAppenderOnOneCellKeepsTheLastSequenceUntilItHasOneOfItsOwn) {
  {
    auto writer = appender(0);
    ASSERT_EQ(append(writer, "a").status, AppendStatus::kAppended);
  }
  auto seat = broker.memory().seat(0);
  seat.last_sequence = 1;
  Appender again(broker.memory().parts(0), seat);
  // What a step behind store_sequence would leave if the process died there: half of 2, not true
  // yet. The half of 1 must still stand, or 1 would be accepted once more.
  ASSERT_EQ(append(again, "b").status, AppendStatus::kAppended);
  const shm::ProducerCell& cell = broker.memory().producer_cell(0);
  EXPECT_EQ(shm::load_sequence(cell, 0)->sequence, 1U);
  EXPECT_EQ(shm::load_sequence(cell, 1)->sequence, 2U);
}

TEST_F(AppenderTest, RecordOrBatchAboveRecordMaxIsTooLarge) {
  auto writer = appender(0);
  const std::string largest(2048 - 64, 'x');
  EXPECT_EQ(append(writer, largest + "y").status, AppendStatus::kTooLarge);
  EXPECT_EQ(append_batch(writer, {largest, ""}).status, AppendStatus::kTooLarge);
  EXPECT_EQ(append_batch(writer, {}).status, AppendStatus::kTooLarge);
  const std::string attributes(70'000, 'a');
  EXPECT_EQ(writer.append({.attributes = bytes_of(attributes)}, {}).status,
            AppendStatus::kTooLarge);
  EXPECT_EQ(append(writer, largest).status, AppendStatus::kAppended);
  EXPECT_EQ(append(writer, largest).status, AppendStatus::kAppended);  // two fill a slot
}

TEST_F(AppenderTest, TimesOutWithoutWaitingOnATryAndAtTheDeadlineOtherwise) {
  auto writer = appender(0);  // no pump runs: 2 slots are ready, then there is no room
  const std::string half(2048 - 64, 'x');
  for (int i = 0; i < 4; ++i) ASSERT_EQ(append(writer, half).status, AppendStatus::kAppended);
  EXPECT_EQ(append(writer, half).status, AppendStatus::kTimeout);
  const BootNanos before = boot_now_ns();
  EXPECT_EQ(append(writer, half, {.deadline = Deadline::after_ms(30)}).status,
            AppendStatus::kTimeout);
  EXPECT_GE(boot_now_ns() - before, 30 * kMillisecond);
  broker.pump();
  EXPECT_EQ(append(writer, half).offset, 4U);
}

TEST_F(AppenderTest, TimesOutWhileAnotherHoldsTheWordAndSaysNoOffset) {
  auto writer = appender(0);
  ASSERT_EQ(append(writer, "a").status, AppendStatus::kAppended);
  shm::SlotHeader& slot = *broker.find(0).header;
  const shm::Word word = shm::load_word(slot);
  ASSERT_TRUE(shm::try_acquire(slot, word, 5));
  const auto outcome = append(writer, "b");
  EXPECT_EQ(outcome.status, AppendStatus::kTimeout);
  EXPECT_EQ(outcome.offset, kNoOffset);
  shm::release(slot, word.acquired_by(5));
  EXPECT_EQ(append(writer, "b").status, AppendStatus::kAppended);
}

TEST_F(AppenderTest, WaitsForRoomUntilThePumpGivesIt) {
  auto writer = appender(0);
  const std::string half(2048 - 64, 'x');
  const PumpThread pump(broker);
  for (Offset i = 0; i < 200; ++i)
    ASSERT_EQ(append(writer, half, {.deadline = Deadline::never()}).offset, i);
}

TEST_F(AppenderTest, ClosedBoardSaysClosedAndDeletedTopicSaysGone) {
  auto writer = appender(0);
  ASSERT_EQ(append(writer, "a").status, AppendStatus::kAppended);
  broker.close();
  EXPECT_EQ(append(writer, "b").status, AppendStatus::kClosed);
  EXPECT_EQ(append(writer, "b", {.deadline = Deadline::after_ms(5'000)}).status,
            AppendStatus::kClosed);
  broker.remove();
  EXPECT_EQ(append(writer, "b").status, AppendStatus::kGone);
}

TEST_F(AppenderTest, NewcomerToADeletedTopicHearsThatItIsGone) {
  broker.remove();
  auto writer = appender(0);
  EXPECT_EQ(append(writer, "a", {.deadline = Deadline::after_ms(5'000)}).status,
            AppendStatus::kGone);
}

TEST_F(AppenderTest, ReadOnlyPartitionTakesNothing) {
  auto writer = appender(0);
  broker.set_readonly(ErrorCode::kDiskFull);
  EXPECT_EQ(append(writer, "a").status, AppendStatus::kReadOnly);
  broker.set_readonly(ErrorCode::kNone);
  EXPECT_EQ(append(writer, "a").offset, 0U);
}

TEST_F(AppenderTest, RevokedSessionAppendsNothing) {
  auto writer = appender(0);
  ASSERT_EQ(append(writer, "a").status, AppendStatus::kAppended);
  broker.revoke(0);
  EXPECT_EQ(append(writer, "b").status, AppendStatus::kRevoked);
  auto other = appender(1);
  EXPECT_EQ(append(other, "c").offset, 1U);
}

TEST_F(AppenderTest, WhoseSeatWasTakenAppendsNothingMoreAndLeavesTheWordFree) {
  auto writer = appender(0);
  ASSERT_EQ(append(writer, "a").status, AppendStatus::kAppended);
  shm::take_seat(*broker.memory().seat(0).cell);
  EXPECT_EQ(append(writer, "b").status, AppendStatus::kNameTaken);
  EXPECT_EQ(append(writer, "c").status, AppendStatus::kNameTaken);
  EXPECT_EQ(broker.end_offset(), 1U);
  auto other = appender(1);
  EXPECT_EQ(append(other, "d").offset, 1U);
}

TEST_F(AppenderTest, SlotThatCannotBeMappedIsSaidAndNotAskedForAllTheTime) {
  broker.memory().refuse(true);
  auto writer = appender(0);
  EXPECT_EQ(append(writer, "a").status, AppendStatus::kUnmapped);
  broker.memory().refuse(false);
  const std::string half(2048 - 64, 'x');
  for (int i = 0; i < 2; ++i) ASSERT_EQ(append(writer, half).status, AppendStatus::kAppended);
  broker.memory().refuse(true);  // the next slot stands on the board but cannot be had
  const std::uint64_t before = broker.memory().asked();
  EXPECT_EQ(append(writer, half, {.deadline = Deadline::after_ms(50)}).status,
            AppendStatus::kUnmapped);
  EXPECT_LT(broker.memory().asked() - before, 300U);
  broker.memory().refuse(false);
  EXPECT_EQ(append(writer, half).offset, 2U);
}

TEST_F(AppenderTest, DropsEverySlotItMapped) {
  {
    auto writer = appender(0);
    const std::string half(2048 - 64, 'x');
    for (int i = 0; i < 50; ++i) {
      ASSERT_EQ(append(writer, half).status, AppendStatus::kAppended);
      broker.pump();
      EXPECT_LE(broker.memory().mapped(), 2);
    }
  }
  EXPECT_EQ(broker.memory().mapped(), 0);
}

TEST_F(AppenderTest, StampsNeverStepBackAlthoughTheClockDoes) {
  auto writer = appender(0);
  const auto first = append(writer, "a");
  shift_wall_clock(-60'000);
  auto other = appender(1);
  EXPECT_EQ(append(other, "b").timestamp_ms, first.timestamp_ms);
  const std::string half(2048 - 64, 'x');
  for (int i = 0; i < 3; ++i)  // over the border of a slot
    EXPECT_EQ(append(other, half).timestamp_ms, first.timestamp_ms);
  shift_wall_clock(60'000);
}

TEST_F(AppenderTest, StampIsOfTheCommitAndNotOfTheBeginningOfALongWait) {
  auto writer = appender(0);
  const std::string half(2048 - 64, 'x');
  for (int i = 0; i < 4; ++i) ASSERT_EQ(append(writer, half).status, AppendStatus::kAppended);
  const UnixMillis before = wall_now_ms();
  std::jthread late([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    broker.pump();
  });
  EXPECT_GE(append(writer, half, {.deadline = Deadline::never()}).timestamp_ms, before + 40);
}

TEST_F(AppenderTest, TwoProducersShareOneSlotRecordByRecord) {
  auto first = appender(0);
  auto second = appender(1);
  for (Offset i = 0; i < 100; ++i) {
    ASSERT_EQ(append(i % 2 == 0 ? first : second, std::to_string(i)).offset, i);
    broker.pump();
  }
  const auto log = log_of(broker);
  ASSERT_FALSE(log.empty());
  EXPECT_EQ(log, numbered(log.front().offset, log.size()));
  EXPECT_EQ(log.back().offset, 99U);
}

TEST_F(AppenderTest, LateNewcomerFindsTheOpenSlotFarOn) {
  auto first = appender(0);
  const std::string half(2048 - 64, 'x');
  for (int i = 0; i < 101; ++i) {
    ASSERT_EQ(append(first, half).status, AppendStatus::kAppended);
    broker.pump();
  }
  auto late = appender(1);
  EXPECT_EQ(append(late, "a").offset, 101U);
}

TEST_F(AppenderTest, ProducerThatSleptThroughManySlotsFindsTheOpenOne) {
  auto sleeper = appender(0);
  ASSERT_EQ(append(sleeper, "a").offset, 0U);
  auto busy = appender(1);
  const std::string half(2048 - 64, 'x');
  for (Offset i = 1; i < 40; ++i) {
    ASSERT_EQ(append(busy, half).offset, i);
    broker.pump();
    // At every stage of its old slot's next lives, READY and empty included.
    ASSERT_EQ(append(sleeper, "b").status, AppendStatus::kAppended);
    ++i;
  }
}

TEST_F(AppenderTest, ProducerWhoseSlotWasReusedAndWaitsEmptyFindsTheOpenOne) {
  auto sleeper = appender(0);
  ASSERT_EQ(append(sleeper, "a").offset, 0U);
  {
    auto busy = appender(1);
    const std::string half(2048 - 64, 'x');
    // Until the memory of slot 0 is READY and empty again, ahead of the open slot.
    for (int i = 0; broker.open_slot() != 3 || broker.oldest_slot() == 0; ++i) {
      ASSERT_LT(i, 20);
      ASSERT_EQ(append(busy, half).status, AppendStatus::kAppended);
      broker.pump();
    }
  }
  EXPECT_EQ(append(sleeper, "b", {.deadline = Deadline::after_ms(100)}).status,
            AppendStatus::kAppended);
}

TEST_F(AppenderTest, BaseIsHandedOnOverSlotsThatWereSealedEmpty) {
  auto writer = appender(0);
  for (Offset i = 0; i < 12; ++i) {
    ASSERT_EQ(append(writer, std::to_string(i)).offset, i);
    broker.seal_open();
    broker.pump();
    if (i % 2 == 0) {
      broker.seal_open();  // at tail 0
      broker.pump();
    }
    if (i % 3 == 0) {
      auto newcomer = appender(static_cast<SessionIndex>(1 + i));
      ASSERT_EQ(append(newcomer, std::to_string(i + 1)).offset, i + 1);
      ++i;
    }
  }
  const auto log = log_of(broker);
  EXPECT_EQ(log, numbered(log.front().offset, log.size()));
}

TEST_F(AppenderTest, FirstWriterTakesTheBaseFromTheSealedSlotWhileTheBrokerIsAway) {
  auto writer = appender(0);
  const std::string half(2048 - 64, 'x');
  for (Offset i = 0; i < 3; ++i) ASSERT_EQ(append(writer, half).offset, i);
  EXPECT_FALSE(shm::load_base(*broker.find(1).header, 1).has_value());
  EXPECT_EQ(shm::log_end(*broker.find(1).header, 1)->next_offset, 3U);
}

TEST_F(AppenderTest, AppendInsideAnAppendIsBusy) {
  // A source that appends while it maps stands for a signal handler.
  struct Reentrant final : shm::SlotSource {
    shm::SlotMemory map_slot(std::uint64_t slot_id) override {
      if (inner != nullptr) {
        status = append(*inner, "inner").status;
        batch_status = append_batch(*inner, {"inner"}).status;
      }
      return memory->map_slot(slot_id);
    }
    void drop_slot(shm::SlotMemory slot) override { memory->drop_slot(slot); }
    FakeMemory* memory = nullptr;
    Appender* inner = nullptr;
    AppendStatus status{}, batch_status{};
  } source;
  source.memory = &broker.memory();
  auto parts = broker.memory().parts(0);
  parts.slots = &source;
  Appender writer(parts, broker.memory().seat(0));
  source.inner = &writer;
  EXPECT_EQ(append_batch(writer, {"outer"}).status, AppendStatus::kAppended);
  EXPECT_EQ(source.status, AppendStatus::kBusy);
  EXPECT_EQ(source.batch_status, AppendStatus::kBusy);
  EXPECT_EQ(log_of(broker), (std::vector<Seen>{{0, "outer"}}));
}

TEST_F(AppenderTest, ContradictoryPairsAreDamageAndTheWordIsFreeAgain) {
  auto writer = appender(0);
  ASSERT_EQ(append(writer, "a").status, AppendStatus::kAppended);
  shm::SlotHeader& slot = *broker.find(0).header;
  for (shm::CommitPair& pair : slot.pairs) pair.end_units.store(12'345);
  EXPECT_EQ(append(writer, "b").status, AppendStatus::kDamaged);
  EXPECT_FALSE(shm::load_word(slot).owned());
}

TEST_F(AppenderTest, TailBehindTheSlotIsSealedAndNeverWrittenTo) {
  auto writer = appender(0);
  ASSERT_EQ(append(writer, "a").status, AppendStatus::kAppended);
  shm::SlotHeader& slot = *broker.find(0).header;
  slot.word.store(shm::load_word(slot).with_tail(shm::kMaxTailUnits).bits);
  EXPECT_NE(append(writer, "b").status, AppendStatus::kAppended);
  EXPECT_TRUE(shm::load_word(slot).sealed());
}

}  // namespace
}  // namespace mallbots::test
