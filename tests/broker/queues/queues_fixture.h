// QueuesTest: queues of one topic "t" over a FakeQueueHost, and short words for what tests do.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/broker/queues/fake_queue_host.h"

namespace mallbots::test {

using broker::DeathReason;
using broker::Queues;
using shm::Outcome;

inline constexpr TopicId kTopic{77};
inline constexpr std::uint32_t kLockMs = 1'000;

class QueuesTest : public testing::Test {
 protected:
  void SetUp() override {
    topic({.id = kTopic, .name = "t", .partitions = 1});
    queues_->started(false, now_);
  }
  void topic(const broker::QueueTopic& topic) {
    topics_.push_back(topic);
    queues_->topic_known(topic);
  }
  void append(std::size_t count, std::uint64_t key = 0, PartitionIndex partition = 0) {
    auto& keys = host_.logs[{kTopic, partition}].keys;
    keys.insert(keys.end(), count, key);
  }
  std::uint64_t join(SessionIndex session, std::uint32_t max_in_flight = 4,
                     std::uint32_t max_deliveries = 0, const std::string& group = "g") {
    host_.alive.insert({session, session + 100U});
    const auto joined = queues_->join({.holder = {session, session + 100U},
                                       .group = group,
                                       .topics = {"t"},
                                       .max_in_flight = max_in_flight,
                                       .lock_ms = kLockMs,
                                       .max_deliveries = max_deliveries},
                                      now_);
    EXPECT_TRUE(joined) << joined.error().sentence();
    return joined ? joined->group_id : 0;
  }
  BootNanos duty() { return queues_->duty(now_); }
  /// Offsets granted to the session since the last call; with what attempt.
  std::vector<std::pair<Offset, std::uint32_t>> granted(SessionIndex session) {
    duty();
    std::vector<std::pair<Offset, std::uint32_t>> all;
    std::erase_if(host_.grants, [&](const auto& one) {
      if (one.first != session) return false;
      for (const shm::Grant& grant : one.second.grants)
        all.emplace_back(grant.offset, grant.attempt);
      return true;
    });
    return all;
  }
  ErrorCode settle(SessionIndex session, std::uint64_t group, Offset offset, std::uint32_t attempt,
                   Outcome outcome, std::uint32_t delay_ms = 0) {
    queues_->settle(session,
                    {.group_id = group,
                     .number = 7,
                     .topic_id = static_cast<std::uint64_t>(kTopic),
                     .partition = 0,
                     .items = {{offset, attempt, outcome}},
                     .notes = {{.item = 0, .delay_ms = delay_ms, .type = "Bad", .text = "x"}}},
                    now_);
    duty();
    const auto answer = host_.answers.back().second;
    EXPECT_EQ(host_.answers.back().first, session);
    EXPECT_EQ(answer.number, 7U);
    return answer.faults.empty() ? ErrorCode::kNone : answer.faults[0].code;
  }
  /// A broker that dies and its heir.
  void restart(bool memory_kept = true) {
    queues_ = std::make_unique<Queues>(host_, broker::QueuesOptions{.incarnation = ++incarnation_});
    for (const auto& one : topics_) queues_->topic_known(one);
    for (const auto& payload : host_.entries) {
      const auto replayed = queues_->replay(payload, memory_kept, now_);
      ASSERT_TRUE(replayed) << replayed.error().sentence();
    }
    queues_->started(memory_kept, now_);
    host_.grants.clear();
  }
  using Offsets = std::vector<std::pair<Offset, std::uint32_t>>;

  FakeQueueHost host_;
  std::uint32_t incarnation_ = 1;
  std::vector<broker::QueueTopic> topics_;
  std::unique_ptr<Queues> queues_ =
      std::make_unique<Queues>(host_, broker::QueuesOptions{.incarnation = 1});
  BootNanos now_ = kSecond;
};

}  // namespace mallbots::test
