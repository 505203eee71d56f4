#include "clients/queue_consumer.h"

#include <signal.h>

#include <map>
#include <set>

#include "clients/event_store.h"
#include "tests/clients/fixture.h"
#include "tests/clients/old_publication.h"

namespace mallbots::test {
namespace {

using client::as_bytes;
using client::QueueConsumer;
using client::QueueConsumerOptions;
using client::QueueMessage;

const std::string kTopics[] = {"t"};

class QueueConsumerTest : public ClientTest {
 protected:
  void SetUp() override {
    ClientTest::SetUp();
    connection_ = connect();
    create(*connection_, "t", 2);
    producer_ = producer(*connection_, "t");
  }
  void TearDown() override {
    members_.clear();
    producer_.reset();
  }
  struct Member {
    std::unique_ptr<client::Connection> connection;
    std::unique_ptr<QueueConsumer> consumer;
  };
  QueueConsumer& join(const QueueConsumerOptions& options = {}, const std::string& group = "g") {
    Member member{connect(), nullptr};
    auto opened = QueueConsumer::open(*member.connection, options);
    EXPECT_OK(opened);
    member.consumer = std::move(*opened);
    EXPECT_OK(member.consumer->subscribe(kTopics, group));
    return *members_.emplace_back(std::move(member)).consumer;
  }
  void append(int first, int count, const std::string& key = {}) {
    client::Receipt last{};
    for (int i = first; i < first + count; ++i) {
      const std::string text = std::to_string(i);
      const auto receipt = producer_->append({.payload = as_bytes(text), .key = as_bytes(key)},
                                             {.acks = client::Acks::kDurable});
      ASSERT_OK(receipt);
      last = *receipt;
    }
  }
  static std::vector<QueueMessage> poll(QueueConsumer& member, std::int64_t limit_ms = 5'000,
                                        std::size_t most = 64) {
    auto messages = member.poll(Deadline::after_ms(limit_ms), most);
    EXPECT_OK(messages);
    return messages ? std::move(*messages) : std::vector<QueueMessage>{};
  }
  /// Polls and acknowledges in turn until `count` different texts were seen.
  static std::map<int, int> share(const std::vector<QueueConsumer*>& members, std::size_t count) {
    std::map<int, int> seen;
    const Deadline deadline = Deadline::after_ms(20'000);
    while (seen.size() < count && !deadline.has_passed()) {
      for (QueueConsumer* member : members) {
        for (const QueueMessage& message : poll(*member, 2)) {
          ++seen[std::stoi(std::string{message->text()})];
          EXPECT_OK(member->ack(message.token()));
        }
      }
    }
    for (QueueConsumer* member : members) EXPECT_OK(member->flush(Deadline::after_ms(5'000)));
    return seen;
  }
  static void expect_once(const std::map<int, int>& seen, std::size_t count) {
    EXPECT_EQ(seen.size(), count);
    for (const auto& [value, times] : seen) EXPECT_EQ(times, 1) << value;
  }

  std::unique_ptr<client::Connection> connection_;
  std::unique_ptr<client::Producer> producer_;
  std::vector<Member> members_;
};

TEST_F(QueueConsumerTest, SixteenMembersOnTwoPartitionsGetEachMessageOnce) {
  std::vector<QueueConsumer*> members;
  for (int i = 0; i < 16; ++i) members.push_back(&join({.max_in_flight = 4}));
  append(0, 500);
  expect_once(share(members, 500), 500);
}

TEST_F(QueueConsumerTest, AMessageIsGoneOnceAcknowledged) {
  append(0, 10);
  {
    QueueConsumer& first = join();
    expect_once(share({&first}, 10), 10);
  }
  members_.clear();
  QueueConsumer& second = join();
  append(10, 1);
  const auto rest = poll(second);
  ASSERT_EQ(rest.size(), 1U);
  EXPECT_EQ(rest[0]->text(), "10");
  EXPECT_EQ(rest[0].attempt, 1U);
}

TEST_F(QueueConsumerTest, ANackComesAgainWithTheNextAttempt) {
  append(0, 1);
  QueueConsumer& member = join();
  auto first = poll(member);
  ASSERT_EQ(first.size(), 1U);
  ASSERT_OK(member.nack(first[0].token(), 30));
  const BootNanos nacked = boot_now_ns();
  const auto again = poll(member);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_GE(boot_now_ns() - nacked, 25 * kMillisecond);
  EXPECT_EQ(again[0].attempt, 2U);
  EXPECT_EQ(again[0]->text(), "0");
  ASSERT_OK(member.ack(again[0].token()));
  EXPECT_OK(member.flush(Deadline::after_ms(5'000)));
}

TEST_F(QueueConsumerTest, WrongSettlementsAreTold) {
  append(0, 1);
  QueueConsumer& member = join({.lock_ms = 150});
  const auto code = [](const Result<void>& result) {
    return result ? ErrorCode::kNone : result.error().code;
  };
  EXPECT_EQ(code(member.ack({"t", 0, 99, 1})), ErrorCode::kNotHeld);
  EXPECT_EQ(code(member.ack({"nowhere", 0, 0, 1})), ErrorCode::kNotHeld);
  auto messages = poll(member);
  ASSERT_EQ(messages.size(), 1U);
  auto token = messages[0].token();
  EXPECT_EQ(code(member.nack(token, 25 * 3'600'000U)), ErrorCode::kBadArgument);
  ++token.attempt;
  EXPECT_EQ(code(member.ack(token)), ErrorCode::kNotHeld);
  // Its lock ends; the late ack is refused, and it comes again.
  ASSERT_TRUE(eventually([&] { return messages[0].lock_until_ns < boot_now_ns(); }));
  EXPECT_EQ(code(member.ack(messages[0].token())), ErrorCode::kNotHeld);
  messages = poll(member);
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(messages[0].attempt, 2U);
  EXPECT_OK(member.ack(messages[0].token()));
  EXPECT_EQ(code(member.ack(messages[0].token())), ErrorCode::kAlreadySettled);
  EXPECT_OK(member.flush(Deadline::after_ms(5'000)));
}

TEST_F(QueueConsumerTest, AnExtendedLockHolds) {
  append(0, 1);
  QueueConsumer& member = join({.lock_ms = 300});
  const auto messages = poll(member);
  ASSERT_EQ(messages.size(), 1U);
  const BootNanos end = boot_now_ns() + 900 * kMillisecond;
  while (boot_now_ns() < end) {
    ASSERT_OK(member.extend(messages[0].token()));
    ASSERT_OK(member.flush(Deadline::after_ms(5'000)));
    EXPECT_TRUE(poll(member, 20).empty());
  }
  ASSERT_OK(member.ack(messages[0].token()));
  EXPECT_OK(member.flush(Deadline::after_ms(5'000)));
}

TEST_F(QueueConsumerTest, OfOneKeyOneIsOutAtATime) {
  append(0, 30, "key");
  QueueConsumer& first = join();
  QueueConsumer& second = join();
  int next = 0;
  const Deadline deadline = Deadline::after_ms(20'000);
  while (next < 30 && !deadline.has_passed()) {
    std::vector<std::pair<QueueConsumer*, QueueMessage>> out;
    for (QueueConsumer* member : {&first, &second})
      for (QueueMessage& message : poll(*member, 2)) out.emplace_back(member, std::move(message));
    ASSERT_LE(out.size(), 1U);
    for (const auto& [member, message] : out) {
      EXPECT_EQ(message->text(), std::to_string(next));
      if (message.attempt == 1 && next % 5 == 0) {
        EXPECT_OK(member->nack(message.token(), 5));
      } else {
        EXPECT_OK(member->ack(message.token()));
        ++next;
      }
      EXPECT_OK(member->flush(Deadline::after_ms(5'000)));
    }
  }
  EXPECT_EQ(next, 30);
}

TEST_F(QueueConsumerTest, ATopicMadeAnewIsHandedOutToTheMembersOfTheOldOne) {
  QueueConsumer& member = join();
  append(0, 5);
  const auto old = poll(member);
  ASSERT_FALSE(old.empty());
  producer_.reset();
  ASSERT_OK(client::Admin{*connection_}.delete_topic("t"));
  create(*connection_, "t", 2);
  producer_ = producer(*connection_, "t");
  append(10, 20);
  std::map<int, int> seen;
  const Deadline deadline = Deadline::after_ms(20'000);
  while (seen.size() < 20 && !deadline.has_passed()) {
    const auto batch = member.poll(Deadline::after_ms(100), 64);
    if (!batch && batch.error().code == ErrorCode::kTopicGone) continue;
    ASSERT_OK(batch);
    for (const QueueMessage& message : *batch) {
      if (const int value = std::stoi(std::string{message->text()}); value >= 10) ++seen[value];
      static_cast<void>(member.ack(message.token()));
    }
  }
  expect_once(seen, 20);
  EXPECT_EQ(seen.begin()->first, 10);
  static_cast<void>(member.flush(Deadline::after_ms(5'000)));  // of the old topic: NotHeld
  EXPECT_EQ(member.ack(old[0].token()).error().code, ErrorCode::kNotHeld);
  EXPECT_EQ(member.in_flight(), 0U);
}

TEST_F(QueueConsumerTest, ATokenOfADeletedTopicSettlesNothingInTheOneMadeAnew) {
  QueueConsumer& member = join();
  const auto append_one = [&](const char* text) {
    ASSERT_OK(producer_->append({.payload = as_bytes(text)}, {.partition = 0}));
  };
  append_one("0");
  const auto old = poll(member);
  ASSERT_EQ(old.size(), 1U);
  producer_.reset();
  ASSERT_OK(client::Admin{*connection_}.delete_topic("t"));
  create(*connection_, "t", 2);
  producer_ = producer(*connection_, "t");
  append_one("1");
  std::vector<QueueMessage> anew;
  const Deadline deadline = Deadline::after_ms(10'000);
  while (anew.empty() && !deadline.has_passed()) {
    auto batch = member.poll(Deadline::after_ms(100));
    if (!batch && batch.error().code == ErrorCode::kTopicGone) continue;
    ASSERT_OK(batch);
    anew = std::move(*batch);
  }
  ASSERT_EQ(anew.size(), 1U);
  EXPECT_EQ(anew[0]->text(), "1");
  EXPECT_EQ(anew[0]->offset, old[0]->offset);
  EXPECT_EQ(anew[0].attempt, old[0].attempt);
  EXPECT_EQ(member.ack(old[0].token()).error().code, ErrorCode::kNotHeld);
  EXPECT_FALSE(member.is_unconfirmed(old[0].token()));
  EXPECT_OK(member.ack(anew[0].token()));
  EXPECT_OK(member.flush(Deadline::after_ms(5'000)));
}

TEST_F(QueueConsumerTest, AModeBelongsToTheGroup) {
  join();
  const auto other = connect();
  const auto reader = consumer(*other);
  const auto refused = reader->subscribe(kTopics, "g");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kWrongMode);
  ASSERT_OK(reader->subscribe(kTopics, "readers"));
  const auto third = connect();
  const auto queue = QueueConsumer::open(*third);
  ASSERT_OK(queue);
  const auto mixed = (*queue)->subscribe(kTopics, "readers");
  ASSERT_FALSE(mixed);
  EXPECT_EQ(mixed.error().code, ErrorCode::kWrongMode);
}

TEST_F(QueueConsumerTest, ADeadConsumersMessagesComeAtOnceToAnother) {
  append(0, 8);
  const std::string runtime = daemon_.runtime_dir();
  Process victim = Process::call([runtime] {
    auto connection = client::Connection::open({.runtime_dir = runtime, .name = "victim"});
    auto consumer = QueueConsumer::open(**connection, {.lock_ms = 600'000});
    if (!(*consumer)->subscribe(kTopics, "g")) return 1;
    std::size_t got = 0;
    while (got < 8) {
      auto messages = (*consumer)->poll(Deadline::after_ms(1'000));
      if (!messages) return 2;
      got += messages->size();
    }
    dprintf(STDERR_FILENO, "all held\n");
    for (;;) pause();
  });
  ASSERT_TRUE(victim.says("all held"));
  QueueConsumer& heir = join();
  EXPECT_TRUE(poll(heir, 50).empty());
  victim.send(SIGKILL);
  std::set<std::string> seen;
  const BootNanos killed = boot_now_ns();
  while (seen.size() < 8 && boot_now_ns() - killed < 10 * kSecond)
    for (const QueueMessage& message : poll(heir, 1'000)) {
      seen.insert(std::string{message->text()});
      EXPECT_EQ(message.attempt, 2U);
      EXPECT_OK(heir.ack(message.token()));
    }
  EXPECT_EQ(seen.size(), 8U);
}

TEST_F(QueueConsumerTest, AStuckConsumerHoldsUpNobodyElse) {
  QueueConsumer& stuck = join({.max_in_flight = 2, .lock_ms = 300});
  append(0, 20);
  ASSERT_FALSE(poll(stuck, 5'000, 1).empty());  // and never again
  QueueConsumer& other = join({.lock_ms = 5'000});
  std::map<int, int> seen = share({&other}, 20);
  EXPECT_EQ(seen.size(), 20U);
  const auto described = client::Admin{*connection_}.describe_group("g");
  EXPECT_OK(described);
}

TEST_F(QueueConsumerTest, ABrokerIsReplacedUnderItsMembers) {
  append(0, 20);
  QueueConsumer& member = join({.max_in_flight = 8, .lock_ms = 20'000});
  auto held = poll(member, 5'000, 4);
  ASSERT_FALSE(held.empty());
  ASSERT_OK(member.nack(held.back().token(), 0));
  held.pop_back();
  ASSERT_OK(member.flush(Deadline::after_ms(5'000)));
  ASSERT_TRUE(daemon_.kill_broker());
  for (const QueueMessage& message : held) EXPECT_OK(member.ack(message.token()));
  ASSERT_OK(member.flush(Deadline::after_ms(15'000)));
  EXPECT_TRUE(member.take_failures().empty());
  std::map<int, int> seen = share({&member}, 20 - held.size());
  for (const QueueMessage& message : held) ++seen[std::stoi(std::string{message->text()})];
  expect_once(seen, 20);
}

TEST_F(QueueConsumerTest, WhatIsGrantedIsReadThoughALatePublicationHidesIt) {
  const client::SendOptions first{.partition = 0, .acks = client::Acks::kDurable};
  QueueConsumer& member = join();
  ASSERT_OK(producer_->append({.payload = as_bytes("0")}, first));
  const OldPublication late{*connection_, "t", 0};
  EXPECT_EQ(poll(member).size(), 1U);
  ASSERT_OK(producer_->append({.payload = as_bytes("1")}, first));
  late.store();
  EXPECT_EQ(poll(member, 2'000).size(), 1U);
}

TEST_F(QueueConsumerTest, WhatWasSettledWhileTheBrokerWasAwayGoesInPacketsThatItTakes) {
  constexpr int kMessages = 1'980;
  constexpr int kRejected = 16;
  const std::vector<client::Record> records(kMessages / 10, {.payload = as_bytes("x")});
  for (int i = 0; i < 10; ++i) ASSERT_OK(producer_->append_batch(records, {.partition = 0}));
  QueueConsumer& member = join({.max_in_flight = 4'096, .lock_ms = 60'000});
  std::vector<QueueMessage> held;
  const Deadline deadline = Deadline::after_ms(10'000);
  while (held.size() < kMessages && !deadline.has_passed())
    for (QueueMessage& message : poll(member, 1'000, kMessages)) held.push_back(std::move(message));
  ASSERT_EQ(held.size(), kMessages);
  // No heir comes while the keeper stands still.
  ASSERT_EQ(kill(daemon_.keeper_pid(), SIGSTOP), 0);
  daemon_.signal_broker(SIGKILL);
  const std::string text(1'024, 'x');
  for (int i = 0; i < kMessages; ++i) {
    const client::QueueToken token = held[static_cast<std::size_t>(i)].token();
    if (i < kMessages - kRejected)
      EXPECT_OK(member.ack(token));
    else
      EXPECT_OK(member.reject(token, {.type = text, .text = text, .handler = text}));
  }
  ASSERT_EQ(kill(daemon_.keeper_pid(), SIGCONT), 0);
  ASSERT_OK(member.flush(Deadline::after_ms(20'000)));
  EXPECT_TRUE(member.take_failures().empty());
}

TEST_F(QueueConsumerTest, APoisonMessageEndsAmongTheDeadLettersWithItsStory) {
  append(0, 1, "k");
  QueueConsumer& member = join({.max_deliveries = 3});
  for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
    const auto messages = poll(member);
    ASSERT_EQ(messages.size(), 1U);
    EXPECT_EQ(messages[0].attempt, attempt);
    ASSERT_OK(member.nack(messages[0].token(), 0,
                          {.type = "E" + std::to_string(attempt), .text = "no", .handler = "h"}));
    ASSERT_OK(member.flush(Deadline::after_ms(5'000)));
  }
  const auto letters = consumer(*connection_);
  ASSERT_TRUE(eventually(
      [&] { return letters->assign("t.g.dlq", {}, client::Start::oldest()).has_value(); }));
  const auto batch = letters->poll(Deadline::after_ms(5'000));
  ASSERT_OK(batch);
  ASSERT_EQ(batch->size(), 1U);
  const client::Message& letter = batch->front();
  EXPECT_EQ(letter.text(), "0");
  EXPECT_EQ(letter.key_text(), "k");
  EXPECT_EQ(letter.header("dlq.topic"), "t");
  EXPECT_EQ(letter.header("dlq.group"), "g");
  EXPECT_EQ(letter.header("dlq.reason"), "attempts");
  EXPECT_EQ(letter.header("dlq.attempts"), "3");
  EXPECT_EQ(letter.header("dlq.first_type"), "E1");
  EXPECT_EQ(letter.header("dlq.type"), "E3");
  EXPECT_EQ(letter.header("dlq.handler"), "h");
  append(1, 1, "k");
  const auto next = poll(member);  // its key goes on
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0]->text(), "1");
}

TEST_F(QueueConsumerTest, WorksOnTopicsWithoutDisk) {
  create(*connection_, "m", 1, {{"storage", "memory"}});
  const auto to = producer(*connection_, "m");
  const auto other = connect();
  auto member = QueueConsumer::open(*other);
  ASSERT_OK(member);
  const std::string topics[] = {"m"};
  ASSERT_OK((*member)->subscribe(topics, "gm"));
  EXPECT_TRUE(poll(**member, 20).empty());
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(to->append({.payload = as_bytes(std::to_string(i))}));
    const auto messages = poll(**member);
    ASSERT_EQ(messages.size(), 1U);
    EXPECT_OK((*member)->ack(messages[0].token()));
  }
}

TEST_F(QueueConsumerTest, ReadsRecordsThatAreOnlyOnDisk) {
  const std::string padding(2'000, 'x');
  for (int i = 0; i < 400; ++i) {
    const std::string text = std::to_string(i) + " " + padding;
    ASSERT_OK(producer_->append({.payload = as_bytes(text)}));
  }
  QueueConsumer& member = join();
  std::set<int> seen;
  const Deadline deadline = Deadline::after_ms(20'000);
  while (seen.size() < 400 && !deadline.has_passed())
    for (const QueueMessage& message : poll(member, 1'000)) {
      EXPECT_TRUE(seen.insert(std::stoi(std::string{message->text()})).second);
      EXPECT_OK(member.ack(message.token()));
    }
  EXPECT_EQ(seen.size(), 400U);
}

TEST_F(QueueConsumerTest, WhatItBufferedIsNoAttemptWhenItLeaves) {
  append(0, 10);
  join();
  auto& first = *members_[0].consumer;
  ASSERT_EQ(poll(first, 5'000, 1).size(), 1U);
  members_.clear();
  QueueConsumer& second = join();
  std::map<std::uint32_t, int> attempts;
  const Deadline deadline = Deadline::after_ms(10'000);
  int got = 0;
  while (got < 10 && !deadline.has_passed())
    for (const QueueMessage& message : poll(second, 100)) {
      ++attempts[message.attempt];
      ++got;
      EXPECT_OK(second.ack(message.token()));
    }
  EXPECT_EQ(attempts[1], 9);
  EXPECT_EQ(attempts[2], 1);
}

TEST_F(QueueConsumerTest, WhoComesAndGoesUsesNoAttemptsUp) {
  constexpr int kMessages = 200;
  append(0, kMessages);
  std::map<int, int> seen;
  const Deadline deadline = Deadline::after_ms(30'000);
  while (seen.size() < kMessages && !deadline.has_passed()) {
    QueueConsumer& member = join({.max_in_flight = 4});
    for (const QueueMessage& message : poll(member, 1'000, 1)) {
      EXPECT_EQ(message.attempt, 1U) << message->text();
      ++seen[std::stoi(std::string{message->text()})];
      EXPECT_OK(member.ack(message.token()));
    }
    members_.clear();  // grants for the room that the ack made may be on their way
  }
  expect_once(seen, kMessages);
}

TEST_F(QueueConsumerTest, EventsThatAContextKeepsToItselfAreNotHandedOut) {
  create(*connection_, "events", 1, {{"type", "events"}});
  auto store = client::EventStore::open(*connection_, "events");
  ASSERT_OK(store);
  for (int i = 0; i < 20; ++i) {
    const std::string text = std::to_string(i);
    const client::Event event{.payload = as_bytes(text), .is_internal = i % 2 == 1};
    ASSERT_OK((*store)->append("s", client::Expected::any(), {&event, 1}));
  }
  const auto own = connect();
  auto opened = QueueConsumer::open(*own);
  ASSERT_OK(opened);
  const std::string topics[] = {"events"};
  ASSERT_OK((*opened)->subscribe(topics, "g"));
  std::map<int, int> seen;
  while (seen.size() < 10)
    for (const QueueMessage& message : poll(**opened)) {
      ++seen[std::stoi(std::string{message->text()})];
      EXPECT_OK((*opened)->ack(message.token()));
    }
  EXPECT_OK((*opened)->flush(Deadline::after_ms(5'000)));
  for (const auto& [value, times] : seen) EXPECT_EQ(value % 2, 0);
  EXPECT_TRUE(poll(**opened, 100).empty());
  EXPECT_TRUE((*opened)->take_failures().empty());
  const auto letters = client::Admin{*connection_}.describe_topic("events.g.dlq");
  ASSERT_FALSE(letters) << "an internal event became a dead letter";
  EXPECT_EQ(letters.error().code, ErrorCode::kUnknownTopic);
}

}  // namespace
}  // namespace mallbots::test
