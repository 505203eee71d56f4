#include <signal.h>

#include <map>
#include <set>

#include "clients/consumer.h"
#include "tests/clients/fixture.h"

namespace mallbots::test {
namespace {

using client::as_bytes;
using client::AutoCommit;
using client::Consumer;
using client::TopicPartition;

const std::string kTopics[] = {"t"};

class ConsumerGroupTest : public ClientTest {
 protected:
  void SetUp() override {
    ClientTest::SetUp();
    connection_ = connect();
    create(*connection_, "t", 4);
    producer_ = producer(*connection_, "t");
  }
  void TearDown() override { producer_.reset(); }

  /// `count` records, round robin.
  void append(int count) {
    for (int i = 0; i < count; ++i)
      ASSERT_OK(producer_->append({.payload = as_bytes(std::to_string(next_++))}));
  }

  /// Polls all of them in turn until the values seen together are `count`.
  static std::multiset<int> share(const std::vector<Consumer*>& members, std::size_t count,
                                  bool commit = true) {
    std::multiset<int> seen;
    const Deadline deadline = Deadline::after_ms(15'000);
    while (seen.size() < count && !deadline.has_passed()) {
      for (Consumer* member : members) {
        const auto batch = member->poll(Deadline::after_ms(5));
        if (!batch) {
          ADD_FAILURE() << batch.error().sentence();
          return seen;
        }
        for (const auto& message : *batch) seen.insert(std::stoi(std::string{message.text()}));
        if (commit) {
          EXPECT_OK(member->commit());
        }
      }
    }
    return seen;
  }
  static std::multiset<int> all(int first, int count) {
    std::multiset<int> values;
    for (int i = first; i < first + count; ++i) values.insert(i);
    return values;
  }
  /// The topic under another id, and records in it from `next_` on.
  void make_anew(int count) {
    producer_.reset();
    ASSERT_OK(client::Admin{*connection_}.delete_topic("t"));
    create(*connection_, "t", 4);
    producer_ = producer(*connection_, "t");
    append(count);
  }
  /// As share(), of one member, which may be told of each partition of the old topic that it is
  /// gone.
  static std::multiset<int> share_anew(Consumer& member, std::size_t count) {
    std::multiset<int> seen;
    const Deadline deadline = Deadline::after_ms(15'000);
    while (seen.size() < count && !deadline.has_passed()) {
      const auto batch = member.poll(Deadline::after_ms(5));
      if (!batch && batch.error().code == ErrorCode::kTopicGone) continue;
      EXPECT_OK(batch);
      if (!batch) break;
      for (const auto& message : *batch) seen.insert(std::stoi(std::string{message.text()}));
      EXPECT_OK(member.commit());
    }
    return seen;
  }
  static bool settle(const std::vector<Consumer*>& members, std::size_t each) {
    return eventually([&] {
      bool even = true;
      for (Consumer* member : members) {
        static_cast<void>(member->poll(Deadline::passed(), 1));
        even = even && member->assignment().size() == each;
      }
      return even;
    });
  }

  std::unique_ptr<client::Connection> connection_;
  std::unique_ptr<client::Producer> producer_;
  int next_ = 0;
};

TEST_F(ConsumerGroupTest, MembersShareThePartitionsAndMissNothing) {
  const auto other = connect();
  const auto first = consumer(*connection_);
  const auto second = consumer(*other);
  ASSERT_OK(first->subscribe(kTopics, "g"));
  ASSERT_TRUE(settle({first.get()}, 4));
  append(100);
  EXPECT_EQ(share({first.get()}, 100), all(0, 100));
  ASSERT_OK(second->subscribe(kTopics, "g"));
  ASSERT_TRUE(settle({first.get(), second.get()}, 2));
  append(100);
  EXPECT_EQ(share({first.get(), second.get()}, 100), all(100, 100));
  ASSERT_OK(first->unsubscribe());
  ASSERT_TRUE(settle({second.get()}, 4));
  append(100);
  EXPECT_EQ(share({second.get()}, 100), all(200, 100));
}

TEST_F(ConsumerGroupTest, AConnectionHasOneMemberInAGroup) {
  const auto first = consumer(*connection_);
  ASSERT_OK(first->subscribe(kTopics, "g"));
  const auto second = consumer(*connection_);
  const auto refused = second->subscribe(kTopics, "g");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kBadArgument);
  EXPECT_OK(second->subscribe(kTopics, "other"));
  EXPECT_OK(first->subscribe(kTopics, "g"));
  EXPECT_OK(first->unsubscribe());
  EXPECT_OK(second->subscribe(kTopics, "g"));
}

TEST_F(ConsumerGroupTest, TheHeirStartsAtTheCommittedPosition) {
  append(40);
  const auto other = connect();
  auto first = consumer(*connection_);
  ASSERT_OK(first->subscribe(kTopics, "g"));
  EXPECT_EQ(share({first.get()}, 40), all(0, 40));
  append(40);
  EXPECT_EQ(share({first.get()}, 40, false), all(40, 40));
  first.reset();
  const auto heir = consumer(*other);
  ASSERT_OK(heir->subscribe(kTopics, "g"));
  EXPECT_EQ(share({heir.get()}, 40), all(40, 40));
}

TEST_F(ConsumerGroupTest, CommitOfOneMessageIsAPlaceInItsPartition) {
  append(40);
  auto first = consumer(*connection_);
  ASSERT_OK(first->subscribe(kTopics, "g"));
  std::size_t seen = 0;
  while (seen < 40) {
    const auto batch = first->poll(Deadline::after_ms(5'000));
    ASSERT_OK(batch);
    for (const auto& message : *batch) {
      ++seen;
      if (message.offset == 4) {
        ASSERT_OK(first->commit(message));
      }
    }
  }
  ASSERT_OK(first->commit_durable(Deadline::after_ms(5'000)));
  const auto rows = client::Admin{*connection_}.describe_group("g");
  ASSERT_OK(rows);
  ASSERT_EQ(rows->size(), 4U);
  for (const auto& row : *rows) {
    EXPECT_EQ(row.current_offset, 5U);
    EXPECT_EQ(row.lag, 5U);
  }
}

TEST_F(ConsumerGroupTest, AutoCommitCountsWhatThePollBeforeGave) {
  append(8);
  auto first = consumer(*connection_, {.auto_commit = AutoCommit::kOnPoll});
  ASSERT_OK(first->subscribe(kTopics, "g"));
  EXPECT_EQ(share({first.get()}, 8, false), all(0, 8));
  ASSERT_OK(first->poll(Deadline::passed()));
  append(8);
  EXPECT_EQ(share({first.get()}, 8, false), all(8, 8));
  first.reset();
  auto heir = consumer(*connection_);
  ASSERT_OK(heir->subscribe(kTopics, "g"));
  append(8);
  std::set<int> seen;
  EXPECT_TRUE(eventually([&] {
    const auto batch = heir->poll(Deadline::after_ms(100));
    if (batch)
      for (const auto& message : *batch) seen.insert(std::stoi(std::string{message.text()}));
    return seen.contains(16) && seen.contains(23);
  }));
  // What the last poll gave was not counted yet, what came before it was.
  EXPECT_GT(*seen.begin(), 7);
  EXPECT_LT(*seen.begin(), 16);
}

TEST_F(ConsumerGroupTest, PositionsOutliveTheBrokerAndTheMemory) {
  append(40);
  const auto first = consumer(*connection_);
  ASSERT_OK(first->subscribe(kTopics, "g"));
  EXPECT_EQ(share({first.get()}, 40), all(0, 40));
  ASSERT_TRUE(daemon_.kill_broker());
  append(40);
  EXPECT_EQ(share({first.get()}, 40), all(40, 40));
  ASSERT_OK(first->commit_durable(Deadline::after_ms(10'000)));
  ASSERT_OK(producer_->flush(Deadline::after_ms(10'000)));
  daemon_.process().kill_all();
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  append(40);
  EXPECT_EQ(share({first.get()}, 40), all(80, 40));
}

TEST_F(ConsumerGroupTest, WhoDoesNotPollIsFencedAndTheOthersGoOn) {
  append(40);
  const auto other = connect();
  const auto lazy = consumer(*connection_, {.max_poll_interval_ms = 300});
  ASSERT_OK(lazy->subscribe(kTopics, "g"));
  EXPECT_EQ(share({lazy.get()}, 40), all(0, 40));
  const auto diligent = consumer(*other, {.max_poll_interval_ms = 300});
  ASSERT_OK(diligent->subscribe(kTopics, "g"));
  append(40);
  EXPECT_EQ(share({diligent.get()}, 40), all(40, 40));
  Result<std::span<const client::Message>> fenced;
  do {
    fenced = lazy->poll(Deadline::after_ms(1'000));
  } while (fenced);
  EXPECT_EQ(fenced.error().code, ErrorCode::kFenced) << fenced.error().sentence();
  ASSERT_OK(lazy->subscribe(kTopics, "g"));
  ASSERT_TRUE(settle({lazy.get(), diligent.get()}, 2));
}

TEST_F(ConsumerGroupTest, TheCallbackHearsWhatComesAndGoes) {
  std::map<PartitionIndex, int> held;
  const auto first = consumer(*connection_, {.on_assignment = [&](auto gained, auto lost) {
    for (const TopicPartition& one : gained) ++held[one.partition];
    for (const TopicPartition& one : lost) --held[one.partition];
  }});
  ASSERT_OK(first->subscribe(kTopics, "g"));
  ASSERT_TRUE(settle({first.get()}, 4));
  const auto other = connect();
  const auto second = consumer(*other);
  ASSERT_OK(second->subscribe(kTopics, "g"));
  ASSERT_TRUE(settle({first.get(), second.get()}, 2));
  std::set<PartitionIndex> mine;
  for (const auto& one : first->assignment()) mine.insert(one.partition);
  for (const auto& [partition, count] : held) EXPECT_EQ(count, mine.contains(partition) ? 1 : 0);
}

TEST_F(ConsumerGroupTest, AStaticMemberGetsItsPartitionsBack) {
  auto first = consumer(*connection_);
  ASSERT_OK(first->subscribe(kTopics, "g", "left hand"));
  const auto other = connect();
  const auto second = consumer(*other);
  ASSERT_OK(second->subscribe(kTopics, "g", "right hand"));
  ASSERT_TRUE(settle({first.get(), second.get()}, 2));
  const auto before = first->assignment();
  first.reset();
  first = consumer(*connection_);
  ASSERT_OK(first->subscribe(kTopics, "g", "left hand"));
  ASSERT_TRUE(settle({first.get(), second.get()}, 2));
  EXPECT_EQ(first->assignment(), before);
}

TEST_F(ConsumerGroupTest, ATopicMadeAnewIsReadByTheMembersOfTheOldOne) {
  const auto other = connect();
  const auto member = consumer(*other);
  ASSERT_OK(member->subscribe(kTopics, "g"));
  append(20);
  EXPECT_EQ(share({member.get()}, 20), all(0, 20));
  make_anew(20);
  EXPECT_EQ(share_anew(*member, 20), all(20, 20));
  ASSERT_TRUE(settle({member.get()}, 4));
  // Also for those who heard nothing of it before a second time, or before another broker.
  make_anew(20);
  make_anew(20);
  EXPECT_EQ(share_anew(*member, 20), all(60, 20));
  make_anew(20);
  ASSERT_TRUE(daemon_.kill_broker());
  EXPECT_EQ(share_anew(*member, 20), all(80, 20));
  EXPECT_OK(member->commit_durable(Deadline::after_ms(10'000)));
}

TEST_F(ConsumerGroupTest, AMemberThatHeardOfTheEndReadsTheTopicMadeAnew) {
  const auto other = connect();
  const auto member = consumer(*other);
  ASSERT_OK(member->subscribe(kTopics, "g"));
  ASSERT_TRUE(settle({member.get()}, 4));
  ASSERT_OK(client::Admin{*connection_}.delete_topic("t"));
  ASSERT_TRUE(settle({member.get()}, 0));
  create(*connection_, "t", 4);
  producer_ = producer(*connection_, "t");
  append(20);
  EXPECT_EQ(share_anew(*member, 20), all(0, 20));
}

TEST_F(ConsumerGroupTest, AMessageOfADeletedTopicIsNoPlaceInTheOneMadeAnew) {
  const auto other = connect();
  const auto member = consumer(*other);
  ASSERT_OK(member->subscribe(kTopics, "g"));
  append(40);
  std::optional<client::OwnedMessage> kept;
  for (std::size_t seen = 0; seen < 40;) {
    const auto batch = member->poll(Deadline::after_ms(5'000));
    ASSERT_OK(batch);
    ASSERT_FALSE(batch->empty());
    seen += batch->size();
    kept.emplace(batch->back());
  }
  ASSERT_EQ(kept->view().offset, 9U);
  make_anew(20);
  EXPECT_EQ(share_anew(*member, 20), all(40, 20));
  const auto refused = member->commit(kept->view());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kFenced) << refused.error().sentence();
  append(20);
  ASSERT_OK(member->commit_durable(Deadline::after_ms(5'000)));
  const auto rows = client::Admin{*connection_}.describe_group("g");
  ASSERT_OK(rows);
  for (const auto& row : *rows) EXPECT_EQ(row.current_offset, 5U) << row.partition;
}

TEST_F(ConsumerGroupTest, APartitionWithoutPositionHoldsUpNoOther) {
  create(*connection_, "strict", 4, {{"reset", "fail"}});
  create(*connection_, "later");
  const std::string topics[] = {"t", "strict", "later"};
  const auto later = producer(*connection_, "later");
  append(20);
  append_numbers(*later, next_, 5);
  next_ += 5;
  std::multiset<int> seen;
  int refusals = 0;
  const auto poll = [&](Consumer& member) {
    const auto batch = member.poll(Deadline::after_ms(5));
    if (!batch) {
      EXPECT_EQ(batch.error().code, ErrorCode::kBadPosition) << batch.error().sentence();
      ++refusals;
      return;
    }
    for (const auto& message : *batch) seen.insert(std::stoi(std::string{message.text()}));
    EXPECT_OK(member.commit());
  };
  const auto first = consumer(*connection_);
  ASSERT_OK(first->subscribe(topics, "g"));
  EXPECT_TRUE(eventually([&] {
    poll(*first);
    return seen.size() >= 25;
  }));
  EXPECT_EQ(seen, all(0, 25));
  EXPECT_EQ(refusals, 1);
  // Nor does it keep the heir of another one waiting.
  const auto other = connect();
  const auto second = consumer(*other);
  ASSERT_OK(second->subscribe(topics, "g"));
  EXPECT_TRUE(eventually([&] {
    poll(*first);
    poll(*second);
    return !second->assignment().empty() &&
           first->assignment().size() + second->assignment().size() == 5;
  }));
  append(20);
  EXPECT_TRUE(eventually([&] {
    poll(*first);
    poll(*second);
    return seen.size() >= 45;
  }));
  EXPECT_EQ(seen, all(0, 45));
}

TEST_F(ConsumerGroupTest, RefusesBadNames) {
  const auto own = consumer(*connection_);
  EXPECT_EQ(own->subscribe(kTopics, "").error().code, ErrorCode::kBadGroupName);
  EXPECT_EQ(own->subscribe({}, "g").error().code, ErrorCode::kBadArgument);
  const std::string none[] = {"none"};
  EXPECT_EQ(own->subscribe(none, "g").error().code, ErrorCode::kUnknownTopic);
  EXPECT_TRUE(own->assignment().empty());
}

}  // namespace
}  // namespace mallbots::test
