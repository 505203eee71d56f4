#include "services/gateways/http/web_socket.h"

#include <gmock/gmock.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "services/gateways/http/server.h"
#include "tests/services/gateways/http/raw_client.h"

namespace mallbots::gateways {
namespace {

/// Says back what it hears, and counts.
struct Heard {
  std::mutex mutex;
  std::shared_ptr<SocketPeer> peer;
  std::vector<const char*> greetings{};
  std::atomic<int> rooms = 0;
  std::atomic<int> closes = 0;

  std::shared_ptr<SocketPeer> the_peer() {
    while (true) {
      const std::lock_guard lock{mutex};
      if (peer) return peer;
      std::this_thread::yield();
    }
  }
};

class Echo : public SocketHandler {
 public:
  explicit Echo(Heard& heard) : heard_(heard) {}
  void on_open(std::shared_ptr<SocketPeer> peer) override {
    const std::lock_guard lock{heard_.mutex};
    heard_.peer = std::move(peer);
    for (const char* text : heard_.greetings) static_cast<void>(heard_.peer->send(text));
  }
  void on_text(const std::string& text) override {
    if (text == "throw") throw std::runtime_error("oh");
    static_cast<void>(heard_.the_peer()->send(text));
  }
  void on_room() override { ++heard_.rooms; }
  void on_close() override { ++heard_.closes; }

 private:
  Heard& heard_;
};

class WebSocketTest : public testing::Test {
 protected:
  Server& start(ServerOptions options = {}) {
    options.name = "test";
    Router routes;
    routes.web_socket("/socket", [this](const Request& request) -> AcceptedSocket {
      if (!request.cookie("session")) return problem({401, "no-session", "who?", "sign in"});
      return std::make_unique<Echo>(heard_);
    });
    auto started = Server::start(std::move(options), std::move(routes));
    EXPECT_TRUE(started);
    server_ = *std::move(started);
    return *server_;
  }
  void open(RawClient& client) {
    EXPECT_EQ(client.upgrade("/socket", "Cookie: a=b; session=s\r\n").status, 101);
  }
  void expect_closed(RawClient& client, int code) {
    EXPECT_EQ(client.next_frame().close_code(), code);
    client.end();
    while (heard_.closes == 0) std::this_thread::yield();
    while (server_->figures().connections_now != 0) std::this_thread::yield();
  }

