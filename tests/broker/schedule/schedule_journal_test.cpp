#include "broker/schedule/schedule_journal.h"

#include <gtest/gtest.h>

namespace mallbots::test {
namespace {

using broker::DelayId;
using broker::JournalKind;
using broker::JournalReplay;
using broker::LookFrom;
using broker::PendingEntry;

std::vector<std::byte> ids(JournalKind kind, std::vector<DelayId> numbers) {
  return broker::encode_ids(kind, numbers);
}
std::vector<std::byte> pending(std::vector<DelayId> numbers) {
  std::vector<PendingEntry> items;
  for (const DelayId id : numbers) items.push_back({id, 1000, 7, 0, 64});
  return broker::encode_pending(items);
}
std::vector<DelayId> ids_of(const JournalReplay& replay) {
  std::vector<DelayId> found;
  for (const PendingEntry& entry : replay.pending()) found.push_back(entry.id);
  return found;
}

TEST(ScheduleJournal, WithoutACheckpointEverythingIsTakenInAnew) {
  JournalReplay replay;
  EXPECT_TRUE(replay.add(0, ids(JournalKind::kDelivered, {3, 4})));
  EXPECT_TRUE(replay.add(1, ids(JournalKind::kCancelled, {9})));
  EXPECT_EQ(replay.delay_position(), 0U);
  EXPECT_EQ(replay.settled(), (std::unordered_set<DelayId>{3, 4, 9}));
  EXPECT_TRUE(replay.pending().empty());
}

TEST(ScheduleJournal, ACheckpointCountsWhenItIsWhole) {
  JournalReplay replay;
  EXPECT_TRUE(replay.add(0, ids(JournalKind::kDelivered, {1})));
  EXPECT_TRUE(replay.add(1, ids(JournalKind::kBegin, {10})));
  EXPECT_TRUE(replay.add(2, pending({2, 5})));
  EXPECT_TRUE(replay.add(3, ids(JournalKind::kDelivered, {2, 12})));
  EXPECT_TRUE(replay.add(4, pending({8})));
  EXPECT_EQ(replay.delay_position(), 0U);
  EXPECT_TRUE(replay.add(5, ids(JournalKind::kEnd, {1})));
  EXPECT_TRUE(replay.add(6, ids(JournalKind::kUndeliverable, {8})));
  EXPECT_EQ(replay.delay_position(), 10U);
  EXPECT_EQ(ids_of(replay), (std::vector<DelayId>{5}));
  EXPECT_FALSE(replay.settled().contains(1));
  EXPECT_TRUE(replay.settled().contains(12));
  EXPECT_EQ(replay.checkpoint_at(), 1U);
}

TEST(ScheduleJournal, ACheckpointCutShortLeavesTheOneBefore) {
  JournalReplay replay;
  EXPECT_TRUE(replay.add(0, ids(JournalKind::kBegin, {4})));
  EXPECT_TRUE(replay.add(1, pending({1, 2, 3})));
  EXPECT_TRUE(replay.add(2, ids(JournalKind::kEnd, {0})));
  EXPECT_TRUE(replay.add(3, ids(JournalKind::kDelivered, {1})));
  EXPECT_TRUE(replay.add(4, ids(JournalKind::kBegin, {9})));
  EXPECT_TRUE(replay.add(5, pending({2})));
  EXPECT_TRUE(replay.add(6, ids(JournalKind::kDelivered, {2})));
  EXPECT_EQ(replay.delay_position(), 4U);
  EXPECT_EQ(ids_of(replay), (std::vector<DelayId>{3}));
  // Its end without its beginning, as a dropped segment leaves it, says nothing.
  JournalReplay late;
  EXPECT_TRUE(late.add(5, pending({2})));
  EXPECT_TRUE(late.add(6, ids(JournalKind::kEnd, {4})));
  EXPECT_TRUE(late.pending().empty());
  EXPECT_EQ(late.checkpoint_at(), kNoOffset);
}

TEST(ScheduleJournal, TheLastWordOnATargetCounts) {
  JournalReplay replay;
  const std::vector<LookFrom> first{{7, 100, 0}, {7, 50, 1}};
  const std::vector<LookFrom> second{{7, 90, 0}};
  EXPECT_TRUE(replay.add(0, broker::encode_look_from(first)));
  EXPECT_TRUE(replay.add(1, broker::encode_look_from(second)));
  ASSERT_EQ(replay.look_from().size(), 2U);
  EXPECT_EQ(replay.look_from()[0].offset, 90U);
  EXPECT_EQ(replay.look_from()[1].offset, 50U);
}

TEST(ScheduleJournal, BytesThatAreNoEntryAreRefused) {
  JournalReplay replay;
  EXPECT_FALSE(replay.add(0, {}));
  auto bytes = ids(JournalKind::kDelivered, {1, 2});
  EXPECT_FALSE(replay.add(0, std::span{bytes}.first(bytes.size() - 1)));
  EXPECT_FALSE(replay.add(0, ids(JournalKind::kBegin, {1, 2})));
  EXPECT_FALSE(replay.add(0, ids(static_cast<JournalKind>(99), {})));
  bytes = pending({1});
  bytes[4] = std::byte{0xFF};
  EXPECT_FALSE(replay.add(0, bytes));
  EXPECT_TRUE(replay.settled().empty());
}

}  // namespace
}  // namespace mallbots::test
