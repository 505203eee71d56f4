#include "clients/connection.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "clients/queue_consumer.h"
#include "tests/clients/fixture.h"
#include "tests/clients/stuck_producer.h"

namespace mallbots::test {
namespace {

using client::Connection;

class ConnectionTest : public ClientTest {};

TEST(ConnectionWithoutBroker, NamesTheSocketThatNobodyAnswersOn) {
  const TempDir folder;
  const auto connection = Connection::open({.runtime_dir = folder / "none"});
  ASSERT_FALSE(connection.has_value());
  EXPECT_EQ(connection.error().code, ErrorCode::kNoBroker);
  EXPECT_NE(connection.error().detail.find("none/control.sock"), std::string::npos);
}

TEST(ConnectionWithoutBroker, RefusesNamesAndPathsThatAreTooLong) {
  const TempDir folder;
  const auto named =
      Connection::open({.runtime_dir = folder.path(), .name = std::string(201, 'n')});
  ASSERT_FALSE(named.has_value());
  EXPECT_EQ(named.error().code, ErrorCode::kBadArgument);
  const auto placed = Connection::open({.runtime_dir = folder / std::string(120, 'd')});
  ASSERT_FALSE(placed.has_value());
  EXPECT_EQ(placed.error().code, ErrorCode::kBadArgument);
}

TEST(ConnectionWithoutBroker, RuntimeDirFollowsTheUser) {
  const std::string dir = client::default_runtime_dir("shop");
  EXPECT_TRUE(dir.ends_with("/mallbots/shop"));
  if (geteuid() == 0) {
    EXPECT_EQ(dir, "/run/mallbots/shop");
  }
}

TEST_F(ConnectionTest, SessionSurvivesTheDeathOfTheBroker) {
  const auto connection = connect();
  const SessionIndex session = connection->session();
  const std::uint32_t incarnation = connection->incarnation();
  ASSERT_TRUE(daemon_.kill_broker());
  ASSERT_OK(connection->ensure_attached(Deadline::after_ms(10'000)));
  EXPECT_EQ(connection->session(), session);
  EXPECT_EQ(connection->incarnation(), incarnation + 1);
}

TEST_F(ConnectionTest, GetsANewSessionWhenTheMemoryIsGone) {
  const auto connection = connect();
  ASSERT_EQ(daemon_.stop().exit_code, 0);
  const auto lost = connection->ensure_attached(Deadline::after_ms(50));
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().code, ErrorCode::kConnectionLost);
  EXPECT_FALSE(connection->is_attached());
  ASSERT_TRUE(daemon_.start());
  ASSERT_OK(connection->ensure_attached(Deadline::after_ms(10'000)));
  ASSERT_OK(client::Admin{*connection}.status());
}

TEST_F(ConnectionTest, ClosingItFreesTheSessionAtOnce) {
  const auto watcher = connect();
  for (int i = 0; i < 3; ++i) EXPECT_NE(connect()->session(), watcher->session());
  const auto clients = client::Admin{*watcher}.list_clients();
  ASSERT_OK(clients);
  EXPECT_EQ(clients->size(), 1U);
}

/// A daemon that drains for seconds, as a producer stands inside, and is started again then.
class DrainingTest : public ConnectionTest {
 protected:
  void SetUp() override {
    ConnectionTest::SetUp();
    const auto connection = connect();
    create(*connection, "t", 1, {{"stall.limit", "2s"}});
  }
  /// Calls ask() while the broker drains; what it answers came from the next one.
  template <class Ask>
  void ask_while_draining(Ask ask) {
    const auto connection = connect();
    const auto inside = connect();
    const StuckProducer stuck{*inside, "t"};
    ASSERT_TRUE(stuck.is_inside());
    daemon_.process().send(SIGTERM);
    ASSERT_TRUE(daemon_.logs("draining"));
    std::jthread next{[this] {
      EXPECT_EQ(daemon_.wait().exit_code, 0);
      EXPECT_TRUE(daemon_.start()) << daemon_.log();
    }};
    const std::uint64_t before = connection->link().attachment();
    const Result<void> answer = ask(*connection);
    EXPECT_OK(answer);
    EXPECT_GT(connection->link().attachment(), before);
  }
};

TEST_F(DrainingTest, AMemberIsLetInByTheNextBroker) {
  ask_while_draining([](client::Connection& connection) {
    const auto member = consumer(connection);
    return member->subscribe(std::vector<std::string>{"t"}, "g");
  });
}

TEST_F(DrainingTest, AQueueMemberIsLetInByTheNextBroker) {
  ask_while_draining([](client::Connection& connection) -> Result<void> {
    const auto member = client::QueueConsumer::open(connection);
    if (!member) return std::unexpected(member.error());
    return (*member)->subscribe(std::vector<std::string>{"t"}, "q");
  });
}

TEST_F(DrainingTest, ANamedProducerGetsItsNameFromTheNextBroker) {
  ask_while_draining([](client::Connection& connection) -> Result<void> {
    const auto named = client::Producer::open(connection, "t", {.name = "n"});
    if (!named) return std::unexpected(named.error());
    return {};
  });
}

/// A broker that stands still, so that a request hangs in it, and then dies.
class DyingTest : public ConnectionTest {
 protected:
  void SetUp() override {
    ConnectionTest::SetUp();
    connection_ = connect();
    create(*connection_, "t", 2);
    append_numbers(*producer(*connection_, "t"), 0, 3);
  }
  template <class Ask>
  void ask_while_dying(Ask ask) {
    ASSERT_TRUE(daemon_.stop_broker());
    std::jthread killer{[this] {
      // sleep: so long it mostly takes to ask; before that the answer has to be the same
      std::this_thread::sleep_for(std::chrono::milliseconds{50});
      daemon_.signal_broker(SIGKILL);
    }};
    const Result<void> answer = ask();
    EXPECT_OK(answer);
  }
  std::unique_ptr<client::Connection> connection_;
};

TEST_F(DyingTest, AReaderIsAssignedByTheHeir) {
  const auto reader = consumer(*connection_);
  const PartitionIndex other[] = {1};
  const PartitionIndex wanted[] = {0};
  ASSERT_OK(reader->assign("t", other, client::Start::oldest()));
  ask_while_dying([&] { return reader->assign("t", wanted, client::Start::oldest()); });
  EXPECT_EQ(read(*reader, 3), numbers(0, 3));
}

TEST_F(DyingTest, AReaderIsAssignedToTheEndByTheHeir) {
  const auto reader = consumer(*connection_);
  const PartitionIndex other[] = {1};
  const PartitionIndex wanted[] = {0};
  ASSERT_OK(reader->assign("t", other, client::Start::oldest()));
  ask_while_dying([&] { return reader->assign("t", wanted, client::Start::end()); });
  append_numbers(*producer(*connection_, "t"), 3, 1);
  EXPECT_EQ(read(*reader, 1), numbers(3, 1));
}

TEST_F(DyingTest, AReaderIsMovedByTheHeir) {
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->assign("t", {}, client::Start::end()));
  ask_while_dying([&] { return reader->seek({"t", 0}, client::Start::time(0)); });
  EXPECT_EQ(read(*reader, 3), numbers(0, 3));
}

TEST_F(DyingTest, TheLastValueIsFoundByTheHeir) {
  const auto reader = consumer(*connection_);
  ASSERT_OK(reader->latest({"t", 0}));
  // From the first key on it reads anew, with a cursor of its own.
  ask_while_dying([&]() -> Result<void> {
    const auto last = reader->latest({"t", 0}, client::as_bytes("no such key"));
    if (!last) return std::unexpected(last.error());
    EXPECT_FALSE(last->has_value());
    return {};
  });
}

}  // namespace
}  // namespace mallbots::test
