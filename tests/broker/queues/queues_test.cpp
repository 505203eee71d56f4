#include "broker/queues/queues.h"

#include <algorithm>
#include <set>

#include "tests/broker/queues/queues_fixture.h"

namespace mallbots::test {
namespace {

TEST_F(QueuesTest, MoreMembersThanPartitionsShareOne) {
  append(8);
  for (SessionIndex session = 1; session <= 4; ++session) join(session, 2);
  std::set<Offset> all;
  for (SessionIndex session = 1; session <= 4; ++session) {
    const auto mine = granted(session);
    EXPECT_EQ(mine.size(), 2U);
    for (const auto& [offset, attempt] : mine) {
      EXPECT_TRUE(all.insert(offset).second);
      EXPECT_EQ(attempt, 1U);
    }
  }
  EXPECT_EQ(all.size(), 8U);
}

TEST_F(QueuesTest, NothingIsGrantedOfAPartitionInQuarantineAndNoAttemptCounts) {
  append(2);
  join(1, 1);
  EXPECT_EQ(granted(1), (Offsets{{0, 1}}));
  host_.logs[{kTopic, 0}].quarantined = true;
  restart();
  queues_->session_ended(1, now_);
  join(2);
  for (int i = 0; i < 3; ++i) {
    now_ += 60 * kSecond;
    EXPECT_EQ(granted(2), Offsets{});
  }
  host_.logs[{kTopic, 0}].quarantined = false;
  EXPECT_EQ(granted(2), (Offsets{{0, 2}, {1, 1}}));
}

TEST_F(QueuesTest, AnAckMakesRoomForTheNext) {
  append(3);
  const auto group = join(1, 1);
  EXPECT_EQ(granted(1), (Offsets{{0, 1}}));
  EXPECT_EQ(granted(1), Offsets{});
  EXPECT_EQ(settle(1, group, 0, 1, Outcome::kAck), ErrorCode::kNone);
  EXPECT_EQ(granted(1), (Offsets{{1, 1}}));
  EXPECT_EQ(queues_->consumed(kTopic, 0), 1U);
}

TEST_F(QueuesTest, ADeadMembersMessagesAreFreeAtOnce) {
  append(2);
  join(1);
  EXPECT_EQ(granted(1).size(), 2U);
  join(2);
  EXPECT_EQ(granted(2), Offsets{});
  queues_->session_ended(1, now_);
  EXPECT_EQ(granted(2), (Offsets{{0, 2}, {1, 2}}));
}

TEST_F(QueuesTest, ExtendingKeepsALock) {
  append(1);
  const auto group = join(1);
  EXPECT_EQ(granted(1).size(), 1U);
  now_ += 900 * kMillisecond;
  EXPECT_EQ(settle(1, group, 0, 1, Outcome::kExtend), ErrorCode::kNone);
  EXPECT_EQ(host_.answers.back().second.lock_until_ns, now_ + kLockMs * kMillisecond);
  now_ += 900 * kMillisecond;
  duty();
  EXPECT_EQ(settle(1, group, 0, 1, Outcome::kAck), ErrorCode::kNone);
}

TEST_F(QueuesTest, ANackComesAgainAfterItsDelay) {
  append(1);
  const auto group = join(1);
  granted(1);
  EXPECT_EQ(settle(1, group, 0, 1, Outcome::kNack, 50), ErrorCode::kNone);
  EXPECT_EQ(granted(1), Offsets{});
  EXPECT_EQ(duty(), now_ + 50 * kMillisecond);
  now_ += 50 * kMillisecond;
  EXPECT_EQ(granted(1), (Offsets{{0, 2}}));
}

TEST_F(QueuesTest, WrongSettlementsAreToldApart) {
  append(2);
  const auto group = join(1, 1);
  granted(1);
  EXPECT_EQ(settle(1, group, 1, 1, Outcome::kAck), ErrorCode::kNotHeld);
  EXPECT_EQ(settle(1, group, 0, 2, Outcome::kAck), ErrorCode::kNotHeld);
  EXPECT_EQ(settle(1, group, 0, 1, static_cast<Outcome>(9)), ErrorCode::kBadArgument);
  EXPECT_EQ(settle(1, group, 0, 1, Outcome::kNack, Queues::kMaxDelayMs + 1),
            ErrorCode::kBadArgument);
  EXPECT_EQ(settle(1, group, 0, 1, Outcome::kAck), ErrorCode::kNone);
  EXPECT_EQ(settle(1, group, 0, 1, Outcome::kAck), ErrorCode::kAlreadySettled);
  EXPECT_EQ(settle(1, 12345, 0, 1, Outcome::kAck), ErrorCode::kFenced);
  EXPECT_EQ(settle(9, group, 0, 1, Outcome::kAck), ErrorCode::kFenced);
}

TEST_F(QueuesTest, JoinsAreChecked) {
  const auto code = [&](const broker::QueueJoin& request) {
    const auto joined = queues_->join(request, now_);
    return joined ? ErrorCode::kNone : joined.error().code;
  };
  broker::QueueJoin good{.holder = {1, 1}, .group = "g", .topics = {"t"}};
  EXPECT_EQ(code(good), ErrorCode::kNone);
  auto bad = good;
  bad.group = "";
  EXPECT_EQ(code(bad), ErrorCode::kBadGroupName);
  bad = good;
  bad.topics = {};
  EXPECT_EQ(code(bad), ErrorCode::kBadArgument);
  bad.topics = {"nowhere"};
  EXPECT_EQ(code(bad), ErrorCode::kUnknownTopic);
  bad = good;
  bad.max_in_flight = Queues::kMaxInFlight + 1;
  EXPECT_EQ(code(bad), ErrorCode::kBadArgument);
  bad = good;
  bad.group = std::string(195, 'g');  // t.GROUP.dlq has 201 bytes
  EXPECT_EQ(code(bad), ErrorCode::kBadGroupName);
  bad.group.pop_back();
  EXPECT_EQ(code(bad), ErrorCode::kNone);
  bad = good;
  bad.lock_ms = 1;
  EXPECT_EQ(code(bad), ErrorCode::kBadArgument);
  topic({.id = TopicId{5}, .name = "f", .partitions = 1, .reset = broker::ResetTo::kFail});
  bad = good;
  bad.topics = {"f"};
  EXPECT_EQ(code(bad), ErrorCode::kBadPosition);
}

TEST_F(QueuesTest, TheNumberOfQueuesHasALimit) {
  topic({.id = TopicId{5}, .name = "wide", .partitions = Queues::kMaxQueues - 1});
  const auto code = [&](const std::string& group, const std::string& on) {
    const auto joined =
        queues_->join({.holder = {1, 1}, .group = group, .topics = {on}, .lock_ms = 1'000}, now_);
    return joined ? ErrorCode::kNone : joined.error().code;
  };
  EXPECT_EQ(code("a", "wide"), ErrorCode::kNone);
  EXPECT_EQ(code("b", "wide"), ErrorCode::kLimitReached);
  EXPECT_FALSE(queues_->has("b")) << "a refused join leaves nothing";
  EXPECT_EQ(code("b", "t"), ErrorCode::kNone);
  EXPECT_EQ(code("c", "t"), ErrorCode::kLimitReached);
  EXPECT_EQ(code("b", "t"), ErrorCode::kNone) << "who is in it joins again";
}

TEST_F(QueuesTest, WhoGivesSomethingBackGetsNothingMoreEvenIfItWasNotItsOwn) {
  const auto group = join(1);
  EXPECT_EQ(settle(1, group, kNoOffset, 0, Outcome::kReturn), ErrorCode::kNotHeld);
  append(1);
  EXPECT_EQ(granted(1), Offsets{});
  queues_->settle(1, {.group_id = group, .number = 8}, now_);
  EXPECT_EQ(granted(1), (Offsets{{0, 1}}));
}

TEST_F(QueuesTest, LeavingKillsNothingAndCountsAttempts) {
  append(1);
  auto group = join(1, 4, 1);
  granted(1);
  ASSERT_TRUE(queues_->leave(1, group, now_));
  EXPECT_TRUE(host_.letters.empty());
  EXPECT_FALSE(queues_->leave(1, group, now_));
  group = join(2, 4, 1);
  EXPECT_EQ(granted(2), (Offsets{{0, 2}}));
  settle(2, group, 0, 2, Outcome::kReturn);
  EXPECT_EQ(granted(2), Offsets{});
  queues_->settle(2, {.group_id = group, .number = 8}, now_);
  EXPECT_EQ(granted(2), (Offsets{{0, 2}}));
}

}  // namespace
}  // namespace mallbots::test
