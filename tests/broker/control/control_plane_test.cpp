// mallbotsd as a bad client meets it.
#include "broker/control/control_plane.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <random>

#include "tests/support/control_client.h"
#include "tests/support/daemon.h"

namespace mallbots::test {
namespace {

std::vector<std::byte> packet_of(std::size_t size, unsigned char fill = 0) {
  return std::vector<std::byte>(size, std::byte{fill});
}

template <class Message>
std::vector<std::byte> encoded(const Message& message) {
  return shm::encode_packet(Message::kType, 1, message);
}

class ControlSocket : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(daemon_.start()) << daemon_.log(); }
  void TearDown() override {
    // Whatever a test sent: the broker is the same, serves a good client, and stops clean.
    if (HasFatalFailure()) return;
    EXPECT_EQ(daemon_.broker_pid(), broker_);
    ControlClient good{daemon_.socket_path()};
    EXPECT_TRUE(good.hello("good"));
    EXPECT_TRUE(good.call(shm::Status{}));
    EXPECT_EQ(daemon_.stop().exit_code, 0) << daemon_.log();
  }
  ControlClient connect() { return ControlClient{daemon_.socket_path()}; }
  ControlClient session() {
    ControlClient client = connect();
    EXPECT_TRUE(client.hello("bad"));
    return client;
  }
  Daemon daemon_;
  pid_t broker_ = 0;
};

class HostileClient : public ControlSocket {
 protected:
  void SetUp() override {
    ControlSocket::SetUp();
    broker_ = daemon_.broker_pid();
  }
};

