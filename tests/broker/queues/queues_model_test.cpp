// Random histories of queues: members join, settle, hang, die; brokers are replaced, with and
// without their memory. A referee sees every grant. At each restart the heir must know the same as
// the broker before it, and at the end, with one healthy member left, everything must get done.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdlib>

#include "tests/broker/queues/fake_queue_host.h"

namespace mallbots::test {
namespace {

using broker::Queues;
using shm::Outcome;

const bool kManyRuns = [] {
  return ::setenv("RC_PARAMS", "max_success=1000 max_size=150", 0) == 0;
}();

constexpr TopicId kTopic{9};
constexpr SessionIndex kSessions = 4;
constexpr BootNanos kLock = 100 * kMillisecond;
constexpr std::uint32_t kMaxDeliveries = 4;

class History {
 public:
  History() { start(); }

  void run(std::uint8_t kind, std::uint8_t much) {
    const SessionIndex who = much % kSessions;
    switch (kind % 16) {
      case 0:
      case 1:
      case 2:
        for (int i = 0; i <= much % 8; ++i)
          host_.logs[{kTopic, who % 2U}].keys.push_back(much % 3U == 0 ? 0 : (much + i) % 4U);
        break;
      case 3:
      case 4:
        join(who, 1 + much % 5);
        break;
      case 5:
        die(who);
        break;
      case 6:
        now_ += much % 3 == 0 ? kLock : kMillisecond;
        host_.wall += much;
        break;
      case 7:
        duty();
        restart(true);
        break;
      case 8:
        duty();
        if (much % 4 == 0) restart(false);
        break;
      case 9:
        host_.journal_room = much % 4 == 0 ? 0 : ~std::size_t{0};
        break;
      default:
        settle(much);
    }
    duty();
  }

  /// One healthy member takes all that is left.
  void finish() {
    host_.journal_room = ~std::size_t{0};
    duty();
    for (SessionIndex who = 0; who < kSessions; ++who) die(who);
    next_session_ += kSessions;
    join(0, 8);
    for (int turn = 0; turn < 5'000; ++turn) {
      duty();
      if (held_.empty()) now_ += kLock;
      for (const auto& [at, holder] : std::map{held_}) settle_one(at, holder, Outcome::kAck, 0);
    }
    for (const PartitionIndex partition : {0U, 1U}) {
      const auto end = host_.logs[{kTopic, partition}].keys.size();
      if (const auto done = queues_->consumed(kTopic, partition); done)
        RC_ASSERT(*done == end);
      else
        RC_FAIL("nobody knows the queue");
    }
  }

 private:
  using At = std::pair<PartitionIndex, Offset>;
  struct Holder {
    SessionIndex session;
    std::uint32_t attempt;
    BootNanos until;
    bool is_known = true;  ///< the broker of now has said it
  };

