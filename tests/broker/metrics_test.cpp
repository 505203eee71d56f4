// What the metrics page of a running mallbotsd tells.
#include "broker/metrics.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "tests/support/control_client.h"
#include "tests/support/daemon.h"

namespace mallbots::test {
namespace {

TEST(Metrics, TellOfSessionsAndPartitions) {
  const TempDir dir;
  DaemonOptions options;
  options.config = "metrics.listen = \"unix:" + (dir / "m.sock") + "\"\n";
  Daemon daemon{std::move(options)};
  ASSERT_TRUE(daemon.start()) << daemon.log();
  ControlClient client{daemon.socket_path()};
  ASSERT_TRUE(client.hello());
  ASSERT_TRUE(client.create_topic("orders", 2));
  const shm::UniqueFd scraper{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strncpy(address.sun_path, (dir / "m.sock").c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(::connect(scraper.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
            0);
  const std::string request = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
  ASSERT_GT(write(scraper.get(), request.data(), request.size()), 0);
  std::string page;
  char piece[4096];
  for (ssize_t got = 0; (got = read(scraper.get(), piece, sizeof piece)) > 0;)
    page.append(piece, static_cast<std::size_t>(got));
  EXPECT_NE(page.find("mallbots_sessions 1\n"), std::string::npos) << page;
  EXPECT_NE(page.find("mallbots_partition_durable_offset{topic=\"orders\",partition=\"1\"} 0\n"),
            std::string::npos);
  EXPECT_EQ(daemon.stop().exit_code, 0);
}

}  // namespace
}  // namespace mallbots::test
