#include <gtest/gtest.h>

#include <algorithm>

#include "shm/concurrent/append.h"
#include "shm/concurrent/cells.h"
#include "tests/shm/concurrent/records.h"
#include "tests/shm/steps.h"

namespace mallbots::test {
namespace {

using shm::AppendStatus;
using shm::ExclusiveAppender;

struct ExclusiveTest : testing::Test {
  ExclusiveAppender exclusive(SessionIndex session) {
    return ExclusiveAppender(broker.memory().parts(session), broker.memory().seat(session),
                             broker.grant_lease(session));
  }
  static void put(ExclusiveAppender& writer, const std::string& text) {
    const auto reserved = writer.reserve(text.size(), Deadline::passed());
    ASSERT_EQ(reserved.status, AppendStatus::kAppended);
    std::ranges::copy(bytes_of(text), reserved.payload.begin());
  }
  /// Checks hash, check and batch flags of everything in memory.
  void expect_whole() {
    shm::PartitionReader reader(broker.memory().parts(14), broker.memory().reader_cell(14), false);
    static_cast<void>(reader.seek_oldest());
    shm::RecordView view{};
    std::uint16_t position = 0;
    const auto seed = shm::record_seed(PartitionId{broker.memory().board(0).partition_id}, 1);
    while (reader.next(view) == shm::ReadStatus::kRecord) {
      shm::RecordHeader header = *view.header;
      EXPECT_EQ(header.header_check, shm::header_check(header, seed)) << header.offset;
      EXPECT_EQ(header.body_hash, shm::body_hash({.payload = view.payload, .key = view.key}))
          << header.offset;
      EXPECT_EQ(header.batch_position, position) << header.offset;
      position = (header.flags & shm::kLastOfBatch) != 0 ? 0 : position + 1;
    }
    EXPECT_EQ(position, 0U) << "the last batch does not end";
  }
  FakeBroker broker{FakeTopic{.slot_bytes = 4096}};
};

TEST_F(ExclusiveTest, WritesInPlaceAndCommitsWithoutGivingTheWordBack) {
  auto writer = exclusive(1);
  for (Offset i = 0; i < 100; ++i) {
    const std::string key = "k" + std::to_string(i);
    const auto reserved = writer.reserve(8, Deadline::passed(), bytes_of(key));
    ASSERT_EQ(reserved.status, AppendStatus::kAppended);
    ASSERT_EQ(reserved.payload.size(), 8U);
    std::ranges::fill(reserved.payload, static_cast<std::byte>('a' + i % 26));
    ASSERT_EQ(writer.commit().offset, i);
    EXPECT_TRUE(shm::load_word(*broker.find(broker.open_slot()).header).owned_by(1));
    broker.pump();
  }
  const auto log = log_of(broker);
  EXPECT_EQ(log.back(), (Seen{99, std::string(8, 'a' + 99 % 26)}));
  expect_whole();
}

TEST_F(ExclusiveTest, SeveralReservesAreOneBatch) {
  auto writer = exclusive(1);
  put(writer, "a");
  put(writer, "b");
  put(writer, "c");
  EXPECT_TRUE(log_of(broker).empty());
  EXPECT_EQ(writer.commit().offset, 0U);
  EXPECT_EQ(log_of(broker), (std::vector<Seen>{{0, "a"}, {1, "b"}, {2, "c"}}));
  expect_whole();
  EXPECT_EQ(writer.commit().status, AppendStatus::kTooLarge);  // nothing is reserved
}

TEST_F(ExclusiveTest, BatchThatOutgrowsTheSlotMovesWholeIntoTheNext) {
  auto writer = exclusive(1);
  const std::string third(900, 'x');
  std::vector<Seen> expected;
  for (Offset i = 0; i < 60; ++i) {
    std::string text = third;
    text += std::to_string(i);
    put(writer, text);
    expected.push_back({i, text});
    if (i % 2 == 1) {
      ASSERT_EQ(writer.commit().offset, i - 1);
    }
    broker.pump();
  }
  const auto log = log_of(broker);
  expected.erase(expected.begin(), expected.end() - static_cast<std::ptrdiff_t>(log.size()));
  EXPECT_EQ(log, expected);
  EXPECT_GE(log.size(), 6U);
  expect_whole();
}

TEST_F(ExclusiveTest, CopiedBatchesAreAllOrNothing) {
  auto writer = exclusive(1);
  for (Offset i = 0; i < 30; ++i) {
    const std::string text(300, static_cast<char>('a' + i % 26));
    const std::vector<shm::RecordInput> batch(3, {.payload = bytes_of(text)});
    ASSERT_EQ(writer.append_batch(batch, {}).offset, i * 3);
    broker.pump();
  }
  expect_whole();
  const std::string large(1500, 'x');
  const std::vector<shm::RecordInput> batch(2, {.payload = bytes_of(large)});
  EXPECT_EQ(writer.append_batch(batch, {}).status, AppendStatus::kTooLarge);
  EXPECT_EQ(writer.append_batch({}, {}).status, AppendStatus::kTooLarge);
  EXPECT_EQ(broker.end_offset(), 90U);
}

TEST_F(ExclusiveTest, ReserveAboveRecordMaxIsTooLargeAndLeavesTheBatch) {
  auto writer = exclusive(1);
  put(writer, "a");
  EXPECT_EQ(writer.reserve(2000, Deadline::passed()).status, AppendStatus::kTooLarge);
  EXPECT_EQ(writer.commit().offset, 0U);
  EXPECT_EQ(log_of(broker), (std::vector<Seen>{{0, "a"}}));
  expect_whole();
}

TEST_F(ExclusiveTest, BatchSurvivesAReserveThatFoundNoRoom) {
  auto writer = exclusive(1);
  const std::string half(1984, 'x');
  for (int i = 0; i < 3; ++i) {  // no pump: two slots, the second half full
    put(writer, half);
    ASSERT_EQ(writer.commit().status, AppendStatus::kAppended);
  }
  put(writer, "s");
  ASSERT_EQ(writer.commit().offset, 3U);
  put(writer, "first of a batch");
  put(writer, std::string(1000, 'y'));
  ASSERT_EQ(writer.reserve(800, Deadline::passed()).status, AppendStatus::kTimeout);
  // The slot is sealed, the batch taken out of it; no other is there yet.
  EXPECT_TRUE(shm::load_word(*broker.find(1).header).sealed());
  broker.pump();
  ASSERT_EQ(writer.commit().offset, 4U);
  EXPECT_EQ(broker.end_offset(), 6U);
  expect_whole();
}

TEST_F(ExclusiveTest, CommitThatFindsNoRoomInTimeLeavesNothing) {
  auto writer = exclusive(1);
  const std::string half(1984, 'x');
  for (int i = 0; i < 3; ++i) {
    put(writer, half);
    ASSERT_EQ(writer.commit().status, AppendStatus::kAppended);
  }
  put(writer, "s");
  ASSERT_EQ(writer.commit().offset, 3U);
  put(writer, std::string(1000, 'y'));
  ASSERT_EQ(writer.reserve(900, Deadline::passed()).status, AppendStatus::kTimeout);
  EXPECT_EQ(writer.commit().status, AppendStatus::kTimeout);
  broker.pump();
  put(writer, "later");
  EXPECT_EQ(writer.commit().offset, 4U);
  EXPECT_EQ(log_of(broker).back(), (Seen{4, "later"}));
  expect_whole();
}

TEST_F(ExclusiveTest, SealByTheBrokerWithTheLeaseIntactIsRetriedInTheNextSlot) {
  auto writer = exclusive(1);
  put(writer, "a");
  ASSERT_EQ(writer.commit().offset, 0U);
  put(writer, "b");
  put(writer, "c");
  broker.seal_open();
  broker.pump();
  ASSERT_EQ(writer.commit().offset, 1U);
  EXPECT_EQ(broker.open_slot(), 1U);
  EXPECT_EQ(log_of(broker), (std::vector<Seen>{{0, "a"}, {1, "b"}, {2, "c"}}));
  expect_whole();
}

TEST_F(ExclusiveTest, TakeOverEndsTheFirstHolderForGood) {
  auto first = exclusive(1);
  put(first, "a");
  ASSERT_EQ(first.commit().offset, 0U);
  put(first, "lost");
  auto second = exclusive(2);
  EXPECT_EQ(first.commit().status, AppendStatus::kLeaseLost);
  EXPECT_EQ(first.reserve(4, Deadline::after_ms(50)).status, AppendStatus::kLeaseLost);
  broker.pump();
  put(second, "b");
  ASSERT_EQ(second.commit().offset, 1U);
  // Although the word is taken: nobody waits for the new holder.
  EXPECT_EQ(first.reserve(4, Deadline::never()).status, AppendStatus::kLeaseLost);
  EXPECT_EQ(log_of(broker), (std::vector<Seen>{{0, "a"}, {1, "b"}}));
}

TEST_F(ExclusiveTest, TakeOverAtEveryStepOfTheFirstHolder) {
  for (const int before : {0, 1, 2}) {  // empty slot, in the middle, about to roll
    bool ended = false;
    for (int visit = 0; !ended; ++visit) {
      FakeBroker own{FakeTopic{.slot_bytes = 4096}};
      const std::string half(1984, 'x');
      ExclusiveAppender first(own.memory().parts(1), own.memory().seat(1), own.grant_lease(1));
      for (int i = 0; i < before; ++i) {
        ASSERT_EQ(first.append_batch({{{.payload = bytes_of(half)}}}, {}).status,
                  AppendStatus::kAppended);
        own.pump();
      }
      shm::AppendOutcome outcome;
      const std::string text = "first";
      const std::vector<shm::RecordInput> batch{{.payload = bytes_of(text)},
                                                {.payload = bytes_of(text)}};
      Stalled thread({visit, {}}, [&] {
        outcome = first.append_batch(batch, {.deadline = Deadline::after_ms(20'000)});
      });
      SCOPED_TRACE(std::to_string(before) + ", taken over at " + thread.where());
      ended = thread.where().empty();
      ExclusiveAppender second(own.memory().parts(2), own.memory().seat(2), own.grant_lease(2));
      own.pump();
      const std::string mine = "second";
      const auto taken = second.append_batch({{{.payload = bytes_of(mine)}}}, {});
      ASSERT_EQ(taken.status, AppendStatus::kAppended);
      thread.resume();
      std::vector<std::string> found;
      for (const Seen& seen : log_of(own))
        if (seen.text != half) found.push_back(seen.text);
      if (outcome.status == AppendStatus::kAppended) {
        EXPECT_EQ(found, (std::vector<std::string>{"first", "first", "second"}));
        EXPECT_LT(outcome.offset, taken.offset);
      } else {
        EXPECT_EQ(outcome.status, AppendStatus::kLeaseLost);
        EXPECT_EQ(found, (std::vector<std::string>{"second"}));
      }
      EXPECT_EQ(own.accepted_sequence(1),
                static_cast<std::uint64_t>(before) +
                    (outcome.status == AppendStatus::kAppended ? 2U : 0U));
      if (HasFailure()) return;
    }
  }
}

TEST_F(ExclusiveTest, DeadHolderIsFreedAndTheHeirGoesOn) {
  auto first = exclusive(1);
  put(first, "a");
  ASSERT_EQ(first.commit().offset, 0U);
  put(first, "never committed");
  broker.session_died(1);
  auto second = exclusive(2);
  put(second, "b");
  ASSERT_EQ(second.commit().offset, 1U);
  EXPECT_EQ(broker.open_slot(), 0U);  // no fence was needed
  EXPECT_EQ(broker.accepted_sequence(1), 1U);
}

TEST_F(ExclusiveTest, RevokedHolderHearsSo) {
  auto writer = exclusive(1);
  put(writer, "a");
  broker.revoke(1);
  EXPECT_EQ(writer.commit().status, AppendStatus::kRevoked);
  EXPECT_EQ(writer.reserve(1, Deadline::after_ms(50)).status, AppendStatus::kRevoked);
  EXPECT_TRUE(log_of(broker).empty());
}

TEST_F(ExclusiveTest, WordHeldByAnotherProducerOfTheSameSessionIsNotTakenForOurs) {
  auto writer = exclusive(1);
  shm::SlotHeader& slot = *broker.find(0).header;
  const shm::Word word = shm::load_word(slot);
  ASSERT_TRUE(shm::try_acquire(slot, word, 1));
  EXPECT_EQ(writer.reserve(1, Deadline::passed()).status, AppendStatus::kTimeout);
  shm::release(slot, word.acquired_by(1));
  EXPECT_EQ(writer.reserve(1, Deadline::passed()).status, AppendStatus::kAppended);
}

TEST_F(ExclusiveTest, HolderWhoseSlotWasReusedFindsTheOpenOne) {
  const auto lease = broker.grant_lease(1);
  ExclusiveAppender writer(broker.memory().parts(1), broker.memory().seat(1), lease);
  put(writer, "a");
  ASSERT_EQ(writer.commit().offset, 0U);
  broker.seal_open();
  // Its old memory lives on as a zombie's until it re-attaches; here the broker learns of it.
  broker.session_died(1);
  shm::Appender busy(broker.memory().parts(2), broker.memory().seat(2));
  const std::string half(1984, 'x');
  while (broker.open_slot() != 3 || broker.oldest_slot() == 0) {
    ASSERT_EQ(append(busy, half).status, AppendStatus::kAppended);
    broker.pump();
  }
  EXPECT_EQ(writer.reserve(1, Deadline::after_ms(100)).status, AppendStatus::kAppended);
}

TEST_F(ExclusiveTest, GivesTheWordBackWhenItEnds) {
  {
    auto writer = exclusive(1);
    put(writer, "never committed");
  }
  EXPECT_FALSE(shm::load_word(*broker.find(0).header).owned());
  EXPECT_EQ(broker.memory().mapped(), 0);
  shm::Appender other(broker.memory().parts(2), broker.memory().seat(2));
  EXPECT_EQ(append(other, "b").offset, 0U);
}

TEST_F(ExclusiveTest, ClosedBoardSaysClosed) {
  auto writer = exclusive(1);
  put(writer, "a");
  broker.close();
  EXPECT_EQ(writer.commit({.deadline = Deadline::after_ms(5'000)}).status, AppendStatus::kClosed);
}

}  // namespace
}  // namespace mallbots::test
