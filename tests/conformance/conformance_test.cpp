#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "clients/admin.h"
#include "clients/connection.h"
#include "clients/toolkit/in_process_bus.h"
#include "clients/toolkit/shm_bus.h"
#include "tests/conformance/adapters.h"
#include "tests/conformance/cast.h"
#include "tests/support/daemon.h"

namespace mallbots::test {
namespace {

/// Publishes until there is no room, with a short patience.
ErrorCode fill_up(toolkit::Publisher& publisher, const std::string& topic, std::size_t payload) {
  const std::string text(payload, 'x');
  const client::Record record{.payload = client::as_bytes(text)};
  for (int i = 0; i < 100'000; ++i) {
    const auto sent =
        publisher.publish(topic, {&record, 1},
                          {.deadline = Deadline::after_ms(300), .acks = client::Acks::kCommitted});
    if (!sent) return sent.error().code;
  }
  return ErrorCode::kNone;
}

class InProcess final : public BusUnderTest {
 public:
  toolkit::Publisher& publisher() override { return bus_; }
  toolkit::Subscriber& subscriber() override { return bus_; }
  std::string make_topic(std::uint32_t /*partitions*/) override {
    return "topic" + std::to_string(topics_++);
  }
  std::size_t largest_payload() const override { return 1'000'000; }
  ErrorCode fill(const std::string& topic) override {
    const auto member = bus_.subscribe(group(topic, "slow"));
    return member ? fill_up(bus_, topic, 1) : member.error().code;
  }

