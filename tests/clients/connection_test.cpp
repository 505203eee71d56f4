#include "clients/connection.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/clients/fixture.h"

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

}  // namespace
}  // namespace mallbots::test
