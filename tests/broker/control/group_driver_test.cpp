// Groups through mallbotsd and the client library: what a member may rely on when others die.
#include "broker/control/group_driver.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <optional>

#include "clients/admin.h"
#include "clients/connection.h"
#include "clients/consumer.h"
#include "clients/producer.h"
#include "tests/support/control_client.h"
#include "tests/support/daemon.h"

namespace mallbots::test {
namespace {

using client::Connection;
using client::Consumer;

class Groups : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
    ControlClient admin{daemon_.socket_path()};
    ASSERT_TRUE(admin.hello("admin"));
    ASSERT_TRUE(admin.create_topic("t", 2));
    ASSERT_TRUE(admin.call(shm::Goodbye{}));
  }

  std::unique_ptr<Connection> connect() {
    auto connection = Connection::open({.runtime_dir = daemon_.runtime_dir()});
    if (!connection) throw std::runtime_error(connection.error().sentence());
    return std::move(*connection);
  }
  /// Numbered records, alternating between the two partitions, on disk when it returns.
  void produce(int count) {
    const auto connection = connect();
    auto producer = client::Producer::open(*connection, "t");
    ASSERT_TRUE(producer) << producer.error().detail;
    for (int i = 0; i < count; ++i) {
      const std::string text = std::to_string(i);
      client::SendOptions options{.partition = static_cast<PartitionIndex>(i % 2)};
      if (i >= count - 2) options.acks = client::Acks::kDurable;
      const auto receipt =
          (*producer)->append({.payload = std::as_bytes(std::span{text})}, options);
      ASSERT_TRUE(receipt) << receipt.error().detail;
    }
  }
  static std::unique_ptr<Consumer> member(Connection& connection,
                                          std::uint32_t max_poll_interval_ms = 0) {
    auto consumer = Consumer::open(connection, {.max_poll_interval_ms = max_poll_interval_ms});
    if (!consumer) throw std::runtime_error(consumer.error().sentence());
    const std::string topics[] = {"t"};
    const auto joined = (*consumer)->subscribe(topics, "g");
    EXPECT_TRUE(joined) << joined.error().detail;
    return std::move(*consumer);
  }
  /// Polls until `count` records have come or nothing comes for the limit.
  static std::size_t read(Consumer& consumer, std::size_t count, std::int64_t limit_ms = 10'000) {
    std::size_t got = 0;
    const Deadline limit = Deadline::after_ms(limit_ms);
    while (got < count && !limit.has_passed()) {
      const auto records = consumer.poll(Deadline::after_ms(100), count - got);
      if (records) got += records->size();
    }
    return got;
  }
  /// A member that commits 20 of 40 records, sleeps through its expulsion, wakes when `meanwhile`
  /// is over, commits the other 20 if it `commits`, and goes on as it is told. Exit code 0: it was
  /// told Fenced once, and then read all that its commits do not cover, once.
  void sleeps_through_expulsion(bool commits, const std::function<void()>& meanwhile) {
    produce(100);
    Process sleeper = Process::call([&] {
      const auto connection = connect();
      const auto consumer = member(*connection, 200);
      if (read(*consumer, 20) != 20 || !consumer->commit() || read(*consumer, 20) != 20) return 1;
      raise(SIGSTOP);
      if (commits) {
        const auto late = consumer->commit();
        if (late || late.error().code != ErrorCode::kFenced) return 2;
      }
      const Deadline limit = Deadline::after_ms(10'000);
      for (bool told = false; !told;) {
        const auto records = consumer->poll(Deadline::after_ms(100));
        told = !records && records.error().code == ErrorCode::kFenced;
        if (limit.has_passed() || (!records && !told)) return 3;
        if (records && !records->empty() && consumer->commit()) return 4;
      }
      const std::string topics[] = {"t"};
      if (!consumer->subscribe(topics, "g")) return 5;
      std::size_t again = 0;
      while (again < 80 && !limit.has_passed()) {
        const auto records = consumer->poll(Deadline::after_ms(100));
        if (!records) return 6;
        again += records->size();
      }
      return again == 80 && consumer->commit() && read(*consumer, 1, 200) == 0 ? 0 : 7;
    });
    ASSERT_TRUE(daemon_.logs("member expelled")) << daemon_.log();
    meanwhile();
    sleeper.send(SIGCONT);
    EXPECT_EQ(sleeper.wait().exit_code, 0) << sleeper.errors() << daemon_.log();
    EXPECT_TRUE(eventually([&] { return lag() == 0; }));
  }

  std::vector<shm::GroupRow> rows() {
    ControlClient admin{daemon_.socket_path()};
    EXPECT_TRUE(admin.hello("admin"));
    const auto answer = admin.call(shm::DescribeGroup{.group = "g"});
    const auto reply = answer ? answer->as<shm::DescribeGroupReply>() : std::nullopt;
    EXPECT_TRUE(admin.call(shm::Goodbye{}));
    return reply ? reply->rows : std::vector<shm::GroupRow>{};
  }
  std::uint64_t lag() {
    std::uint64_t sum = 0;
    for (const shm::GroupRow& row : rows()) sum += row.lag;
    return sum;
  }

  Daemon daemon_;
};

TEST_F(Groups, CommitSurvivesTheBrokerThoughNoFlushCameBetween) {
  produce(100);
  const auto connection = connect();
  const auto consumer = member(*connection);
  ASSERT_EQ(read(*consumer, 60), 60U);
  ASSERT_TRUE(consumer->commit());
  ASSERT_TRUE(daemon_.kill_broker()) << daemon_.log();
  EXPECT_EQ(lag(), 40U) << daemon_.log();
  EXPECT_EQ(read(*consumer, 40), 40U);
  EXPECT_EQ(read(*consumer, 1, 300), 0U) << "a record came twice";
  ASSERT_TRUE(consumer->commit());
  EXPECT_TRUE(eventually([&] { return lag() == 0; }));
}

TEST_F(Groups, CommitOfAMemberThatIsKilledIsWhereItsHeirBegins) {
  produce(100);
  Process mortal = Process::call([&] {
    const auto connection = connect();
    const auto consumer = member(*connection);
    if (read(*consumer, 50) != 50 || !consumer->commit()) return 1;
    dprintf(STDOUT_FILENO, "committed\n");
    static_cast<void>(read(*consumer, 20));  // read, not committed
    dprintf(STDOUT_FILENO, "read on\n");
    pause();
    return 0;
  });
  ASSERT_TRUE(mortal.says("read on"));
  const auto connection = connect();
  const auto heir = member(*connection);
  mortal.send(SIGKILL);
  EXPECT_EQ(read(*heir, 50), 50U);
  EXPECT_EQ(read(*heir, 1, 300), 0U);
}

TEST_F(Groups, PositionsSurviveACleanStop) {
  produce(100);
  {
    const auto connection = connect();
    const auto consumer = member(*connection);
    ASSERT_EQ(read(*consumer, 30), 30U);
    ASSERT_TRUE(consumer->commit());
  }
  ASSERT_EQ(daemon_.stop().exit_code, 0) << daemon_.log();
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  EXPECT_EQ(lag(), 70U);
  const auto connection = connect();
  const auto consumer = member(*connection);
  EXPECT_EQ(read(*consumer, 70), 70U);
  EXPECT_EQ(read(*consumer, 1, 300), 0U);
}

TEST_F(Groups, DurableCommitSurvivesTheDeathOfBothProcesses) {
  produce(100);
  {
    const auto connection = connect();
    const auto consumer = member(*connection);
    ASSERT_EQ(read(*consumer, 30), 30U);
    ASSERT_TRUE(consumer->commit());
    const auto committed = consumer->commit_durable(Deadline::after_ms(10'000));
    ASSERT_TRUE(committed) << committed.error().detail;
    daemon_.process().kill_all();
  }
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  EXPECT_EQ(lag(), 70U);
}

TEST_F(Groups, CommitOfAMemberThatSleptThroughItsExpulsionIsRefused) {
  sleeps_through_expulsion(true, [] {});
}

TEST_F(Groups, CommitOfAMemberThatSleptThroughItsExpulsionAndItsBrokerIsRefused) {
  sleeps_through_expulsion(true, [&] { ASSERT_TRUE(daemon_.kill_broker()) << daemon_.log(); });
}

TEST_F(Groups, MemberThatSleptThroughItsExpulsionAndItsBrokerIsTold) {
  sleeps_through_expulsion(false, [&] { ASSERT_TRUE(daemon_.kill_broker()) << daemon_.log(); });
}

TEST_F(Groups, MemberThatWakesWithoutABrokerIsToldAtOnce) {
  sleeps_through_expulsion(true, [&] {
    ASSERT_TRUE(daemon_.stop_broker());
    daemon_.signal_broker(SIGKILL);
  });
}

TEST_F(Groups, ASeekByTimeIsRefusedWhileAFileOfTheLogCannotBeRead) {
  produce(10);
  const auto connection = connect();
  {
    const auto consumer = member(*connection);
    ASSERT_EQ(read(*consumer, 4), 4U);
    ASSERT_TRUE(consumer->commit());
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(daemon_.data_dir()))
    if (entry.path().extension() == ".seg" && entry.path().parent_path().filename() != "spares")
      std::filesystem::remove(entry.path());
  client::Admin admin{*connection};
  const auto refused =
      admin.seek_group("g", {.to = client::GroupSeek::To::kTime, .value = 1}, true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kIo);
  const auto rows = admin.describe_group("g");
  ASSERT_TRUE(rows);
  Offset read_so_far = 0;
  for (const client::GroupPartition& row : *rows) read_so_far += row.current_offset.value_or(0);
  EXPECT_EQ(read_so_far, 4U);
}

TEST_F(Groups, CommitIsSeenThoughNothingWakesTheBroker) {
  produce(10);
  const auto connection = connect();
  const auto consumer = member(*connection);
  ASSERT_EQ(read(*consumer, 10), 10U);
  ASSERT_TRUE(consumer->commit());
  EXPECT_TRUE(eventually([&] { return lag() == 0; }));
}

}  // namespace
}  // namespace mallbots::test
