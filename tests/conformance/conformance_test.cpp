#include <gtest/gtest.h>

#include <algorithm>

#include "clients/admin.h"
#include "clients/connection.h"
#include "clients/toolkit/in_process_bus.h"
#include "clients/toolkit/shm_bus.h"
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

class Shm final : public BusUnderTest {
 public:
  /// `settings`: of its topics.
  explicit Shm(std::vector<client::TopicSetting> settings = {}) : settings_(std::move(settings)) {
    if (!daemon_.start()) ADD_FAILURE() << daemon_.log();
    auto connection =
        client::Connection::open({.runtime_dir = daemon_.runtime_dir(), .name = "conformance"});
    if (!connection) {
      ADD_FAILURE() << connection.error().sentence();
      return;
    }
    connection_ = std::move(*connection);
    bus_.emplace(*connection_);
  }
  toolkit::Publisher& publisher() override { return *bus_; }
  toolkit::Subscriber& subscriber() override { return *bus_; }
  std::string make_topic(std::uint32_t partitions) override {
    const std::string topic = "topic" + std::to_string(topics_++);
    auto settings = settings_;
    settings.push_back({"slot.bytes", "262144"});
    const auto made = client::Admin{*connection_}.create_topic(topic, partitions, settings);
    if (!made) ADD_FAILURE() << made.error().sentence();
    return topic;
  }
  std::size_t largest_payload() const override { return 131'072 - 256; }
  bool restart() override { return daemon_.kill_broker(); }
  std::optional<Process> start_party(const std::vector<std::string>& words) override {
    std::vector<std::string> all{binary("conformance_party"), daemon_.runtime_dir()};
    all.insert(all.end(), words.begin(), words.end());
    return Process::start(all);
  }
  /// A broker that does not move makes no room.
  ErrorCode fill(const std::string& topic) override {
    const client::Record first{.payload = client::as_bytes("opens the producer")};
    if (const auto sent = bus_->publish(topic, {&first, 1}); !sent) return sent.error().code;
    // Stands: an entry that it was about to take would be in doubt, not in time.
    if (!daemon_.stop_broker()) return ErrorCode::kNoBroker;
    const ErrorCode code = fill_up(*bus_, topic, 10'000);
    daemon_.signal_broker(SIGCONT);
    return code;
  }

 private:
  std::vector<client::TopicSetting> settings_;
  int topics_ = 0;
  Daemon daemon_;
  std::unique_ptr<client::Connection> connection_;
  std::optional<toolkit::ShmBus> bus_;
};

std::unique_ptr<BusUnderTest> make_bus(const std::string& kind) {
  if (kind == "InProcess") return std::make_unique<InProcess>();
  if (kind == "ShmSequenced")
    return std::make_unique<Shm>(std::vector<client::TopicSetting>{{"ingest", "sequenced"}});
  return std::make_unique<Shm>();
}

using Combination = std::tuple<std::string, std::size_t>;
class Conformance : public testing::TestWithParam<Combination> {};

TEST_P(Conformance, Holds) {
  const auto& [kind, index] = GetParam();
  const auto bus = make_bus(kind);
  if (HasFailure()) return;
  const Findings findings = cases()[index].run(*bus);
  for (const std::string& finding : findings) ADD_FAILURE() << finding;
}

INSTANTIATE_TEST_SUITE_P(Bus, Conformance,
                         testing::Combine(testing::Values("InProcess", "Shm", "ShmSequenced"),
                                          testing::Range<std::size_t>(0, cases().size())),
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

INSTANTIATE_TEST_SUITE_P(Bus, Deaths,
                         testing::Combine(testing::Values("Shm", "ShmSequenced"),
                                          testing::Range<std::size_t>(0, death_cases().size())),
                         [](const auto& info) {
                           return std::get<0>(info.param) +
                                  death_cases()[std::get<1>(info.param)].name;
                         });

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
