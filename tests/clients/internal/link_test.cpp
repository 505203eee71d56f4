#include "clients/internal/link.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "tests/clients/fixture.h"

namespace mallbots::test {
namespace {

/// A socket that answers what it is told to, or nothing.
class MadBroker {
 public:
  explicit MadBroker(std::string answer) : answer_(std::move(answer)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = folder_ / "control.sock";
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    listener_ = shm::UniqueFd{socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener_.get(), 4), 0);
    thread_ = std::jthread{[this](const std::stop_token& stop) { serve(stop); }};
  }
  ~MadBroker() {
    thread_.request_stop();
    shutdown(listener_.get(), SHUT_RDWR);
  }
  [[nodiscard]] client::ConnectionOptions options() const {
    return {.runtime_dir = folder_.path(), .reconnect_timeout_ms = 300};
  }

 private:
  void serve(const std::stop_token& stop) {
    std::vector<shm::UniqueFd> open;
    while (!stop.stop_requested()) {
      shm::UniqueFd peer{accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
      if (!peer) return;
      if (!answer_.empty()) send(peer.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL);
      open.push_back(std::move(peer));
    }
  }
  TempDir folder_;
  std::string answer_;
  shm::UniqueFd listener_;
  std::jthread thread_;
};

TEST(LinkTest, SilenceIsConnectionLostInTime) {
  const MadBroker broker{""};
  const auto link = client::Link::open(broker.options());
  ASSERT_FALSE(link.has_value());
  EXPECT_EQ(link.error().code, ErrorCode::kConnectionLost);
}

TEST(LinkTest, GarbageIsNeverTakenForABroker) {
  const MadBroker broker{"this is no packet of ours, and it has no descriptors either"};
  const auto link = client::Link::open(broker.options());
  ASSERT_FALSE(link.has_value());
  EXPECT_EQ(link.error().code, ErrorCode::kConnectionLost);
}

class LinkWithBroker : public ClientTest {};

TEST_F(LinkWithBroker, AnswersMeetTheirQuestionsFromManyThreads) {
  const auto connection = connect();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int round = 0; round < 50; ++round) {
        const auto topic = client::Admin{*connection}.create_topic(
            "t" + std::to_string(i) + "-" + std::to_string(round % 3), 1, {{"class", "small"}});
        EXPECT_TRUE(topic || topic.error().code == ErrorCode::kTopicExists);
        EXPECT_TRUE(client::Admin{*connection}.status().has_value());
      }
    });
  threads.clear();
  EXPECT_EQ(client::Admin{*connection}.list_topics()->size(), 12U);
}

TEST_F(LinkWithBroker, AnAttachmentEndsWithItsConnection) {
  const auto connection = connect();
  client::Link& link = connection->link();
  const std::uint64_t attachment = link.attachment();
  ASSERT_TRUE(daemon_.kill_broker());
  const auto lost =
      link.ask_on<shm::StatusReply>(attachment, shm::Status{}, Deadline::after_ms(1'000));
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().code, ErrorCode::kConnectionLost);
  ASSERT_TRUE((link.ask<shm::StatusReply>(shm::Status{}, Deadline::after_ms(5'000)).has_value()));
  EXPECT_GT(link.attachment(), attachment);
}

}  // namespace
}  // namespace mallbots::test
