#include "broker/queues/queues.h"

#include <algorithm>
#include <set>

#include "tests/broker/queues/queues_fixture.h"

namespace mallbots::test {
namespace {

TEST_F(QueuesTest, AStuckMemberLosesItsMessagesWithTimeAndGetsNoMore) {
  append(2);
  const auto group = join(1, 1);
  EXPECT_EQ(granted(1), (Offsets{{0, 1}}));
  join(2, 4);
  EXPECT_EQ(granted(2), (Offsets{{1, 1}}));
  EXPECT_EQ(duty(), now_ + kLockMs * kMillisecond);
  now_ += kLockMs * kMillisecond;
  duty();
  EXPECT_EQ(settle(2, group, 1, 1, Outcome::kExtend),
            ErrorCode::kNotHeld);  // its time is over, too
  EXPECT_EQ(granted(2), (Offsets{{0, 2}, {1, 2}}));
  append(3);
  EXPECT_EQ(granted(1), Offsets{});
  EXPECT_TRUE(queues_->describe("g")->members[0].is_stuck);
  EXPECT_EQ(settle(1, group, 0, 1, Outcome::kAck), ErrorCode::kNotHeld);
  EXPECT_EQ(granted(1).size(), 1U);
}

TEST_F(QueuesTest, AfterTheLastAttemptComesADeadLetterWithItsStory) {
  append(1);
  const auto group = join(1, 4, 2);
  granted(1);
  settle(1, group, 0, 1, Outcome::kNack);
  EXPECT_EQ(granted(1), (Offsets{{0, 2}}));
  host_.durable_letters = 0;
  EXPECT_EQ(settle(1, group, 0, 2, Outcome::kNack), ErrorCode::kNone);
  ASSERT_EQ(host_.letters.size(), 1U);
  EXPECT_EQ(host_.letters[0].reason, DeathReason::kAttempts);
  EXPECT_EQ(host_.letters[0].attempts, 2U);
  EXPECT_EQ(host_.letters[0].note.first.type, "Bad");
  EXPECT_EQ(queues_->consumed(kTopic, 0), 0U);  // not before the letter is durable
  host_.durable_letters = 1;
  duty();
  EXPECT_EQ(queues_->consumed(kTopic, 0), 1U);
  EXPECT_EQ(host_.letters.size(), 1U);
}

TEST_F(QueuesTest, ALetterThatGoesWithItsTopicIsWrittenAgain) {
  topic({.id = TopicId{78}, .name = "t.g.dlq", .partitions = 1});
  append(2);
  const auto group = join(1);
  granted(1);
  host_.durable_letters = 0;
  settle(1, group, 0, 1, Outcome::kReject);
  ASSERT_EQ(host_.letters.size(), 1U);
  queues_->topic_deleted(TopicId{78});
  duty();
  ASSERT_EQ(host_.letters.size(), 2U);
  EXPECT_EQ(host_.letters[1].offset, 0U);
  EXPECT_EQ(host_.letters[1].reason, DeathReason::kRejected);
  EXPECT_EQ(host_.letters[1].note.last.text, "x");  // its story is not lost with it
  EXPECT_EQ(queues_->consumed(kTopic, 0), 0U);
  host_.durable_letters = 2;
  duty();
  EXPECT_EQ(queues_->consumed(kTopic, 0), 1U);
}

TEST_F(QueuesTest, AnotherTopicThatIsDeletedTakesNoLetters) {
  topic({.id = TopicId{78}, .name = "t.h.dlq", .partitions = 1});
  append(1);
  const auto group = join(1);
  granted(1);
  host_.durable_letters = 0;
  settle(1, group, 0, 1, Outcome::kReject);
  queues_->topic_deleted(TopicId{78});
  duty();
  EXPECT_EQ(host_.letters.size(), 1U);
}

TEST_F(QueuesTest, AnHeirWritesLettersAgainWhoseTopicWasDeleted) {
  append(1);
  const auto group = join(1);
  granted(1);
  host_.durable_letters = 0;
  settle(1, group, 0, 1, Outcome::kReject);
  restart();
  duty();
  EXPECT_EQ(host_.letters.size(), 1U);
  host_.kept_letters = 0;  // the predecessor deleted it and died before it could say so
  restart();
  duty();
  EXPECT_EQ(host_.letters.size(), 2U);
}

TEST_F(QueuesTest, ARejectedMessageIsADeadLetterAtOnce) {
  append(1);
  const auto group = join(1);
  granted(1);
  EXPECT_EQ(settle(1, group, 0, 1, Outcome::kReject), ErrorCode::kNone);
  ASSERT_EQ(host_.letters.size(), 1U);
  EXPECT_EQ(host_.letters[0].reason, DeathReason::kRejected);
}

TEST_F(QueuesTest, ADeadLetterThatCannotBeWrittenIsTriedAgain) {
  append(1);
  const auto group = join(1);
  granted(1);
  host_.letters_fail = true;
  settle(1, group, 0, 1, Outcome::kReject);
  const BootNanos again = duty();
  EXPECT_LT(again, now_ + kSecond);
  host_.letters_fail = false;
  now_ = again;
  duty();
  EXPECT_EQ(host_.letters.size(), 1U);
}

TEST_F(QueuesTest, APoisonMessageTakesNoNeighboursWithIt) {
  append(6);
  for (SessionIndex session = 1; host_.letters.empty(); ++session) {
    ASSERT_LT(session, 20);
    const auto group = join(session, 6, 3);
    bool died = false;
    for (int turn = 0; turn < 20 && !died; ++turn) {
      const auto mine = granted(session);
      for (const auto& [offset, attempt] : mine) died = died || offset == 2;
      // Whoever is handed the poison dies with all that it has.
      if (died) break;
      for (const auto& [offset, attempt] : mine)
        settle(session, group, offset, attempt, Outcome::kAck);
    }
    queues_->session_ended(session, now_);
    duty();
  }
  join(100, 6, 3);
  EXPECT_EQ(host_.letters.size(), 1U);
  EXPECT_EQ(host_.letters[0].offset, 2U);
  EXPECT_EQ(host_.letters[0].attempts, 3U);
  EXPECT_EQ(host_.letters[0].note.last.type, "ConsumerDied");
}

TEST_F(QueuesTest, ABusyGroupMakesRoomForALastAttempt) {
  append(50);
  const auto group = join(1, 4, 2);
  Offsets mine = granted(1);
  ASSERT_EQ(mine.size(), 4U);
  mine.erase(mine.begin());
  settle(1, group, 0, 1, Outcome::kNack);
  // Something is always in flight, and still offset 0 gets its turn.
  bool tried = false;
  for (int i = 0; i < 50 && !tried && !mine.empty(); ++i) {
    const auto [offset, attempt] = mine.front();
    mine.erase(mine.begin());
    settle(1, group, offset, attempt, Outcome::kAck);
    for (const auto& one : granted(1)) {
      tried = tried || one.first == 0;
      if (one.first == 0) {
        EXPECT_TRUE(mine.empty());
      }
      mine.push_back(one);
    }
  }
  EXPECT_TRUE(tried);
}

TEST_F(QueuesTest, NothingIsToldBeforeTheJournalHasIt) {
  append(2);
  const auto group = join(1, 1);
  host_.journal_room = 0;
  EXPECT_EQ(granted(1), Offsets{});
  const BootNanos again = duty();
  EXPECT_LE(again, now_ + kMillisecond);
  host_.journal_room = 100;
  EXPECT_EQ(granted(1), (Offsets{{0, 1}}));
  host_.journal_room = 0;
  queues_->settle(1,
                  {.group_id = group,
                   .number = 1,
                   .topic_id = static_cast<std::uint64_t>(kTopic),
                   .items = {{0, 1, Outcome::kAck}}},
                  now_);
  duty();
  EXPECT_TRUE(host_.answers.empty());
  EXPECT_EQ(granted(1), Offsets{});
  host_.journal_room = 100;
  duty();
  EXPECT_EQ(host_.answers.size(), 1U);
  EXPECT_EQ(granted(1), (Offsets{{1, 1}}));
}

TEST_F(QueuesTest, WhatASessionIsOwedWhileTheJournalStandsIsBounded) {
  append(1);
  const auto group = join(1, 1);
  EXPECT_EQ(granted(1), (Offsets{{0, 1}}));
  host_.journal_room = 0;
  const auto ask = [&](std::uint64_t number, Outcome outcome) {
    queues_->settle(1,
                    {.group_id = group,
                     .number = number,
                     .topic_id = static_cast<std::uint64_t>(kTopic),
                     .items = {{0, 1, outcome}}},
                    now_);
    duty();
  };
  for (std::uint64_t i = 0; i < Queues::kMaxOwed; ++i) ask(i, Outcome::kExtend);
  // An extension writes nothing, so these were answered; a change makes the rest wait.
  host_.answers.clear();
  ask(0, Outcome::kNack);
  for (std::uint64_t i = 1; i < Queues::kMaxOwed; ++i) ask(i, Outcome::kAck);
  EXPECT_TRUE(host_.answers.empty());
  ask(9'999, Outcome::kAck);
  ASSERT_EQ(host_.answers.size(), 1U);
  EXPECT_EQ(host_.answers[0].second.number, 9'999U);
  EXPECT_EQ(host_.answers[0].second.faults.at(0).code, ErrorCode::kLimitReached);
  EXPECT_EQ(
      queues_->join({.holder = {1, 101}, .group = "g", .topics = {"t"}, .lock_ms = kLockMs}, now_)
          .error()
          .code,
      ErrorCode::kLimitReached);
  host_.journal_room = 100;
  EXPECT_EQ(granted(1), (Offsets{{0, 2}})) << "what was refused has changed nothing";
  EXPECT_EQ(host_.answers.size(), 1 + Queues::kMaxOwed);
}

TEST_F(QueuesTest, WhatRetentionTookIsDone) {
  append(10);
  join(1, 4);
  EXPECT_EQ(granted(1).size(), 4U);
  host_.logs[{kTopic, 0}].start = 6;
  append(1);
  join(2, 4);
  auto both = granted(1);  // what it held is gone, so it has room, too
  for (const auto& one : granted(2)) both.push_back(one);
  std::ranges::sort(both);
  EXPECT_EQ(both, (Offsets{{6, 1}, {7, 1}, {8, 1}, {9, 1}, {10, 1}}));
}

TEST_F(QueuesTest, AnIdleQueueWantsNoTime) {
  append(1);
  const auto group = join(1);
  granted(1);
  settle(1, group, 0, 1, Outcome::kAck);
  EXPECT_EQ(duty(), INT64_MAX);
  EXPECT_TRUE(queues_->waits_for(kTopic));
  EXPECT_TRUE(queues_->idle());
}

TEST_F(QueuesTest, PartitionsTakeTurns) {
  topics_[0].partitions = 2;
  queues_->topic_known(topics_[0]);
  append(1'000, 0, 0);
  append(10, 0, 1);
  const auto group = join(1, 1);
  std::set<PartitionIndex> seen;
  for (int i = 0; i < 4; ++i) {
    duty();
    ASSERT_FALSE(host_.grants.empty());
    const shm::Grants grants = host_.grants.back().second;
    seen.insert(grants.partition);
    queues_->settle(1,
                    {.group_id = group,
                     .number = 1,
                     .topic_id = grants.topic_id,
                     .partition = grants.partition,
                     .items = {{grants.grants[0].offset, 1, Outcome::kAck}}},
                    now_);
  }
  EXPECT_EQ(seen.size(), 2U);
}

}  // namespace
}  // namespace mallbots::test