 private:
  int topics_ = 0;
  toolkit::InProcessBus bus_{{.max_records = 5'000}};
};

/// How one of the buses over the broker differs from the plain one.
struct ShmKind {
  std::vector<client::TopicSetting> settings{};  ///< of its topics
  bool is_queue = false;                         ///< groups in queue mode
  bool is_events = false;                        ///< topics of events, a stream per key
};

class Shm final : public BusUnderTest {
 public:
  explicit Shm(ShmKind kind) : kind_(std::move(kind)) {
    if (!daemon_.start()) ADD_FAILURE() << daemon_.log();
    auto connection =
        client::Connection::open({.runtime_dir = daemon_.runtime_dir(), .name = "conformance"});
    if (!connection) {
      ADD_FAILURE() << connection.error().sentence();
      return;
    }
    connection_ = std::move(*connection);
    bus_.emplace(*connection_);
    queue_.emplace(*bus_);
    events_.emplace(*connection_);
  }
  toolkit::Publisher& publisher() override {
    if (kind_.is_events) return *events_;
    return *bus_;
  }
  toolkit::Subscriber& subscriber() override {
    if (kind_.is_queue) return *queue_;
    return *bus_;
  }
  std::string make_topic(std::uint32_t partitions) override {
    const std::string topic = "topic" + std::to_string(topics_++);
    auto settings = kind_.settings;
    settings.push_back({"slot.bytes", "262144"});
    const auto made = client::Admin{*connection_}.create_topic(topic, partitions, settings);
    if (!made) ADD_FAILURE() << made.error().sentence();
    return topic;
  }
  std::size_t largest_payload() const override { return 131'072 - 512; }
  bool restart() override { return daemon_.kill_broker(); }
  std::optional<Process> start_party(const std::vector<std::string>& words) override {
    std::vector<std::string> all{binary("conformance_party"), daemon_.runtime_dir()};
    all.insert(all.end(), words.begin(), words.end());
    ProcessOptions options;
    if (kind_.is_queue) options.environment.emplace_back("CONFORMANCE_QUEUE", "1");
    if (kind_.is_events) options.environment.emplace_back("CONFORMANCE_EVENTS", "1");
    return Process::start(all, options);
  }
  /// A broker that does not move makes no room.
  ErrorCode fill(const std::string& topic) override {
    const client::Record first{.payload = client::as_bytes("opens the producer")};
    if (const auto sent = publisher().publish(topic, {&first, 1}, {}); !sent)
      return sent.error().code;
    // Stands: an entry that it was about to take would be in doubt, not in time.
    if (!daemon_.stop_broker()) return ErrorCode::kNoBroker;
    const ErrorCode code = fill_up(publisher(), topic, 10'000);
    daemon_.signal_broker(SIGCONT);
    return code;
  }

 private:
  ShmKind kind_;
  int topics_ = 0;
  Daemon daemon_;
  std::unique_ptr<client::Connection> connection_;
  std::optional<toolkit::ShmBus> bus_;
  std::optional<QueueSubscriber> queue_;
  std::optional<EventPublisher> events_;
};

std::unique_ptr<BusUnderTest> make_bus(const std::string& kind) {
  if (kind == "InProcess") return std::make_unique<InProcess>();
  const std::vector<client::TopicSetting> sequenced{{"ingest", "sequenced"}};
  const std::vector<client::TopicSetting> events{{"type", "events"}};
  ShmKind shm;
  if (kind == "ShmSequenced") shm = {.settings = sequenced};
  if (kind == "ShmQueue") shm = {.is_queue = true};
  if (kind == "ShmQueueSequenced") shm = {.settings = sequenced, .is_queue = true};
  if (kind == "Events") shm = {.settings = events, .is_events = true};
  if (kind == "EventsQueue") shm = {.settings = events, .is_queue = true, .is_events = true};
  return std::make_unique<Shm>(std::move(shm));
}

const std::vector<std::string> kShmKinds{"Shm",    "ShmSequenced", "ShmQueue", "ShmQueueSequenced",
                                         "Events", "EventsQueue"};

/// A member of a queue is never expelled: its locks end, one by one, and it goes on. An event gets
/// its version when it is appended: topics of events take none delayed.
bool promises(std::string_view kind, std::string_view name) {
  if (name == "AStoppedMemberIsReplacedAndTold") return !kind.contains("Queue");
  if (name == "ADelayedMessageWaitsForItsTime") return !kind.contains("Events");
  return true;
}

using Combination = std::tuple<std::string, std::size_t>;
std::vector<Combination> combinations(const std::vector<std::string>& kinds,
                                      std::span<const Case> cases) {
  std::vector<Combination> all;
  for (const std::string& kind : kinds)
    for (std::size_t i = 0; i < cases.size(); ++i)
      if (promises(kind, cases[i].name)) all.emplace_back(kind, i);
  return all;
}

std::vector<std::string> all_kinds() {
  std::vector<std::string> kinds = kShmKinds;
  kinds.emplace_back("InProcess");
  return kinds;
}

class Conformance : public testing::TestWithParam<Combination> {};

TEST_P(Conformance, Holds) {
  const auto& [kind, index] = GetParam();
  const auto bus = make_bus(kind);
  if (HasFailure()) return;
  const Findings findings = cases()[index].run(*bus);
  for (const std::string& finding : findings) ADD_FAILURE() << finding;
}

INSTANTIATE_TEST_SUITE_P(Bus, Conformance, testing::ValuesIn(combinations(all_kinds(), cases())),
                         [](const auto& info) {
                           return std::get<0>(info.param) + cases()[std::get<1>(info.param)].name;
                         });

class Deaths : public testing::TestWithParam<Combination> {};

TEST_P(Deaths, AreSurvived) {
  const auto& [kind, index] = GetParam();
  const auto bus = make_bus(kind);
  if (HasFailure()) return;
  const Findings findings = death_cases()[index].run(*bus);
  for (const std::string& finding : findings) ADD_FAILURE() << finding;
}

INSTANTIATE_TEST_SUITE_P(Bus, Deaths, testing::ValuesIn(combinations(kShmKinds, death_cases())),
                         [](const auto& info) {
                           return std::get<0>(info.param) +
                                  death_cases()[std::get<1>(info.param)].name;
                         });

// --- What only queues promise.

TEST(ShmQueue, MoreMembersThanPartitionsAllWork) {
  Shm bus{{.is_queue = true}};
  ASSERT_FALSE(HasFailure());
  const std::string topic = bus.make_topic(1);
  Crew crew{bus};
  auto options = group(topic, "g");
  options.max_in_flight = 2;
  for (int i = 0; i < 8; ++i)
    crew.hire(options, 1, [](const toolkit::Delivery& /*delivery*/) {
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
      return true;
    });
  EXPECT_EQ(publish(bus, topic, numbers(400)), Findings{});
  crew.wait_for(400);
  crew.dismiss();
  std::set<std::size_t> members;
  for (const Receipt& receipt : crew.done()) members.insert(receipt.member);
  EXPECT_EQ(members.size(), 8U);
  EXPECT_EQ(crew.doubles(), Findings{});
  EXPECT_EQ(crew.findings(), Findings{});
}

TEST(ShmQueue, ADeliveryWhoseLockHasEndedIsFencedAndComesAgain) {
  Shm bus{{.is_queue = true}};
  ASSERT_FALSE(HasFailure());
  const std::string topic = bus.make_topic(1);
  auto options = group(topic, "g");
  options.max_poll_interval_ms = 50;  // the lock time, here
  Findings findings = publish(bus, topic, {"0"});
  auto subscription = bus.subscriber().subscribe(options);
  ASSERT_TRUE(subscription) << subscription.error().sentence();
  auto late = receive(**subscription, findings);
  ASSERT_TRUE(late);
  std::this_thread::sleep_for(std::chrono::milliseconds{100});
  const auto acked = late->ack();
  ASSERT_FALSE(acked);
  EXPECT_EQ(acked.error().code, ErrorCode::kFenced) << acked.error().sentence();
  std::uint32_t attempt = 1;
  for (bool done = false; !done;) {  // a busy machine may be late once more
    auto again = receive(**subscription, findings);
    ASSERT_TRUE(again);
    EXPECT_GT(again->attempt(), attempt);
    attempt = again->attempt();
    done = again->ack().has_value();
  }
  EXPECT_EQ(findings, Findings{});
}

TEST(ShmQueue, WhatWaitsInAMemberAndWhatItDefersKeepsItsLock) {
  Shm bus{{.is_queue = true}};
  ASSERT_FALSE(HasFailure());
  const std::string topic = bus.make_topic(1);
  auto options = group(topic, "g");
  options.max_poll_interval_ms = 1'000;  // the lock time, here
  Findings findings = publish(bus, topic, numbers(10));
  auto subscription = bus.subscriber().subscribe(options);
  ASSERT_TRUE(subscription) << subscription.error().sentence();
  auto first = receive(**subscription, findings);
  ASSERT_TRUE(first);
  ASSERT_TRUE(first->defer(2'500));
  std::vector<std::string> texts;
  while (texts.size() < 10) {  // 150 ms each: together longer than a lock
    auto delivery = receive(**subscription, findings);
    ASSERT_TRUE(delivery);
    EXPECT_EQ(delivery->attempt(), 1U) << delivery->message().text();
    std::this_thread::sleep_for(std::chrono::milliseconds{150});
    const auto acked = delivery->ack();
    EXPECT_TRUE(acked) << acked.error().sentence();
    texts.emplace_back(delivery->message().text());
  }
  EXPECT_EQ(texts.back(), "0") << "what was deferred comes when it is due";
  EXPECT_EQ(compare(numbers(10), texts), Findings{});
  EXPECT_EQ(findings, Findings{});
}

// --- A bus that is wrong on purpose: the suite must say so.

enum class Lie : std::uint8_t { kDoubles, kLoses, kSwaps };

/// Doubles every record, loses one in ten thousand, or swaps two neighbours now and then.
class Liar final : public BusUnderTest, public toolkit::Publisher {
 public:
  explicit Liar(Lie lie) : lie_(lie) {}
  toolkit::Publisher& publisher() override { return *this; }
  toolkit::Subscriber& subscriber() override { return honest_.subscriber(); }
  std::string make_topic(std::uint32_t partitions) override {
    return honest_.make_topic(partitions);
  }
  std::size_t largest_payload() const override { return honest_.largest_payload(); }
  std::int64_t patience_ms() const override { return 1'000; }
  ErrorCode fill(const std::string& topic) override { return honest_.fill(topic); }

  Result<void> publish(const std::string& topic, std::span<const client::Record> records,
                       const toolkit::PublishOptions& options) override {
    std::vector<client::Record> wrong;
    for (const client::Record& record : records) {
      const std::uint64_t number = ++count_;
      if (lie_ == Lie::kLoses && number % 10'000 == 0) continue;
      wrong.push_back(record);
      if (lie_ == Lie::kDoubles) wrong.push_back(record);
      if (lie_ == Lie::kSwaps && wrong.size() > 16 && number % 50 == 0)
        std::swap(wrong[wrong.size() - 1], wrong[wrong.size() - 17]);  // of the same key
    }
    return honest_.publisher().publish(topic, wrong, options);
  }

 private:
  Lie lie_;
  std::atomic<std::uint64_t> count_{0};
  InProcess honest_;
};

class Lying : public testing::TestWithParam<std::tuple<Lie, const char*>> {};

TEST_P(Lying, IsFound) {
  const auto& [lie, name] = GetParam();
  const auto wanted = std::ranges::find(cases(), std::string_view{name}, &Case::name);
  ASSERT_NE(wanted, cases().end());
  Liar liar{lie};
  EXPECT_FALSE(wanted->run(liar).empty());
}

INSTANTIATE_TEST_SUITE_P(
    Conformance, Lying,
    testing::Values(std::tuple{Lie::kDoubles, "SettledMembersGetEachMessageOnce"},
                    std::tuple{Lie::kLoses, "ManyPublishersAndMembersShareTheWorkOnce"},
                    std::tuple{Lie::kSwaps, "TheOrderOfAKeyIsKept"}));

}  // namespace
}  // namespace mallbots::test
