// What nobody should send over the socket, in a whole mall: its own connection ends with the
// reason, and nobody else notices.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "services/gateways/admin/permissions.h"
#include "services/gateways/admin/viewer.h"
#include "tests/services/gateways/admin/admin_mall.h"

namespace mallbots::test {
namespace {

using gateways::Role;
using nlohmann::json;

constexpr const char* kSocket = "/admin/v1/socket";

class HostileSocket : public testing::Test {
 protected:
  void SetUp() override {
    const auto started = mall_.start();
    ASSERT_TRUE(started) << started.error().sentence();
  }
  /// Opened, greeted.
  void open(RawClient& socket, const std::string& cookie) {
    ASSERT_EQ(socket.upgrade(kSocket, "Cookie: " + cookie + "\r\n").status, 101);
    ASSERT_EQ(json::parse(socket.next_frame().text)["op"], "hello");
  }
  /// With which code it is closed; -1: it just ended.
  static int end_of(RawClient& socket) {
    while (true) {
      const auto frame = socket.next_frame();
      if (frame.opcode < 0) return -1;
      if (frame.opcode == 8) return frame.close_code();
    }
  }
  /// It is served, whatever happened to its neighbours.
  void expect_hears_of_a_new_store(RawClient& socket) {
    ASSERT_EQ(
        mall_.command("POST", "/stores", R"({"id":"s9","name":"Late","location":"1,1"})").status,
        201);
    for (bool has_seen = false; !has_seen;) {
      const auto frame = socket.next_frame();
      ASSERT_EQ(frame.opcode, 1);
      has_seen = frame.text.find("Late") != std::string::npos;
    }
  }

