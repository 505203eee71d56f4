// Outbox and relay: what is committed is published, in order, under its id; and nothing else.
#include "clients/toolkit/store/outbox.h"

#include <gtest/gtest.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "clients/toolkit/in_process_bus.h"
#include "clients/toolkit/store/refused.h"
#include "clients/toolkit/store/relay.h"
#include "tests/clients/toolkit/reading.h"
#include "tests/clients/toolkit/twice.h"
#include "tests/support/process.h"

namespace mallbots::test {
namespace {

using toolkit::Database;
using toolkit::Draft;
using toolkit::InProcessBus;
using toolkit::Outbox;
using toolkit::Relay;
using toolkit::Transaction;

/// A bus that fails on request; under chaos it publishes everything twice, as a relay does that
/// dies before its mark.
class MoodyBus final : public toolkit::Publisher {
 public:
  Result<void> publish(const std::string& topic, std::span<const client::Record> records,
                       const toolkit::PublishOptions& options = {}) override {
    ++calls;
    last_acks = options.acks;
    if (!closed_topic.empty() && topic == closed_topic)
      return fail(ErrorCode::kUnknownTopic, topic);
    if (failures_to_come-- > 0) return fail(ErrorCode::kTimeout, "moody");
    std::size_t bytes = 0;
    for (const client::Record& record : records) bytes += record.payload.size();
    if (bytes > 1000) return fail(ErrorCode::kTooLarge, topic);
    return twice([&] { return inner.publish(topic, records, options); });
  }
  InProcessBus inner{{.keep_all = true}};
  std::atomic<int> failures_to_come = 0;
  std::atomic<int> calls = 0;
  std::string closed_topic;
  client::Acks last_acks = client::Acks::kNone;
};

class OutboxTest : public testing::Test {
 protected:
  Result<void> commit(const std::string& topic, Draft draft) {
    return database_->transact([&](Transaction& transaction) {
      return outbox_->add(transaction, topic, std::move(draft));
    });
  }
  /// As one who passes over what he has seen.
  std::vector<client::OwnedMessage> read(const std::string& topic) {
    return once(read_all(bus_.inner, topic));
  }
  std::vector<std::string> published(const std::string& topic) { return texts(read(topic)); }
  std::size_t pass() { return relay_.run_once().value_or(9999); }