  Heard heard_;
  std::unique_ptr<Server> server_;
};

TEST_F(WebSocketTest, TextGoesThereAndBack) {
  RawClient client(start().port());
  open(client);
  client.frame(1, "one");
  client.frame(1, "two");
  client.frame(9, "ping");
  EXPECT_EQ(client.next_frame().text, "one");
  std::string rest;
  for (int count = 0; count < 2; ++count) rest += client.next_frame().text;
  EXPECT_THAT(rest, testing::AnyOf("twoping", "pingtwo"));
  EXPECT_EQ(server_->figures().sockets_now, 1U);
}

TEST_F(WebSocketTest, WhatIsSaidAtTheOpeningIsSaidOnceAndInOrder) {
  heard_.greetings = {"hello", "all", "there"};
  start();
  for (int i = 0; i < 300; ++i) {
    RawClient client(server_->port());
    open(client);
    client.frame(1, "last");
    for (const char* word : {"hello", "all", "there", "last"}) {
      ASSERT_EQ(client.next_frame().text, word) << i;
    }
  }
}

TEST_F(WebSocketTest, WhatIsNoUpgradeIsAnswered) {
  start();
  const auto ask = [&](const std::string& request) {
    return RawClient(server_->port()).ask(request).status;
  };
  EXPECT_EQ(ask("GET /socket HTTP/1.1\r\nHost: localhost\r\n\r\n"), 426);
  EXPECT_EQ(ask("POST /socket HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"), 405);
  EXPECT_EQ(RawClient(server_->port()).upgrade("/socket").status, 401);
  EXPECT_EQ(RawClient(server_->port())
                .upgrade("/socket", "Cookie: session=s\r\nOrigin: http://evil.example\r\n")
                .status,
            403);
  EXPECT_EQ(RawClient(server_->port())
                .upgrade("/socket", "Cookie: session=s\r\nOrigin: http://localhost\r\n")
                .status,
            101);
  EXPECT_EQ(ask("GET /socket HTTP/1.1\r\nHost: localhost\r\nCookie: session=s\r\nConnection: "
                "Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 12\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
            426);
}

TEST_F(WebSocketTest, BinaryHugeAndBadTextEndTheConnection) {
  start();
  for (const auto& [opcode, text, code] :
       {std::tuple{2, std::string("bytes"), 1003}, std::tuple{1, std::string("\xff\xfe"), 1007},
        std::tuple{1, std::string(70'000, 'a'), 1009}}) {
    heard_.closes = 0;
    RawClient client(server_->port());
    open(client);
    client.frame(opcode, text);
    expect_closed(client, code);
  }
}

TEST_F(WebSocketTest, HandlerThatThrowsEndsItsOwnConnectionOnly) {
  start();
  RawClient client(server_->port());
  open(client);
  client.frame(1, "throw");
  expect_closed(client, 1011);
  RawClient next(server_->port());
  open(next);
  next.frame(1, "again");
  EXPECT_EQ(next.next_frame().text, "again");
}

TEST_F(WebSocketTest, PeerThatGoesAwayIsNoticed) {
  start();
  {
    RawClient client(server_->port());
    open(client);
    static_cast<void>(heard_.the_peer());
  }
  while (heard_.closes == 0) std::this_thread::yield();
  while (heard_.the_peer()->send("late") != Sent::kClosed) std::this_thread::yield();
}

TEST_F(WebSocketTest, PeerThatDoesNotReadFillsItsOwnQueueAndHearsOfRoomLater) {
  start({.socket = {.queued_messages = 8}});
  RawClient client(server_->port(), 4096);
  open(client);
  const auto peer = heard_.the_peer();
  const std::string large(60'000, 'x');
  std::size_t queued = 0;
  while (peer->send(large) == Sent::kQueued) ++queued;  // the socket may take one more meanwhile
  EXPECT_GE(server_->figures().sockets_full, 1U);
  for (std::size_t count = 0; count < queued; ++count) {
    EXPECT_EQ(client.next_frame().text.size(), large.size());
  }
  while (heard_.rooms == 0) std::this_thread::yield();
  EXPECT_EQ(peer->send("again"), Sent::kQueued);
  EXPECT_EQ(client.next_frame().text, "again");
}

TEST_F(WebSocketTest, PeerThatIsStuckIsDropped) {
  start({.socket = {.queued_messages = 8, .stuck_ms = 100}});
  RawClient client(server_->port(), 4096);
  open(client);
  const auto peer = heard_.the_peer();
  const std::string large(60'000, 'x');
  while (peer->send(large) != Sent::kClosed) std::this_thread::yield();
  while (heard_.closes == 0) std::this_thread::yield();
}

TEST_F(WebSocketTest, CloseSaysWhyAndSendsNothingMore) {
  start();
  RawClient client(server_->port());
  open(client);
  const auto peer = heard_.the_peer();
  peer->close(1008, "signed out");
  EXPECT_EQ(peer->send("late"), Sent::kClosed);
  const auto frame = client.next_frame();
  EXPECT_EQ(frame.close_code(), 1008);
  EXPECT_EQ(frame.text.substr(2), "signed out");
}

TEST_F(WebSocketTest, StopEndsSocketsOfPeersThatDoNotAnswer) {
  start();
  RawClient client(server_->port());
  open(client);
  const auto peer = heard_.the_peer();
  server_->stop();
  EXPECT_EQ(client.next_frame().close_code(), 1001);
  EXPECT_EQ(heard_.closes, 1);
}

}  // namespace
}  // namespace mallbots::gateways
