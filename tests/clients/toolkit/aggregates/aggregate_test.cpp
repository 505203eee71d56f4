// Aggregates: load, decide, append; conflicts, duplicates, snapshots, older events.
#include "clients/toolkit/aggregates/aggregate.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/clients/toolkit/twice.h"

namespace mallbots::test {
namespace {

using toolkit::Aggregate;
using toolkit::field;
using toolkit::MemoryStreams;
using toolkit::Repository;

struct AccountOpened {
  static constexpr auto kMessage = toolkit::event("AccountOpened", 1);
  std::string owner;
  static constexpr auto fields() { return std::tuple{field("owner", &AccountOpened::owner)}; }
};
struct PaidInV0 {
  static constexpr auto kMessage = toolkit::event("PaidIn", 0);
  std::int64_t euros = 0;
  static constexpr auto fields() { return std::tuple{field("euros", &PaidInV0::euros)}; }
};
struct PaidIn {
  static constexpr auto kMessage = toolkit::event("PaidIn", 1);
  std::int64_t cents = 0;
  static constexpr auto fields() { return std::tuple{field("cents", &PaidIn::cents)}; }
  static PaidIn upcast(PaidInV0 before) { return {before.euros * 100}; }
};
struct Audited {
  static constexpr auto kMessage = toolkit::internal_event("Audited", 1);
  static constexpr auto fields() { return std::tuple<>{}; }
};

struct Account {
  static constexpr std::string_view kAggregate = "account";
  using Events = toolkit::EventTypes<AccountOpened, PaidIn, Audited>;
  void apply(const AccountOpened& event) { owner = event.owner; }
  void apply(const PaidIn& event) { cents += event.cents; }
  void apply(const Audited&) {}

  std::string owner;
  std::int64_t cents = 0;
  static constexpr auto fields() {
    return std::tuple{field("owner", &Account::owner), field("cents", &Account::cents)};
  }
};

Result<void> pay_in(Aggregate<Account>& account, std::int64_t cents) {
  if (account->owner.empty()) return fail(ErrorCode::kRefused, "no such account");
  account.record(PaidIn{cents});
  return {};
}

class AggregateTest : public testing::Test {
 protected:
  Result<std::uint64_t> open(const std::string& id) {
    return twice([&] {
      return accounts_.change(id, {.causation_id = "open " + id},
                              [](Aggregate<Account>& account) -> Result<void> {
                                account.record(AccountOpened{"Ann"});
                                return {};
                              });
    });
  }
  Result<std::uint64_t> pay(const std::string& command, std::int64_t cents) {
    return twice([&] {
      return accounts_.change("1", {.correlation_id = "request", .causation_id = command},
                              [&](auto& account) { return pay_in(account, cents); });
    });
  }
  MemoryStreams streams_;
  Repository<Account> accounts_{streams_, {.snapshot_every = 10}};
};

TEST_F(AggregateTest, WhatIsRecordedIsLoadedAgain) {
  EXPECT_EQ(accounts_.load("1")->version(), 0U);
  EXPECT_EQ(open("1"), 1U);
  EXPECT_EQ(pay("c1", 250), 2U);
  const auto account = accounts_.load("1");
  EXPECT_EQ((*account)->owner, "Ann");
  EXPECT_EQ((*account)->cents, 250);
  EXPECT_EQ(account->version(), 2U);
  const auto events = streams_.read("account-1", 1);
  EXPECT_EQ(toolkit::Message{events->at(0).message.view()}.correlation_id(), "request");
}

TEST_F(AggregateTest, ARefusedDecisionStoresNothing) {
  EXPECT_EQ(pay("c1", 250).error().code, ErrorCode::kRefused);
  EXPECT_TRUE(streams_.read("account-1", 0)->empty());
}

TEST_F(AggregateTest, ACommandThatComesAgainChangesNothing) {
  ASSERT_TRUE(open("1"));
  EXPECT_EQ(pay("c1", 250), 2U);
  EXPECT_EQ(pay("c1", 250), 2U);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(pay("d" + std::to_string(i), 1));
  EXPECT_EQ(pay("c1", 250), 22U);  // also over a snapshot
  EXPECT_EQ((*accounts_.load("1"))->cents, 270);
}

TEST_F(AggregateTest, WhoWasSlowerDecidesAgainOnTheNewState) {
  ASSERT_TRUE(open("1"));
  int decided = 0;
  const auto done = accounts_.change("1", {}, [&](Aggregate<Account>& account) -> Result<void> {
    if (++decided == 1) static_cast<void>(pay("faster", 100));
    account.record(PaidIn{account->cents});
    return {};
  });
  EXPECT_EQ(done, 3U);
  EXPECT_EQ(decided, 2);
  EXPECT_EQ((*accounts_.load("1"))->cents, 200);
}

TEST_F(AggregateTest, NothingIsLostBetweenManyWriters) {
  ASSERT_TRUE(open("1"));
  Repository<Account> patient{streams_, {.snapshot_every = 7, .max_tries = 1'000}};
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread)
      threads.emplace_back([&, thread] {
        for (int i = 0; i < 25; ++i) {
          const std::string command = std::to_string(thread) + "/" + std::to_string(i);
          EXPECT_TRUE(twice([&] {
            return patient.change("1", {.causation_id = command},
                                  [](auto& account) { return pay_in(account, 1); });
          }));
        }
      });
  }
  EXPECT_EQ((*accounts_.load("1"))->cents, 100);
  EXPECT_EQ(accounts_.load("1")->version(), 101U);
}

TEST_F(AggregateTest, SnapshotsAreTakenAndOneOfAnotherFormIsPassedOver) {
  ASSERT_TRUE(open("1"));
  for (int i = 0; i < 24; ++i) ASSERT_TRUE(pay("c" + std::to_string(i), 1));
  EXPECT_EQ(streams_.snapshot("account-1").value()->version, 20U);
  ASSERT_TRUE(streams_.save_snapshot(
      "account-1", {20, R"({"form":1,"handled":[],"state":{"owner":"Bob","cents":7}})"}));
  EXPECT_EQ((*accounts_.load("1"))->owner, "Bob");
  EXPECT_EQ((*accounts_.load("1"))->cents, 12);
  Repository<Account> other{streams_, {.snapshot_every = 10, .snapshot_form = 2}};
  EXPECT_EQ((*other.load("1"))->owner, "Ann");
  ASSERT_TRUE(streams_.save_snapshot("account-1", {20, "torn"}));
  EXPECT_EQ((*accounts_.load("1"))->cents, 24);
}

TEST_F(AggregateTest, OlderEventsAreBroughtUpAndUnknownOnesAreNamed) {
  const toolkit::NewEvent opened{toolkit::encode(AccountOpened{"Ann"})};
  const toolkit::NewEvent old{toolkit::encode(PaidInV0{3})};
  ASSERT_TRUE(streams_.append("account-1", 0, std::vector{opened, old}));
  EXPECT_EQ((*accounts_.load("1"))->cents, 300);
  const toolkit::NewEvent strange{{.payload = "{}", .name = "Strange_v1"}};
  ASSERT_TRUE(streams_.append("account-1", 2, {&strange, 1}));
  EXPECT_EQ(accounts_.load("1").error().code, ErrorCode::kUndecodable);
}

}  // namespace
}  // namespace mallbots::test
