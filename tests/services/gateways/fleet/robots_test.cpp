// Who has a place at the gateway, without a depot: Hello in time, one Hello per credential,
// strangers that take no robot's place; and connections that are nothing yet.
#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <optional>

#include "services/gateways/fleet/fleet.grpc.pb.h"
#include "services/gateways/fleet/stream_door.h"

namespace mallbots::fleet {
namespace {

/// Welcomes everybody at once, unless it is away.
class GladDepot final : public DepotDoor {
 public:
  void hello(const DepotCall&, const depotpb::HelloRequest&,
             Then<depotpb::HelloResponse> then) override {
    if (is_away) return then(std::unexpected(CallFailure{}));
    depotpb::HelloResponse welcome;
    welcome.set_epoch(++epoch_);
    welcome.set_heartbeat_ms(3'000);
    then(welcome);
  }
  void report(const DepotCall&, const depotpb::ReportRequest&, Then<void> then) override {
    then({});
  }
  void get_bot(const std::string& bot_id, Then<depotpb::Bot> then) override {
    depotpb::Bot bot;
    bot.set_id(bot_id);
    bot.set_status("idle");
    then(bot);
  }
  void get_list(const std::string&, Then<depotpb::ShoppingList> then) override { then({}); }
  void heartbeats(const depotpb::HeartbeatsRequest&,
                  Then<depotpb::HeartbeatsResponse> then) override {
    then({});
  }
  void stream_ended(const DepotCall&, const depotpb::BotConnection&, Then<void> then) override {
    then({});
  }

  bool is_away = false;

 private:
  std::uint64_t epoch_ = 0;
};

class OpenLine final : public Line {
 public:
  bool send(const fleetpb::ToRobot& message) override {
    is_welcomed = is_welcomed || message.has_welcome();
    return true;
  }
  void end(Ending why) override { ended = why; }

  bool is_welcomed = false;
  std::optional<Ending> ended;
};

struct Caller {
  std::shared_ptr<OpenLine> line = std::make_shared<OpenLine>();
  std::shared_ptr<Session> session;
};

class RobotsTest : public testing::Test {
 protected:
  Caller call(const std::string& peer = "ipv4:10.0.0.1") {
    Caller caller;
    caller.session = robots_.open(caller.line, peer);
    return caller;
  }
  void say(const Caller& caller, const fleetpb::FromRobot& message) {
    robots_.heard(caller.session, message, [] {});
  }
  void hello(const Caller& caller, const std::string& id) {
    fleetpb::FromRobot message;
    message.mutable_hello()->set_bot_id(id);
    say(caller, message);
  }
  Caller robot(const std::string& id) {
    Caller caller = call();
    hello(caller, id);
    return caller;
  }
  void pass(std::int64_t ms) {
    now_ns_ += ms * kMillisecond;
    robots_.tick();
  }

