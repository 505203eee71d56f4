#include "broker/metrics_http/metrics_server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <thread>

#include "tests/support/temp_dir.h"

namespace mallbots::broker {
namespace {

namespace asio = boost::asio;

template <class Socket>
std::string talk(Socket& socket, const std::string& request) {
  boost::system::error_code end;
  asio::write(socket, asio::buffer(request), end);
  std::string answer;
  asio::read(socket, asio::dynamic_buffer(answer), end);
  return answer;
}

std::string get(unsigned short port, const std::string& target, const std::string& method = "GET") {
  asio::io_context context;
  asio::ip::tcp::socket socket{context};
  socket.connect({asio::ip::address_v4::loopback(), port});
  return talk(socket, method + " " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
}

/// What the broker's loop does: answers when asked.
void answer_once(MetricsServer& server) {
  pollfd asked{server.request_fd(), POLLIN, 0};
  ASSERT_GT(poll(&asked, 1, 10'000), 0);
  server.answer({{"up", "help", MetricKind::kGauge, {{{}, 1}}}});
}

TEST(MetricsServer, ServesWhatItIsAnswered) {
  auto server = MetricsServer::start("127.0.0.1:0");
  ASSERT_TRUE(server) << server.error().detail;
  for (int i = 0; i < 3; ++i) {
    std::string page;
    std::thread scraper{[&] { page = get((*server)->port(), "/metrics"); }};
    answer_once(**server);
    scraper.join();
    EXPECT_NE(page.find("200 OK"), std::string::npos) << page;
    EXPECT_NE(page.find("\nup 1\n"), std::string::npos) << page;
  }
}

TEST(MetricsServer, OtherPagesAndMethodsAreRefusedWithoutAsking) {
  auto server = MetricsServer::start("127.0.0.1:0");
  ASSERT_TRUE(server);
  EXPECT_NE(get((*server)->port(), "/").find("404"), std::string::npos);
  EXPECT_NE(get((*server)->port(), "/metrics", "DELETE").find("405"), std::string::npos);
  pollfd asked{(*server)->request_fd(), POLLIN, 0};
  EXPECT_EQ(poll(&asked, 1, 0), 0);
}

TEST(MetricsServer, GarbageAndLongHeadersEndTheirConnectionOnly) {
  auto server = MetricsServer::start("127.0.0.1:0");
  ASSERT_TRUE(server);
  asio::io_context context;
  for (const std::string& junk : {std::string(100'000, 'x'), std::string("\0\1\2\r\n\r\n", 7),
                                  "GET / HTTP/1.1\r\nA: " + std::string(50'000, 'y')}) {
    asio::ip::tcp::socket socket{context};
    socket.connect({asio::ip::address_v4::loopback(), (*server)->port()});
    static_cast<void>(talk(socket, junk));
  }
  EXPECT_NE(get((*server)->port(), "/").find("404"), std::string::npos);
}

TEST(MetricsServer, SilentBrokerGivesUnavailable) {
  auto server = MetricsServer::start("127.0.0.1:0");
  ASSERT_TRUE(server);
  EXPECT_NE(get((*server)->port(), "/metrics").find("503"), std::string::npos);
}

TEST(MetricsServer, ServesAUnixSocketAndRemovesItAtTheEnd) {
  const test::TempDir dir;
  const std::string path = dir / "metrics.sock";
  {
    auto server = MetricsServer::start("unix:" + path);
    ASSERT_TRUE(server) << server.error().detail;
    asio::io_context context;
    asio::local::stream_protocol::socket socket{context};
    socket.connect(path);
    EXPECT_NE(talk(socket, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").find("404"), std::string::npos);
  }
  EXPECT_NE(access(path.c_str(), F_OK), 0);
}

TEST(MetricsServer, AddressesOpenToOthersAreRefused) {
  for (const char* listen :
       {"0.0.0.0:9644", "192.168.1.1:9644", "[::]:9644", "[2001:db8::1]:1", "localhost:9644",
        "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "9644", "unix:relative", ""}) {
    const auto checked = MetricsServer::check(listen);
    ASSERT_FALSE(checked) << listen;
    EXPECT_EQ(checked.error().code, ErrorCode::kBadConfig);
    EXPECT_NE(checked.error().detail.find(listen), std::string::npos);
  }
  for (const char* listen : {"127.0.0.1:9644", "[::1]:0", "127.1.2.3:1", "unix:/run/x.sock"})
    EXPECT_TRUE(MetricsServer::check(listen)) << listen;
}

TEST(MetricsServer, EndsAtOnceAlsoWhileAClientKeepsItsConnectionOpen) {
  auto server = MetricsServer::start("127.0.0.1:0");
  ASSERT_TRUE(server);
  asio::io_context context;
  asio::ip::tcp::socket socket{context};
  socket.connect({asio::ip::address_v4::loopback(), (*server)->port()});
  server->reset();
}

}  // namespace
}  // namespace mallbots::broker