  AdminMall mall_;
};

TEST_F(HostileSocket, IsOpenedForNobodyWhoMayNot) {
  const auto status = [&](const std::string& headers) {
    return RawClient(mall_.port()).upgrade(kSocket, headers);
  };
  EXPECT_EQ(status("").status, 401);
  EXPECT_EQ(status("Cookie: mallbots_staff=" + std::string(64, 'a') + "\r\n").status, 401);
  const std::string cookie = "Cookie: " + mall_.everybody() + "\r\n";
  for (const char* origin : {"http://evil.example", "null", "https://localhost"}) {
    const RawAnswer answer = status(cookie + "Origin: " + origin + "\r\n");
    EXPECT_EQ(answer.status, 403) << origin;
    EXPECT_EQ(problem_of(answer), "wrong-origin");
  }
  EXPECT_EQ(status(cookie + "Origin: http://localhost\r\n").status, 101);
  const RawAnswer plain = mall_.ask({.path = "/socket", .cookie = mall_.everybody()});
  EXPECT_EQ(plain.status / 100, 4) << plain.head;
}

TEST_F(HostileSocket, WhatIsNoMessageEndsItsOwnConnectionWithTheReason) {
  RawClient lively(mall_.port());
  open(lively, mall_.everybody());
  lively.frame(1, R"({"op":"subscribe","topic":"stores"})");
  const std::string fill(70'000, 'x');
  struct Case {
    const char* what;
    int opcode;
    std::string bytes;
    int code;
  };
  const std::vector<Case> cases = {
      {"no JSON", 1, "{", gateways::kCloseMalformed},
      {"no object", 1, "[1]", gateways::kCloseMalformed},
      {"no op", 1, "{}", gateways::kCloseMalformed},
      {"op of another type", 1, R"({"op":{}})", gateways::kCloseMalformed},
      {"a command", 1, R"({"op":"release","order":"o1"})", gateways::kCloseMalformed},
      {"no topic", 1, R"({"op":"subscribe"})", gateways::kCloseMalformed},
      {"a field twice", 1, R"({"op":"heartbeat","op":"heartbeat"})", gateways::kCloseMalformed},
      {"wrong filter", 1, R"({"op":"subscribe","topic":"orders","filter":{"store":{}}})",
       gateways::kCloseMalformed},
      {"negative number", 1, R"({"op":"subscribe","topic":"orders","last":-1})",
       gateways::kCloseMalformed},
      {"deep", 1, std::string(60'000, '['), gateways::kCloseMalformed},
      {"long topic", 1,
       json{{"op", "subscribe"}, {"topic", "order:" + std::string(500, 'x')}}.dump(),
       gateways::kCloseMalformed},
      {"binary", 2, "abc", 1003},
      {"no UTF-8", 1, "\xff\xfe", 1007},
      {"huge", 1, fill, 1009},
      {"reserved opcode", 3, "abc", 1002},
  };
  for (const Case& one : cases) {
    RawClient socket(mall_.port());
    open(socket, mall_.everybody());
    socket.frame(one.opcode, one.bytes);
    EXPECT_EQ(end_of(socket), one.code) << one.what;
  }
  const auto raw = [&](const std::string& bytes) {
    RawClient socket(mall_.port());
    open(socket, mall_.everybody());
    socket.say(bytes);
    return end_of(socket);
  };
  EXPECT_EQ(raw(std::string("\x81\x02{}", 4)), 1002) << "not masked";
  EXPECT_EQ(raw(std::string("\xf1\x82\0\0\0\0{}", 8)), 1002) << "reserved bits";
  EXPECT_EQ(raw("\x81\xff" + std::string("\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 12)), 1009)
      << "a length of exabytes";
  // Pieces of a message that never ends.
  std::string pieces = std::string("\x01\x81\0\0\0\0", 6) + "{";
  for (int i = 0; i < 100; ++i)
    pieces += std::string("\0\xfe\x04\0\0\0\0\0", 8) + std::string(1024, ' ');
  EXPECT_EQ(raw(pieces), 1009);
  // The neighbour saw nothing of it.
  expect_hears_of_a_new_store(lively);
}

TEST_F(HostileSocket, FramesWithoutEndAreServedAndHoldNobodyUp) {
  RawClient lively(mall_.port());
  open(lively, mall_.everybody());
  lively.frame(1, R"({"op":"subscribe","topic":"stores"})");
  RawClient flood(mall_.port());
  open(flood, mall_.everybody());
  for (int i = 0; i < 5'000; ++i) {
    flood.frame(1, R"({"op":"heartbeat"})");
    flood.frame(9, "ping");
    flood.frame(1, R"({"op":"subscribe","topic":"stores"})");
    flood.frame(1, R"({"op":"unsubscribe","topic":"stores"})");
  }
  expect_hears_of_a_new_store(lively);
}

TEST_F(HostileSocket, TopicsOfOtherRolesAndOtherStoresAreRefused) {
  for (const auto& topic : gateways::socket_topics()) {
    const std::string name = topic.name == "order:ID" ? "order:o1" : std::string(topic.name);
    for (std::size_t i = 0; i < gateways::kRoles; ++i) {
      const auto role = static_cast<Role>(i);
      RawClient socket(mall_.port());
      open(socket, mall_.cookie(role));
      socket.frame(1, json{{"op", "subscribe"}, {"topic", name}}.dump());
      json answer;
      do {
        const auto frame = socket.next_frame();
        ASSERT_EQ(frame.opcode, 1);
        answer = json::parse(frame.text);
      } while (answer["op"] == "heartbeat");
      const bool may = scope_of({"x", {role}, {}}, topic.permission) != gateways::Scope::kNone;
      EXPECT_EQ(answer["op"], may ? "snapshot" : "refused") << name << " " << name_of(role);
      if (!may) {
        EXPECT_EQ(answer["problem"]["status"], 403);
      }
    }
  }
  RawClient socket(mall_.port());
  open(socket, mall_.everybody());
  for (const char* topic : {"", "order:", "ORDERS", "orders/../ops"}) {
    if (*topic == 0) continue;
    socket.frame(1, json{{"op", "subscribe"}, {"topic", topic}}.dump());
    json answer;
    do {
      answer = json::parse(socket.next_frame().text);
    } while (answer["op"] == "heartbeat");
    EXPECT_EQ(answer["problem"]["status"], 404) << topic;
  }
}

}  // namespace
}  // namespace mallbots::test