  GladDepot depot_;
  BootNanos now_ns_ = kSecond;
  Robots robots_{{depot_, [](const auto& hello, bool) { return hello.bot_id() != "thief"; },
                  [this] { return now_ns_; }, [](const auto&, const auto&) {}},
                 {.max_robots = 2, .max_strangers = 3, .hello_ms = 10'000}};
};

TEST_F(RobotsTest, WhoSaysNoHelloInTimeEndsWhateverElseItSays) {
  const Caller talker = call();
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(talker.line->ended);
    fleetpb::FromRobot heartbeat;
    heartbeat.mutable_heartbeat();
    say(talker, heartbeat);
    pass(2'100);
  }
  EXPECT_EQ(talker.line->ended, Ending::kSilent);
}

TEST_F(RobotsTest, StrangersTakeNoPlaceOfRobots) {
  std::vector<Caller> strangers;
  for (int i = 0; i < 20; ++i) strangers.push_back(call());
  EXPECT_TRUE(robot("b1").line->is_welcomed);
  EXPECT_TRUE(robot("b2").line->is_welcomed);
  EXPECT_EQ(robots_.numbers().open,
            4U);  // the two, and the strangers but for those they pushed out
  EXPECT_EQ(strangers.front().line->ended, Ending::kCrowded);
  EXPECT_FALSE(strangers.back().line->ended);
}

TEST_F(RobotsTest, AFloodFromOneAddressDrivesOutNobodyElse) {
  const Caller elsewhere = call("ipv4:10.0.0.2");
  for (int i = 0; i < 1'000; ++i) call();
  EXPECT_FALSE(elsewhere.line->ended);
  const Caller late = call("ipv4:10.0.0.3");
  call();
  hello(elsewhere, "b1");
  hello(late, "b2");
  EXPECT_TRUE(elsewhere.line->is_welcomed);
  EXPECT_TRUE(late.line->is_welcomed);
}

TEST_F(RobotsTest, OfAddressesWithOneStrangerEachTheOldestGoes) {
  const Caller first = call("ipv4:10.0.0.1");
  const Caller second = call("ipv4:10.0.0.2");
  const Caller third = call("ipv4:10.0.0.3");
  const Caller newcomer = call("ipv4:10.0.0.4");
  EXPECT_EQ(first.line->ended, Ending::kCrowded);
  for (const Caller& caller : {second, third, newcomer}) EXPECT_FALSE(caller.line->ended);
}

TEST_F(RobotsTest, OneCredentialHoldsOnePlaceWhileTheDepotIsAway) {
  depot_.is_away = true;
  std::vector<Caller> again;
  for (int i = 0; i < 20; ++i) again.push_back(robot("b1"));
  EXPECT_EQ(robots_.numbers().open, 1U);
  EXPECT_EQ(robots_.numbers().ended.at(Ending::kFenced), 19U);
  EXPECT_FALSE(again.back().line->ended);
  const Caller other = robot("b2");
  EXPECT_FALSE(other.line->ended);
  EXPECT_EQ(robot("b3").line->ended, Ending::kFull);
  depot_.is_away = false;
  pass(600);
  EXPECT_TRUE(again.back().line->is_welcomed);
  EXPECT_TRUE(other.line->is_welcomed);
}

TEST_F(RobotsTest, AHelloThatWaitsLeavesTheOpenConnectionAlone) {
  const Caller open = robot("b1");
  depot_.is_away = true;
  const Caller gave_up = robot("b1");
  const Caller waits = robot("b1");
  EXPECT_EQ(gave_up.line->ended, Ending::kFenced);
  EXPECT_FALSE(open.line->ended);
  robots_.ended(gave_up.session);
  depot_.is_away = false;
  pass(600);
  EXPECT_TRUE(waits.line->is_welcomed);
  EXPECT_EQ(open.line->ended, Ending::kFenced);
  EXPECT_EQ(robots_.numbers().open, 1U);
}

TEST_F(RobotsTest, WhoIsPutOutOfACrowdIsToldSo) {
  const auto door = StreamDoor::open(robots_, {});
  ASSERT_TRUE(door) << door.error().sentence();
  const auto channel = grpc::CreateChannel("127.0.0.1:" + std::to_string((*door)->port()),
                                           grpc::InsecureChannelCredentials());
  const auto stub = fleetpb::Fleet::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{20});
  const auto stream = stub->Connect(&context);
  fleetpb::FromRobot heartbeat;
  heartbeat.mutable_heartbeat();
  fleetpb::ToRobot answer;
  ASSERT_TRUE(stream->Write(heartbeat) && stream->Read(&answer));
  EXPECT_EQ(answer.reject().code(), fleetpb::SAY_HELLO);  // it is there
  for (int i = 0; i < 3; ++i) call("ipv4:127.0.0.1");
  EXPECT_FALSE(stream->Read(&answer));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(status.error_message().find("without Hello"), std::string::npos)
      << status.error_message();
  robots_.close();
}

TEST_F(RobotsTest, OneRobotMoreIsEndedUnlessItIsOneOfThem) {
  const Caller first = robot("b1");
  const Caller second = robot("b2");
  const Caller third = robot("b3");
  EXPECT_EQ(third.line->ended, Ending::kFull);
  EXPECT_FALSE(third.line->is_welcomed);
  const Caller again = robot("b1");
  EXPECT_TRUE(again.line->is_welcomed);
  EXPECT_EQ(first.line->ended, Ending::kFenced);
  EXPECT_FALSE(second.line->ended);
  robots_.ended(second.session);
  EXPECT_TRUE(robot("b3").line->is_welcomed);
  EXPECT_EQ(robot("thief").line->ended, Ending::kNotAdmitted);
  EXPECT_EQ(robots_.numbers().open, 2U);
}

TEST_F(RobotsTest, ConnectionWithoutAStreamIsClosed) {
  const auto door = StreamDoor::open(robots_, {.idle_ms = 300});
  ASSERT_TRUE(door) << door.error().sentence();
  const auto channel = grpc::CreateChannel("127.0.0.1:" + std::to_string((*door)->port()),
                                           grpc::InsecureChannelCredentials());
  const auto patience = std::chrono::system_clock::now() + std::chrono::seconds{20};
  ASSERT_TRUE(channel->WaitForConnected(patience));
  EXPECT_TRUE(channel->WaitForStateChange(GRPC_CHANNEL_READY, patience));
  robots_.close();
}

TEST_F(RobotsTest, ConnectionThatSaysNothingIsClosed) {
  const auto door = StreamDoor::open(robots_, {.handshake_ms = 300});
  ASSERT_TRUE(door) << door.error().sentence();
  const int mute = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{20, 0};
  ::setsockopt(mute, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>((*door)->port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(mute, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  char bytes[256];
  ssize_t got = 1;
  while (got > 0) got = ::recv(mute, bytes, sizeof bytes, 0);  // its settings, then the end
  EXPECT_TRUE(got == 0 || errno == ECONNRESET) << errno;
  ::close(mute);
  robots_.close();
}

}  // namespace
}  // namespace mallbots::fleet
