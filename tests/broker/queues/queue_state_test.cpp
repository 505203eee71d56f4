#include "broker/queues/queue_state.h"

#include <gtest/gtest.h>

#include "broker/queues/queue_journal.h"

namespace mallbots::test {
namespace {

using broker::DeathReason;
using broker::DeliveryFailure;
using broker::Holder;
using broker::ItemState;
using broker::kQueueWindow;
using broker::QueueState;

constexpr Holder kFirst{.session = 1, .token = 11};
constexpr Holder kSecond{.session = 2, .token = 22};
const DeliveryFailure kFailure{.type = "Bad", .text = "text", .handler = "h", .time_ms = 5};

/// `count` records without key from 0 on.
QueueState plain(Offset count) {
  QueueState state;
  for (Offset i = 0; i < count; ++i) state.load(i, 0);
  return state;
}

Offset take(QueueState& state, const Holder& holder = kFirst, BootNanos until = 100) {
  const auto next = state.next_ready(false);
  if (!next) return kNoOffset;
  state.grant(next->offset, next->attempt, holder, until);
  return next->offset;
}

TEST(QueueState, TextsOfAFullWindowAreBoundedInMemoryAndInTheJournal) {
  const std::string text(broker::kFailureTextBytes, 'x');
  const DeliveryFailure failure{.type = text, .text = text, .handler = text, .time_ms = 5};
  QueueState state = plain(kQueueWindow);
  for (Offset i = 0; i < kQueueWindow; ++i) {
    state.grant(i, 1, kFirst, 100);
    state.put_back(i, {}, true, &failure);
  }
  EXPECT_EQ(state.find(0)->note->first, failure);
  const broker::FailureNote* const late = state.find(kQueueWindow - 1)->note;
  ASSERT_NE(late, nullptr);
  EXPECT_EQ(late->last.type, text.substr(0, broker::kShortTextBytes));
  EXPECT_EQ(late->last.time_ms, 5);
  const std::size_t most =
      broker::kQueueNoteBytes + kQueueWindow * std::size_t{4} * broker::kShortTextBytes;
  EXPECT_LE(state.note_bytes(), most);
  broker::QueueWriter writer;
  broker::write_snapshot(writer, 1, {.group = "g"}, 1, state);
  EXPECT_LE(writer.bytes(), most + kQueueWindow * std::size_t{128});
  QueueState other;
  state.for_each([&](const broker::ItemView& item) { other.restore(item); });
  EXPECT_LE(other.note_bytes(), most);
  for (Offset i = 0; i < kQueueWindow; ++i) state.done(i);
  EXPECT_EQ(state.note_bytes(), 0U);
}

TEST(QueueState, GivesTheOldestFirstAndEachOnce) {
  QueueState state = plain(3);
  EXPECT_EQ(take(state), 0U);
  EXPECT_EQ(take(state), 1U);
  EXPECT_EQ(take(state), 2U);
  EXPECT_EQ(take(state), kNoOffset);
  state.put_back(1, {}, true, nullptr);
  EXPECT_EQ(take(state), 1U);
  EXPECT_EQ(state.find(1)->attempts, 2U);
}

TEST(QueueState, TheLowMarkFollowsWhatIsDoneWithoutGap) {
  QueueState state = plain(4);
  for (int i = 0; i < 4; ++i) take(state);
  state.done(1);
  state.done(2);
  EXPECT_EQ(state.low(), 0U);
  EXPECT_EQ(state.count(ItemState::kDone), 2U);
  state.done(0);
  EXPECT_EQ(state.low(), 3U);
  EXPECT_EQ(state.count(ItemState::kDone), 0U);
  EXPECT_EQ(state.count(ItemState::kHeld), 1U);
}

TEST(QueueState, AKeyInFlightOrWaitingIsGivenToNobody) {
  QueueState state;
  state.load(0, 7);
  state.load(1, 7);
  state.load(2, 9);
  state.load(3, 0);
  EXPECT_EQ(take(state), 0U);
  EXPECT_EQ(take(state, kSecond), 2U);
  EXPECT_EQ(take(state, kSecond), 3U);
  EXPECT_EQ(take(state, kSecond), kNoOffset);
  state.put_back(0, {.boot_ns = 50, .wall_ms = 0, .delay_ms = 1}, true, &kFailure);
  EXPECT_EQ(take(state, kSecond), kNoOffset);
  EXPECT_EQ(state.delayed(), 1U);
  state.wake(49);
  EXPECT_EQ(take(state), kNoOffset);
  state.wake(50);
  EXPECT_EQ(take(state), 0U);
  state.done(0);
  EXPECT_EQ(take(state), 1U);
}

TEST(QueueState, ADeadMessageKeepsItsKeyUntilItIsBuried) {
  QueueState state;
  state.load(0, 7);
  state.load(1, 7);
  take(state);
  state.die(0, DeathReason::kRejected, &kFailure);
  EXPECT_EQ(take(state), kNoOffset);
  state.bury(0, 44);
  EXPECT_EQ(state.find(0)->letter, 44U);
  EXPECT_EQ(take(state), kNoOffset);
  state.done(0);
  EXPECT_EQ(take(state), 1U);
}

TEST(QueueState, KnowsTheFirstAndTheLastFailure) {
  QueueState state = plain(1);
  take(state);
  state.put_back(0, {}, true, &kFailure);
  take(state);
  DeliveryFailure last = kFailure;
  last.text = "other";
  state.put_back(0, {}, true, &last);
  ASSERT_NE(state.find(0)->note, nullptr);
  EXPECT_EQ(state.find(0)->note->first, kFailure);
  EXPECT_EQ(state.find(0)->note->last, last);
}

TEST(QueueState, AReturnedMessageCountsNoAttempt) {
  QueueState state = plain(1);
  take(state);
  state.put_back(0, {}, false, nullptr);
  EXPECT_EQ(state.next_ready(false)->attempt, 1U);
}

TEST(QueueState, TheLastAttemptIsKeptApart) {
  QueueState state = plain(2);
  state.set_max_deliveries(3);
  for (int i = 0; i < 2; ++i) {
    take(state);
    state.put_back(0, {}, true, &kFailure);
  }
  EXPECT_EQ(state.next_ready(false)->offset, 1U);
  ASSERT_TRUE(state.next_ready(true));
  EXPECT_EQ(state.next_ready(true)->offset, 0U);
  EXPECT_EQ(state.next_ready(true)->attempt, 3U);
  state.set_max_deliveries(0);
  EXPECT_FALSE(state.next_ready(true));
  EXPECT_EQ(state.next_ready(false)->offset, 0U);
}

TEST(QueueState, LocksEndWithTheirTimeUnlessExtended) {
  QueueState state = plain(2);
  take(state, kFirst, 100);
  take(state, kFirst, 100);
  state.extend(1, 200);
  EXPECT_EQ(state.next_time(), 100);
  EXPECT_EQ(state.expired(99), std::nullopt);
  EXPECT_EQ(state.expired(100), 0U);
  state.put_back(0, {}, true, nullptr);
  EXPECT_EQ(state.expired(199), std::nullopt);
  EXPECT_EQ(state.expired(200), 1U);
  state.done(1);
  EXPECT_EQ(state.next_time(), INT64_MAX);
}

TEST(QueueState, TellsWhyAMessageCannotBeSettled) {
  QueueState state = plain(3);
  take(state);
  take(state, kSecond);
  EXPECT_EQ(state.held_by(0, 1, 1), ErrorCode::kNone);
  EXPECT_EQ(state.held_by(0, 2, 1), ErrorCode::kNotHeld);
  EXPECT_EQ(state.held_by(1, 1, 1), ErrorCode::kNotHeld);
  EXPECT_EQ(state.held_by(2, 1, 1), ErrorCode::kNotHeld);
  EXPECT_EQ(state.held_by(99, 1, 1), ErrorCode::kNotHeld);
  state.done(1);
  EXPECT_EQ(state.held_by(1, 1, 2), ErrorCode::kAlreadySettled);
  state.done(0);
  EXPECT_EQ(state.held_by(0, 1, 1), ErrorCode::kAlreadySettled);
}

TEST(QueueState, ALockThatIsExtendedForEverTakesNoMoreMemory) {
  QueueState state = plain(2);
  EXPECT_EQ(take(state, kFirst, 100), 0U);
  EXPECT_EQ(take(state, kSecond, 1'000), 1U);
  const std::size_t before = state.window_bytes();
  for (BootNanos until = 1'001; until <= 100'000; ++until) state.extend(1, until);
  EXPECT_LT(state.window_bytes(), before + 4096);
  EXPECT_EQ(state.next_time(), 100);
  EXPECT_EQ(state.expired(100), 0U);
  state.done(0);
  EXPECT_FALSE(state.expired(99'999));
  EXPECT_EQ(state.expired(100'000), 1U);
}

TEST(QueueState, LooksNoFurtherThanItsWindow) {
  QueueState state;
  for (Offset i = 0; i < kQueueWindow + 10; ++i) state.load(i, 0);
  EXPECT_EQ(state.loaded_end(), kQueueWindow);
  EXPECT_FALSE(state.has_room());
  take(state);
  state.done(0);
  EXPECT_TRUE(state.has_room());
  state.load(kQueueWindow, 0);
  EXPECT_EQ(state.loaded_end(), kQueueWindow + 1);
}

TEST(QueueState, WhatIsNoMessageIsDone) {
  QueueState state;
  state.load(5, 0);
  EXPECT_EQ(state.low(), 5U);
  state.skip_to(9);
  EXPECT_EQ(state.loaded_end(), 9U);
  EXPECT_EQ(take(state), 5U);
  state.done(5);
  EXPECT_EQ(state.low(), 9U);
}

TEST(QueueState, AMovedLowMarkEndsWhatIsBelowAndFreesItsKeys) {
  QueueState state;
  for (Offset i = 0; i < 4; ++i) state.load(i, 7);
  take(state);
  state.move_low(2);
  EXPECT_EQ(state.low(), 2U);
  EXPECT_EQ(take(state), 2U);
  state.move_low(1'000'000);
  EXPECT_EQ(state.low(), 1'000'000U);
  EXPECT_EQ(state.count(ItemState::kHeld), 0U);
  state.move_low(3);
  EXPECT_EQ(state.low(), 3U);
  EXPECT_EQ(state.loaded_end(), 3U);
}

TEST(QueueState, ChangesKnownBeforeTheRecordsHoldWhenTheseCome) {
  QueueState state;
  state.grant(1, 2, kFirst, 100);
  state.done(2);
  for (Offset i = 0; i < 5; ++i) state.load(i, i == 1 || i == 2 || i == 3 ? 7 : 0);
  EXPECT_EQ(take(state), 0U);
  EXPECT_EQ(take(state), 4U);
  EXPECT_EQ(take(state), kNoOffset);
  state.done(1);
  EXPECT_EQ(take(state), 3U);
}

TEST(QueueState, SenselessChangesAreIgnored) {
  QueueState state = plain(2);
  state.grant(kQueueWindow + 5, 1, kFirst, 1);
  state.done(kQueueWindow + 5);
  state.bury(0, 3);
  state.extend(0, 9);
  take(state);
  state.done(0);
  state.done(0);
  state.put_back(0, {}, true, nullptr);
  state.die(0, DeathReason::kAttempts, nullptr);
  EXPECT_EQ(state.low(), 1U);
  EXPECT_EQ(take(state), 1U);
}

}  // namespace
}  // namespace mallbots::test
