#include "broker/control/packet_socket.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace mallbots::broker {
namespace {

class PacketSockets : public testing::Test {
 protected:
  PacketSockets() {
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    ours_ = std::make_unique<PacketSocket>(shm::UniqueFd{ends[0]});
    theirs_ = shm::UniqueFd{ends[1]};
  }
  static std::vector<std::byte> bytes(std::size_t size) {
    return std::vector<std::byte>(size, std::byte{7});
  }
  void send_raw(std::size_t size, const std::vector<int>& fds = {}) const {
    const auto packet = bytes(size);
    iovec piece{const_cast<std::byte*>(packet.data()), size};
    std::vector<std::byte> control(CMSG_SPACE(fds.size() * sizeof(int)));
    msghdr envelope{};
    envelope.msg_iov = &piece;
    envelope.msg_iovlen = 1;
    if (!fds.empty()) {
      envelope.msg_control = control.data();
      envelope.msg_controllen = control.size();
      cmsghdr* rights = CMSG_FIRSTHDR(&envelope);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
      std::memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
    }
    ASSERT_EQ(sendmsg(theirs_.get(), &envelope, 0), static_cast<ssize_t>(size));
  }
  std::unique_ptr<PacketSocket> ours_;
  shm::UniqueFd theirs_;
};

TEST_F(PacketSockets, NothingThenPacketThenEnd) {
  Packet packet;
  EXPECT_EQ(ours_->receive(packet), Receipt::kNothing);
  send_raw(100);
  ASSERT_EQ(ours_->receive(packet), Receipt::kPacket);
  EXPECT_EQ(packet.bytes.size(), 100U);
  theirs_.reset();
  EXPECT_EQ(ours_->receive(packet), Receipt::kClosed);
}

TEST_F(PacketSockets, LargestPacketPassesAndOneByteMoreIsBad) {
  Packet packet;
  send_raw(shm::kMaxMessageBytes);
  ASSERT_EQ(ours_->receive(packet), Receipt::kPacket);
  EXPECT_EQ(packet.bytes.size(), shm::kMaxMessageBytes);
  send_raw(shm::kMaxMessageBytes + 1);
  EXPECT_EQ(ours_->receive(packet), Receipt::kBad);
}

TEST_F(PacketSockets, TooManyDescriptorsAreBadAndNoneLeaks) {
  const shm::UniqueFd probe_before{dup(theirs_.get())};
  Packet packet;
  for (int i = 0; i < 50; ++i) {
    send_raw(10, std::vector<int>(shm::kMaxMessageFds + 5, theirs_.get()));
    EXPECT_EQ(ours_->receive(packet), Receipt::kBad);
    packet = {};
  }
  const shm::UniqueFd probe_after{dup(theirs_.get())};
  EXPECT_EQ(probe_after.get(), probe_before.get() + 1);
}

TEST_F(PacketSockets, WhatThePeerDoesNotTakeWaitsInOrder) {
  std::size_t sent = 0;
  while (!ours_->waiting()) {
    auto packet = bytes(8000);
    std::memcpy(packet.data(), &sent, sizeof sent);
    ASSERT_TRUE(ours_->send(std::move(packet), {}));
    ++sent;
  }
  auto last = bytes(8000);
  std::memcpy(last.data(), &sent, sizeof sent);
  std::vector<shm::UniqueFd> fds;
  fds.emplace_back(eventfd(0, EFD_CLOEXEC));
  ASSERT_TRUE(ours_->send(std::move(last), std::move(fds)));
  std::array<std::byte, 8000> got;
  for (std::size_t expected = 0; expected <= sent; ++expected) {
    ASSERT_EQ(recv(theirs_.get(), got.data(), got.size(), 0), 8000);
    std::size_t number = 0;
    std::memcpy(&number, got.data(), sizeof number);
    ASSERT_EQ(number, expected);
    ASSERT_TRUE(ours_->flush());
  }
  EXPECT_FALSE(ours_->waiting());
}

TEST_F(PacketSockets, PeerThatNeverReadsIsGivenUp) {
  int sent = 0;
  while (ours_->send(bytes(8000), {})) ASSERT_LT(++sent, 10'000);
  EXPECT_GT(sent, 100);
}

TEST_F(PacketSockets, SendingToAClosedPeerSaysSo) {
  theirs_.reset();
  EXPECT_FALSE(ours_->send(bytes(10), {}));
}

}  // namespace
}  // namespace mallbots::broker