  std::unique_ptr<Database> database_ = Database::open().value();
  std::unique_ptr<Outbox> outbox_ = Outbox::open(*database_).value();
  MoodyBus bus_;
  Relay relay_{*database_, *outbox_, bus_, {.batch = 4, .retry = {.first_ms = 1, .max_ms = 5}}};
};

TEST_F(OutboxTest, WhatIsCommittedIsPublishedWithIdKeyTraceAndPayload) {
  // M10.1, M10.6: there is no envelope; the message itself lies in the outbox.
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  ASSERT_TRUE(commit("t", {.payload = std::string{"a\0b", 3},
                           .name = "Made_v1",
                           .key = "k",
                           .id = "id-1",
                           .correlation_id = "request",
                           .trace = trace,
                           .headers = {{"tenant", "7"}}}));
  EXPECT_EQ(pass(), 1U);
  const auto all = read("t");
  ASSERT_EQ(all.size(), 1U);
  const toolkit::Message message{all[0].view()};
  EXPECT_EQ(message.id(), "id-1");
  EXPECT_EQ(message.key(), "k");
  EXPECT_EQ(message.name(), "Made_v1");
  EXPECT_EQ(message.correlation_id(), "request");
  EXPECT_EQ(message.trace(), trace);
  EXPECT_EQ(message.header("tenant"), "7");
  EXPECT_EQ(message.payload(), (std::string{"a\0b", 3}));
  EXPECT_EQ(bus_.last_acks, client::Acks::kDurable);
}

TEST_F(OutboxTest, ARollbackPublishesNothing) {
  // M10.2
  const auto refused = database_->transact([&](Transaction& transaction) -> Result<void> {
    MALLBOTS_TRY(outbox_->add(transaction, "t", {.payload = "x"}));
    return fail(ErrorCode::kRefused);
  });
  EXPECT_FALSE(refused);
  EXPECT_EQ(pass(), 0U);
  EXPECT_EQ(outbox_->backlog()->waiting, 0U);
}

TEST_F(OutboxTest, OneTopicIsPublishedInTheOrderOfCommitsInBatches) {
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(commit("t", {.payload = std::to_string(i)}));
  EXPECT_EQ(outbox_->backlog()->waiting, 10U);
  EXPECT_EQ(pass() + pass() + pass(), 10U);
  EXPECT_EQ(bus_.calls, 3);
  EXPECT_EQ(published("t"),
            (std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}));
  EXPECT_EQ(outbox_->backlog()->waiting, 0U);
}

TEST_F(OutboxTest, AFailedPublicationIsRepeatedUnderTheSameIds) {
  ASSERT_TRUE(commit("t", {.payload = "x"}));
  bus_.failures_to_come = 1;
  EXPECT_EQ(pass(), 0U);
  EXPECT_EQ(relay_.failures(), 1U);
  EXPECT_NE(relay_.last_error().find("moody"), std::string::npos);
  EXPECT_EQ(outbox_->backlog()->waiting, 1U);
  EXPECT_TRUE(eventually([&] { return pass() == 1; }));
}

TEST_F(OutboxTest, ATopicThatIsAwayHoldsUpItselfOnly) {
  bus_.closed_topic = "away";
  ASSERT_TRUE(commit("away", {.payload = "1"}));
  ASSERT_TRUE(commit("t", {.payload = "2"}));
  EXPECT_EQ(pass(), 1U);
  EXPECT_EQ(published("t"), std::vector<std::string>{"2"});
  bus_.closed_topic.clear();
  EXPECT_TRUE(eventually([&] { return pass() == 1; }));
  EXPECT_EQ(published("away"), std::vector<std::string>{"1"});
}

TEST_F(OutboxTest, WhatNoBusTakesIsSetAsideAndCounted) {
  ASSERT_TRUE(commit("t", {.payload = "before"}));
  ASSERT_TRUE(commit("t", {.payload = std::string(2000, 'x')}));
  ASSERT_TRUE(commit("t", {.payload = "after"}));
  for (int i = 0; i < 3; ++i) static_cast<void>(pass());
  EXPECT_EQ(published("t"), (std::vector<std::string>{"before", "after"}));
  EXPECT_EQ(outbox_->backlog()->refused, 1U);
  EXPECT_EQ(outbox_->backlog()->waiting, 0U);
}

TEST_F(OutboxTest, ARowWithoutATopicIsSetAsideTooAndHoldsNobodyUp) {
  ASSERT_TRUE(commit("", {.payload = "whither?"}));
  ASSERT_TRUE(commit("t", {.payload = "1"}));
  ASSERT_TRUE(commit("", {.payload = "and this?"}));
  for (int i = 0; i < 3; ++i) static_cast<void>(pass());
  EXPECT_EQ(published("t"), std::vector<std::string>{"1"});
  EXPECT_EQ(outbox_->backlog()->refused, 2U);
  EXPECT_EQ(outbox_->backlog()->waiting, 0U);
  const auto rows = database_->read("select refused from outbox where topic = ''");
  ASSERT_EQ(rows->size(), 2U);
  for (const toolkit::Row& row : *rows)
    EXPECT_NE(row.text(0).find("topic"), std::string::npos) << row.text(0);
}

TEST_F(OutboxTest, WhatWasSetAsideIsToldWithItsReasonTheNewestFirst) {
  ASSERT_TRUE(commit("t", {.payload = "taken", .key = "a"}));
  ASSERT_TRUE(commit("t", {.payload = std::string(2000, 'x'), .key = "b"}));
  ASSERT_TRUE(commit("", {.payload = "whither?", .key = "c"}));
  for (int i = 0; i < 3; ++i) static_cast<void>(pass());
  const auto all = toolkit::newest_refused(*database_, 10);
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ(all->front().key, "c");
  EXPECT_EQ(all->back().topic, "t");
  EXPECT_EQ(all->back().key, "b");
  EXPECT_NE(all->back().reason.find("larger"), std::string::npos) << all->back().reason;
  EXPECT_GT(all->front().row, all->back().row);
  EXPECT_GT(all->back().added_ms, 0);
  EXPECT_EQ(toolkit::newest_refused(*database_, 1)->size(), 1U);
}

TEST_F(OutboxTest, TheAgeOfTheOldestIsKnown) {
  ASSERT_TRUE(commit("t", {.payload = "x"}));
  shift_wall_clock(60'000);
  const auto backlog = outbox_->backlog();
  shift_wall_clock(-60'000);
  EXPECT_GE(backlog->oldest_age_ms, 60'000);
  EXPECT_LT(backlog->oldest_age_ms, 70'000);
}

TEST_F(OutboxTest, PublishedOnesStayAsLongAsAsked) {
  Relay keeping{*database_, *outbox_, bus_, {.keep_published_ms = 1'000}};
  ASSERT_TRUE(commit("t", {.payload = "x"}));
  EXPECT_EQ(keeping.run_once(), 1U);
  EXPECT_EQ(database_->read("select count(*) from outbox")->front().integer(0), 1);
  shift_wall_clock(10'000);
  ASSERT_TRUE(commit("t", {.payload = "y"}));
  EXPECT_EQ(keeping.run_once(), 1U);
  shift_wall_clock(-10'000);
  EXPECT_EQ(database_->read("select count(*) from outbox")->front().integer(0), 1);
  EXPECT_EQ(published("t").size(), 2U);
}

TEST_F(OutboxTest, ARunningRelayWakesAtTheCommitAndPublishesWhatWasThereBefore) {
  ASSERT_TRUE(commit("t", {.payload = "before"}));
  std::jthread thread{[&](const std::stop_token& stop) { relay_.run(stop); }};
  ASSERT_TRUE(eventually([&] { return relay_.published() == 1; }));
  bus_.failures_to_come = 3;  // it comes through all the same
  ASSERT_TRUE(commit("t", {.payload = "after"}));
  ASSERT_TRUE(eventually([&] { return relay_.published() == 2; }));
  EXPECT_EQ(published("t"), (std::vector<std::string>{"before", "after"}));
  thread.request_stop();
  thread.join();
}

TEST_F(OutboxTest, ARelayThatHasNothingToDoSleepsWhateverFailedBefore) {
  bus_.failures_to_come = 1;
  ASSERT_TRUE(commit("t", {.payload = std::string(2000, 'x')}));  // put off, then set aside
  std::jthread thread{[&](const std::stop_token& stop) { relay_.run(stop); }};
  ASSERT_TRUE(eventually([&] { return outbox_->backlog()->refused == 1; }));
  const auto processor_ms = [] {
    timespec used{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * 1000 + used.tv_nsec / 1'000'000;
  };
  const auto before = processor_ms();
  // sleep: in which a relay that spins would use all of it
  std::this_thread::sleep_for(std::chrono::milliseconds{300});
  EXPECT_LT(processor_ms() - before, 100);
}

TEST_F(OutboxTest, CommitsOfManyThreadsAreAllPublishedAndInOrder) {
  // M10.5: transactions overlap, one in four rolls back.
  std::jthread relay{[&](const std::stop_token& stop) { relay_.run(stop); }};
  std::mutex mutex;
  std::vector<std::string> committed;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        for (int round = 0; round < 25; ++round) {
          const std::string text = std::to_string(i) + "/" + std::to_string(round);
          static_cast<void>(database_->transact([&](Transaction& transaction) -> Result<void> {
            MALLBOTS_TRY(outbox_->add(transaction, "t", {.payload = text}));
            if (round % 4 == 3) return fail(ErrorCode::kRefused);
            const std::scoped_lock lock{mutex};  // still under the write lock
            committed.push_back(text);
            return {};
          }));
        }
      });
    }
  }
  ASSERT_TRUE(eventually([&] { return relay_.published() == committed.size(); }));
  EXPECT_EQ(published("t"), committed);
}

TEST_F(OutboxTest, SeatsAreNeverOversold) {
  // M10.4: 20 bookings at once, 7 seats.
  ASSERT_TRUE(
      database_->ensure("create table seats (left integer check (left >= 0));"
                        "insert into seats values (7);"));
  std::atomic<int> booked = 0;
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 20; ++i) {
      threads.emplace_back([&] {
        const auto done = database_->transact([&](Transaction& transaction) -> Result<void> {
          const auto taken = transaction.run("update seats set left = left - 1 where left > 0");
          if (!taken) return std::unexpected(taken.error());
          if (*taken == 0) return fail(ErrorCode::kRefused, "sold out");
          return outbox_->add(transaction, "events.Booked", {.payload = "1"});
        });
        ++(done ? booked : refused);
        EXPECT_TRUE(done || done.error().code == ErrorCode::kRefused);
      });
    }
  }
  EXPECT_EQ(booked, 7);
  EXPECT_EQ(refused, 13);
  EXPECT_EQ(outbox_->backlog()->waiting, 7U);
}

}  // namespace
}  // namespace mallbots::test
