#include "broker/queues/queues.h"

#include <algorithm>
#include <set>

#include "tests/broker/queues/queues_fixture.h"

namespace mallbots::test {
namespace {

TEST_F(QueuesTest, AnHeirKnowsWhatIsDoneHeldAndCounted) {
  append(4);
  auto group = join(1, 2, 5);
  EXPECT_EQ(granted(1), (Offsets{{0, 1}, {1, 1}}));
  settle(1, group, 1, 1, Outcome::kAck);
  settle(1, group, 0, 1, Outcome::kNack);
  EXPECT_EQ(granted(1), (Offsets{{2, 1}, {0, 2}}));
  restart();
  // Its session lives: nobody else gets what it holds, and it hears of it when it joins again.
  join(2, 4, 5);
  EXPECT_EQ(granted(2), (Offsets{{3, 1}}));
  group = join(1, 2, 5);
  EXPECT_EQ(granted(1), (Offsets{{0, 2}, {2, 1}}));
  EXPECT_EQ(settle(1, group, 0, 2, Outcome::kAck), ErrorCode::kNone);
  EXPECT_EQ(settle(1, group, 1, 1, Outcome::kAck), ErrorCode::kAlreadySettled);
  EXPECT_EQ(queues_->consumed(kTopic, 0), 2U);
}

TEST_F(QueuesTest, AnHeirFreesWhatDeadSessionsHeld) {
  append(1);
  join(1);
  granted(1);
  host_.alive.clear();
  restart();
  join(2);
  EXPECT_EQ(granted(2), (Offsets{{0, 2}}));
}

TEST_F(QueuesTest, AMemberThatDoesNotComeBackLosesItsLocksWithTime) {
  append(1);
  join(1);
  granted(1);
  restart();
  join(2);
  EXPECT_EQ(granted(2), Offsets{});
  now_ += 31 * kSecond;
  EXPECT_EQ(granted(2), (Offsets{{0, 2}}));
}

TEST_F(QueuesTest, APowerCutFreesLocksAndIsNobodysFault) {
  append(1);
  join(1, 4, 1);
  granted(1);
  restart(false);
  join(2, 4, 1);
  EXPECT_EQ(granted(2), (Offsets{{0, 2}}));
  EXPECT_TRUE(host_.letters.empty());
}

TEST_F(QueuesTest, ADelaySurvivesRestartsAndClockJumpsSanely) {
  append(1);
  const auto group = join(1);
  granted(1);
  settle(1, group, 0, 1, Outcome::kNack, 1'000);
  now_ += 400 * kMillisecond;
  host_.wall += 400;
  restart(true);
  join(1);
  granted(1);
  now_ += 599 * kMillisecond;
  EXPECT_EQ(granted(1), Offsets{});
  now_ += kMillisecond;
  EXPECT_EQ(granted(1), (Offsets{{0, 2}}));
  const auto next = join(1);
  settle(1, next, 0, 2, Outcome::kNack, 1'000);
  // Ten years back, and another boot: no longer than the delay itself.
  host_.wall -= 10LL * 365 * 86'400 * 1'000;
  now_ = 5;
  restart(false);
  join(3);
  granted(3);
  now_ += 999 * kMillisecond;
  EXPECT_EQ(granted(3), Offsets{});
  now_ += kMillisecond;
  EXPECT_EQ(granted(3), (Offsets{{0, 3}}));
  const auto last = join(3);
  settle(3, last, 0, 3, Outcome::kNack, 1'000);
  // Ten years ahead: at once.
  host_.wall += 20LL * 365 * 86'400 * 1'000;
  now_ = 5;
  restart(false);
  join(4);
  EXPECT_FALSE(granted(4).empty());
}

TEST_F(QueuesTest, QueuesOfMemoryTopicsLiveAsLongAsTheMemory) {
  topics_[0].memory_only = true;
  append(2);
  const auto group = join(1, 1);
  granted(1);
  settle(1, group, 0, 1, Outcome::kAck);
  restart(true);
  EXPECT_EQ(queues_->consumed(kTopic, 0), 1U);
  restart(false);
  EXPECT_EQ(queues_->consumed(kTopic, 0), std::nullopt);
}

TEST_F(QueuesTest, AGroupWithMembersIsNotRemovedOrMoved) {
  append(5);
  const auto group = join(1);
  EXPECT_EQ(queues_->remove("g").error().code, ErrorCode::kGroupBusy);
  EXPECT_EQ(queues_->remove("h").error().code, ErrorCode::kUnknownGroup);
  shm::SeekGroup seek{.group = "g", .to = shm::SeekTo::kEnd, .value = 0, .execute = true};
  EXPECT_EQ(queues_->seek(seek).error().code, ErrorCode::kGroupBusy);
  ASSERT_TRUE(queues_->leave(1, group, now_));
  ASSERT_TRUE(queues_->seek(seek));
  EXPECT_EQ(queues_->consumed(kTopic, 0), 5U);
  duty();
  restart();
  EXPECT_EQ(queues_->consumed(kTopic, 0), 5U);
  seek.to = shm::SeekTo::kStart;
  ASSERT_TRUE(queues_->seek(seek));
  join(2, 10);
  EXPECT_EQ(granted(2).size(), 5U);
  queues_->session_ended(2, now_);
  ASSERT_TRUE(queues_->remove("g"));
  EXPECT_FALSE(queues_->has("g"));
  duty();
  restart();
  EXPECT_FALSE(queues_->has("g"));
}

TEST_F(QueuesTest, ASeekToWhereTheQueueStandsHandsEverythingOutAgain) {
  append(5);
  const auto group = join(1, 8);
  ASSERT_EQ(granted(1).size(), 5U);
  EXPECT_EQ(settle(1, group, 0, 1, Outcome::kNack, 3'600'000), ErrorCode::kNone);
  for (Offset i = 1; i < 5; ++i) EXPECT_EQ(settle(1, group, i, 1, Outcome::kAck), ErrorCode::kNone);
  ASSERT_TRUE(queues_->leave(1, group, now_));
  const auto rows = queues_->seek({.group = "g", .to = shm::SeekTo::kStart, .execute = true});
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->at(0).to_offset, 0U);
  const Offsets all{{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}};
  const auto next = join(2, 8);
  EXPECT_EQ(granted(2), all);
  ASSERT_TRUE(queues_->leave(2, next, now_));
  duty();
  restart();
  join(3, 8);
  EXPECT_EQ(granted(3).size(), 5U);
}

TEST_F(QueuesTest, ASeekForwardLeavesWhatIsDoneBehindItAlone) {
  append(5);
  const auto group = join(1, 8);
  ASSERT_EQ(granted(1).size(), 5U);
  EXPECT_EQ(settle(1, group, 3, 1, Outcome::kAck), ErrorCode::kNone);
  ASSERT_TRUE(queues_->leave(1, group, now_));
  ASSERT_TRUE(
      queues_->seek({.group = "g", .to = shm::SeekTo::kForward, .value = 1, .execute = true}));
  duty();
  restart();
  join(2, 8);
  const Offsets left{{1, 2}, {2, 2}, {4, 2}};
  EXPECT_EQ(granted(2), left);
}

TEST_F(QueuesTest, ASeekThatCannotBeMeantMovesNothing) {
  append(5);
  const auto group = join(1);
  ASSERT_TRUE(queues_->leave(1, group, now_));
  shm::SeekGroup seek{.group = "g", .to = shm::SeekTo::kForward, .value = -1, .execute = true};
  const auto error_of = [&] {
    const auto sought = queues_->seek(seek);
    return sought ? ErrorCode::kNone : sought.error().code;
  };
  EXPECT_EQ(error_of(), ErrorCode::kBadArgument);
  seek = {.group = "g", .to = shm::SeekTo{9}, .value = 1, .execute = true};
  EXPECT_EQ(error_of(), ErrorCode::kBadArgument);
  EXPECT_EQ(queues_->consumed(kTopic, 0), 0U);
}

TEST_F(QueuesTest, ASeekByTimeMovesNothingIfOneLogCannotBeRead) {
  topic({.id = kTopic, .name = "t", .partitions = 2});
  append(5);
  append(5, 0, 1);
  const auto group = join(1, 8);
  ASSERT_TRUE(queues_->leave(1, group, now_));
  ASSERT_TRUE(queues_->seek({.group = "g", .to = shm::SeekTo::kEnd, .execute = true}));
  host_.logs[{kTopic, 1}].unreadable = true;
  const auto refused = queues_->seek({.group = "g", .to = shm::SeekTo::kTime, .execute = true});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kIo);
  for (PartitionIndex i = 0; i < 2; ++i) EXPECT_EQ(queues_->consumed(kTopic, i), 5U);
}

TEST_F(QueuesTest, ADeletedTopicTakesItsQueuesWithIt) {
  append(2);
  join(1, 1);
  granted(1);
  queues_->topic_deleted(kTopic);
  duty();
  EXPECT_EQ(queues_->consumed(kTopic, 0), std::nullopt);
  EXPECT_FALSE(queues_->waits_for(kTopic));
  topics_.clear();
  restart();
  EXPECT_TRUE(queues_->describe("g")->queues.empty());
}

TEST_F(QueuesTest, TheJournalIsSaidAgainWhenItHasGrown) {
  queues_ = std::make_unique<Queues>(
      host_, broker::QueuesOptions{.incarnation = 1, .round_after_bytes = 2'000});
  queues_->topic_known(topics_[0]);
  append(400);
  const auto group = join(1, 1);
  for (int i = 0; i < 300; ++i) {
    const auto mine = granted(1);
    ASSERT_EQ(mine.size(), 1U);
    settle(1, group, mine[0].first, 1, Outcome::kAck);
  }
  ASSERT_FALSE(host_.covered.empty());
  const Offset floor = host_.covered.back().first;
  EXPECT_GT(floor, 0U);
  host_.entries.erase(host_.entries.begin(),
                      host_.entries.begin() + static_cast<std::ptrdiff_t>(floor));
  restart();
  EXPECT_EQ(queues_->consumed(kTopic, 0), 300U);
}

TEST_F(QueuesTest, ASnapshotCutShortLeavesWhatStoodBefore) {
  append(4);
  const auto group = join(1, 1);
  granted(1);
  settle(1, group, 0, 1, Outcome::kAck);
  broker::QueueWriter out;
  out.begin(1, {"g", kTopic, 0}, {1, 0});
  host_.entries.push_back(out.take()[0]);
  restart();
  EXPECT_EQ(queues_->consumed(kTopic, 0), 1U);
}

}  // namespace
}  // namespace mallbots::test