  void start() {
    queues_ = std::make_unique<Queues>(
        host_, broker::QueuesOptions{.incarnation = ++incarnation_, .round_after_bytes = 1'500});
    queues_->topic_known({.id = kTopic, .name = "t", .partitions = 2});
  }
  void restart(bool memory_kept) {
    if (host_.journal_room == 0) return;
    const auto before = queues_->describe("g");
    start();
    const Offset floor = host_.covered.empty() ? 0 : host_.covered.back().first;
    for (Offset i = floor; i < host_.entries.size(); ++i)
      RC_ASSERT(queues_->replay(host_.entries[i], memory_kept, now_).has_value());
    queues_->started(memory_kept, now_);
    const auto after = queues_->describe("g");
    RC_ASSERT(before.has_value() == after.has_value());
    if (before) {
      for (std::size_t i = 0; i < before->queues.size(); ++i) {
        RC_ASSERT(before->queues[i].low <= after->queues[i].low + 1'000);
        RC_ASSERT(before->queues[i].left == after->queues[i].left);
        if (memory_kept) RC_ASSERT(before->queues[i].in_flight == after->queues[i].in_flight);
      }
    }
    joined_.clear();
    if (memory_kept) {
      for (auto& [at, holder] : held_) {
        holder.until = now_ + broker::QueuesOptions{}.restart_lock_ns;
        holder.is_known = false;
      }
    } else {
      held_.clear();
      for (SessionIndex who = 0; who < kSessions; ++who) host_.alive.erase(token(who));
      next_session_ += kSessions;
    }
  }
  [[nodiscard]] std::pair<SessionIndex, std::uint64_t> token(SessionIndex who) const {
    const auto session = static_cast<SessionIndex>(next_session_ + who);
    return {session, session + 1'000U};
  }
  void join(SessionIndex who, std::uint32_t max_in_flight) {
    const auto [session, secret] = token(who);
    host_.alive.insert({session, secret});
    const auto joined = queues_->join({.holder = {session, secret},
                                       .group = "g",
                                       .topics = {"t"},
                                       .max_in_flight = max_in_flight,
                                       .lock_ms = kLock / kMillisecond,
                                       .max_deliveries = kMaxDeliveries},
                                      now_);
    RC_ASSERT(joined.has_value());
    group_ = joined->group_id;
    joined_.insert(session);
    const auto holds = std::ranges::count_if(
        held_, [&](const auto& one) { return one.second.session == session; });
    // What the journal has not taken yet is held, and nobody was told.
    RC_ASSERT(joined->held == holds || host_.journal_room == 0);
  }
  void die(SessionIndex who) {
    const auto [session, secret] = token(who);
    host_.alive.erase({session, secret});
    queues_->session_ended(session, now_);
    joined_.erase(session);
    std::erase_if(held_, [&](const auto& one) { return one.second.session == session; });
  }
  void settle(std::uint8_t much) {
    if (held_.empty()) return;
    const auto at = std::next(held_.begin(), much % held_.size());
    if (!joined_.contains(at->second.session)) return;
    if (!at->second.is_known) return;
    static constexpr Outcome kOutcomes[] = {Outcome::kAck,    Outcome::kAck,    Outcome::kNack,
                                            Outcome::kReject, Outcome::kReturn, Outcome::kExtend};
    settle_one(at->first, at->second, kOutcomes[much % 6], much % 2 == 0 ? 0 : much);
  }
  void settle_one(At at, Holder holder, Outcome outcome, std::uint32_t delay_ms) {
    queues_->settle(holder.session,
                    {.group_id = group_,
                     .number = 1,
                     .topic_id = static_cast<std::uint64_t>(kTopic),
                     .partition = at.first,
                     .items = {{at.second, holder.attempt, outcome}},
                     .notes = {{.item = 0, .delay_ms = delay_ms}}},
                    now_);
    if (outcome == Outcome::kExtend) {
      held_.at(at).until = now_ + kLock;
      return;
    }
    if (outcome == Outcome::kAck) RC_ASSERT(done_.insert(at).second);
    held_.erase(at);
  }

  void duty() {
    host_.answers.clear();
    std::erase_if(held_, [&](const auto& one) {  // before the broker looks: its locks may be over
      return one.second.until <= now_;
    });
    const BootNanos next = queues_->duty(now_);
    RC_ASSERT(next >= now_);
    for (const auto& [session, answer] : host_.answers) RC_ASSERT(answer.faults.empty());
    for (const auto& [session, grants] : std::exchange(host_.grants, {})) {
      // The journal kept it back for longer than its lock: a member lets it be.
      const bool is_over = grants.lock_until_ns <= now_;
      for (const shm::Grant& grant : grants.grants) {
        const At at{grants.partition, grant.offset};
        if (grants.again) {
          if (!held_.contains(at)) continue;  // settled meanwhile, and not confirmed yet
          RC_ASSERT(held_.at(at).session == session);
          held_.at(at) = {session, grant.attempt, grants.lock_until_ns};
          if (is_over) held_.erase(at);
          continue;
        }
        if (is_over) continue;
        check_grant(at, session, grant.attempt);
        held_[at] = {session, grant.attempt, grants.lock_until_ns};
      }
    }
  }
  void check_grant(At at, SessionIndex session, std::uint32_t attempt) {
    RC_ASSERT(joined_.contains(session));
    RC_ASSERT(!done_.contains(at));
    RC_ASSERT(attempt >= 1);
    RC_ASSERT(!held_.contains(at));
    const auto& keys = host_.logs[{kTopic, at.first}].keys;
    const std::uint64_t key = keys[at.second];
    for (Offset i = 0; key != 0 && i < at.second; ++i)
      RC_ASSERT(keys[i] != key || done_.contains({at.first, i}) || is_buried({at.first, i}));
  }
  [[nodiscard]] bool is_buried(At at) const {
    return std::ranges::any_of(host_.letters, [&](const broker::LetterOrder& letter) {
      return letter.queue.partition == at.first && letter.offset == at.second;
    });
  }

  FakeQueueHost host_;
  std::unique_ptr<Queues> queues_;
  std::uint32_t incarnation_ = 0;
  std::uint64_t group_ = 0;
  SessionIndex next_session_ = 1;
  BootNanos now_ = kSecond;
  std::map<At, Holder> held_;
  std::set<At> done_;
  std::set<SessionIndex> joined_;
};

TEST(QueuesModel, NothingIsLostDoubledOrOutOfOrder) {
  EXPECT_TRUE(kManyRuns || std::getenv("RC_PARAMS") != nullptr);
  EXPECT_TRUE(rc::check([](const std::vector<std::pair<std::uint8_t, std::uint8_t>>& steps) {
    History history;
    for (const auto& [kind, much] : steps) history.run(kind, much);
    history.finish();
  }));
}

}  // namespace
}  // namespace mallbots::test