TEST_F(HostileClient, GarbageBeforeTheHelloClosesItsConnection) {
  std::vector<std::vector<std::byte>> firsts{
      packet_of(1),
      packet_of(15),
      packet_of(16),
      packet_of(17, 0xFF),
      packet_of(shm::kMaxMessageBytes, 0xFF),
      packet_of(100'000),
      encoded(shm::Status{}),                               // not a Hello
      encoded(shm::Hello{.name = std::string(201, 'n')})};  // a name too long
  auto long_hello = encoded(shm::Hello{.layout_version = shm::kLayoutVersion, .name = "x"});
  long_hello.push_back(std::byte{0});  // one byte left over, and a header that lies
  firsts.push_back(long_hello);
  auto old_version = encoded(shm::Hello{.layout_version = shm::kLayoutVersion, .name = "x"});
  old_version[2] = std::byte{99};
  firsts.push_back(old_version);
  for (std::size_t i = 0; i < firsts.size(); ++i) {
    ControlClient client = connect();
    ASSERT_TRUE(client.connected());
    client.send(firsts[i]);
    EXPECT_TRUE(client.closed()) << "case " << i;
  }
  EXPECT_TRUE(daemon_.logs("connection refused"));
}

TEST_F(HostileClient, GarbageFromASessionEndsThatSessionAndSaysSo) {
  std::vector<std::vector<std::byte>> bads{packet_of(1), packet_of(15), packet_of(16, 0xFF),
                                           packet_of(shm::kMaxMessageBytes, 1), packet_of(100'000)};
  auto cut = encoded(shm::OpenTopic{.name = "topic"});
  cut.pop_back();
  bads.push_back(cut);
  auto more = encoded(shm::OpenTopic{.name = "topic"});
  more.push_back(std::byte{});
  bads.push_back(more);
  auto reply = encoded(shm::OpenTopic{.name = "topic"});
  reply[1] = std::byte{1};  // type 0x102: a Notice is none that a client sends
  bads.push_back(reply);
  bads.push_back(shm::encode_packet(shm::MessageType{999}, 1, shm::Empty{}));
  bads.push_back(shm::encode_packet(shm::MessageType::kStatus, 0, shm::Empty{}));  // id 0
  bads.push_back(encoded(shm::Hello{.layout_version = shm::kLayoutVersion}));      // a second one
  // A count of items that the packet cannot hold.
  auto lie = encoded(shm::JoinGroup{.group = "g"});
  for (std::size_t i = 16 + 2 + 1 + 2; i < 16 + 2 + 1 + 2 + 4; ++i) lie[i] = std::byte{0xFF};
  bads.push_back(lie);
  for (std::size_t i = 0; i < bads.size(); ++i) {
    ControlClient client = session();
    client.send(bads[i]);
    EXPECT_TRUE(client.closed()) << "case " << i;
  }
  EXPECT_TRUE(daemon_.logs("session expelled"));
}

TEST_F(HostileClient, EveryMessageCutAtEveryByteEndsItsSessionOnly) {
  const auto whole = encoded(
      shm::CreateTopic{.name = "t", .partitions = 1, .settings = {{.key = "slots", .value = "4"}}});
  for (std::size_t size = 1; size < whole.size(); ++size) {
    auto cut = whole;
    cut.resize(size);
    if (size >= sizeof(shm::MessageHeader)) {  // a header that is true, a body that is short
      const auto body = static_cast<std::uint32_t>(size - sizeof(shm::MessageHeader));
      std::memcpy(cut.data() + offsetof(shm::MessageHeader, body_bytes), &body, sizeof body);
    }
    ControlClient client = session();
    client.send(cut);
    EXPECT_TRUE(client.closed()) << size;
  }
}

TEST_F(HostileClient, RandomPacketsHarmNobodyElse) {
  ControlClient good = session();
  std::mt19937_64 random{20'260'721};
  for (int round = 0; round < 300; ++round) {
    ControlClient client = round % 4 == 0 ? connect() : session();
    auto packet = packet_of(16 + random() % 200);
    for (auto& byte : packet) byte = static_cast<std::byte>(random());
    shm::MessageHeader header{.type = static_cast<std::uint16_t>(random() % 28),
                              .version = shm::kControlVersion,
                              .request_id = 7,
                              .error = 0,
                              .reserved = 0,
                              .body_bytes = static_cast<std::uint32_t>(packet.size() - 16)};
    if (round % 3 != 0) std::memcpy(packet.data(), &header, sizeof header);
    client.send(packet);
    client.send(packet);
  }
  const auto status = good.call(shm::Status{});
  ASSERT_TRUE(status);
  EXPECT_EQ(status->error(), ErrorCode::kNone);
}

TEST_F(HostileClient, DescriptorsNobodyAskedForEndTheSessionAndDoNotPileUp) {
  const shm::UniqueFd junk{eventfd(0, EFD_CLOEXEC)};
  const auto descriptors = [&] {
    return run({"sh", "-c", "ls /proc/" + std::to_string(broker_) + "/fd | wc -l"}).output;
  };
  const int before = std::stoi(descriptors());
  for (int i = 0; i < 40; ++i) {
    ControlClient client = session();
    const std::vector<int> fds(i % 2 == 0 ? 1 : 9, junk.get());
    client.send(encoded(shm::Status{}), fds);
    EXPECT_TRUE(client.closed());
    ControlClient guest = connect();
    guest.send(packet_of(20), fds);
    EXPECT_TRUE(guest.closed());
  }
  // The expelled sessions keep page and pidfd until this process ends; that is 2 each. The broker's
  // own may come and go by a few (spare files).
  EXPECT_TRUE(eventually([&] { return std::stoi(descriptors()) <= before + 80 + 4; }))
      << before << " before, " << descriptors();
}

TEST_F(HostileClient, CrowdBeforeTheHelloDoesNotKeepOthersOut) {
  std::vector<ControlClient> crowd;
  for (int i = 0; i < 300; ++i) crowd.push_back(connect());
  ControlClient good = connect();
  EXPECT_TRUE(good.hello("good"));
}

TEST_F(HostileClient, ClientThatNeverReadsIsExpelledOthersAreServed) {
  ControlClient slow = session();
  const auto request = encoded(shm::Status{});
  bool full = false;
  const timeval limit{.tv_sec = 0, .tv_usec = 200'000};
  setsockopt(slow.fd(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  for (int i = 0; i < 20'000 && !full; ++i) full = !slow.send(request);
  EXPECT_TRUE(daemon_.logs("it does not read what the broker sends"));
}

TEST_F(HostileClient, PidfdOfAnotherProcessIsNoWayIn) {
  Process other = Process::start({"sleep", "30"});
  ControlClient client = connect();
  const shm::UniqueFd junk{eventfd(0, EFD_CLOEXEC)};
  const std::array fds{junk.get()};
  const auto answer =
      client.call(shm::Hello{.layout_version = shm::kLayoutVersion, .name = "liar"}, fds);
  // With SO_PEERPIDFD the kernel's word counts and the descriptor is dropped.
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->error() == ErrorCode::kNone || answer->error() == ErrorCode::kBadMessage);
}

TEST_F(HostileClient, AnotherLayoutVersionIsToldWhich) {
  ControlClient client = connect();
  const auto answer = client.call(shm::Hello{.layout_version = 77, .name = "old"});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error(), ErrorCode::kWrongVersion);
  EXPECT_NE(answer->detail().find("77"), std::string::npos);
}

}  // namespace
}  // namespace mallbots::test
