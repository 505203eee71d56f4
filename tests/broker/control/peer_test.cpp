#include "broker/control/peer.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "tests/support/process.h"

namespace mallbots::broker {
namespace {

shm::UniqueFd pidfd_of(pid_t pid) {
  return shm::UniqueFd{static_cast<int>(syscall(SYS_pidfd_open, pid, 0))};
}

TEST(Peer, IsWhoConnected) {
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
  const shm::UniqueFd ours{ends[0]};
  const shm::UniqueFd theirs{ends[1]};
  const auto peer = identify_peer(ours.get());
  ASSERT_TRUE(peer) << peer.error().detail;
  EXPECT_EQ(peer->pid, getpid());
  EXPECT_EQ(peer->uid, geteuid());
  if (peer->pidfd) {
    EXPECT_EQ(pid_of(peer->pidfd.get()), getpid());
  }
}

TEST(Peer, ItsOwnPidfdIsBelievedWhereTheKernelGivesNone) {
  Peer peer{.pid = getpid(), .uid = geteuid(), .pidfd = {}};
  ASSERT_TRUE(accept_pidfd(peer, pidfd_of(getpid())));
  EXPECT_TRUE(peer.pidfd);
}

TEST(Peer, PidfdOfAnotherProcessOrNoPidfdAtAllIsRefused) {
  test::Process other = test::Process::start({"sleep", "30"});
  Peer peer{.pid = getpid(), .uid = geteuid(), .pidfd = {}};
  const auto foreign = accept_pidfd(peer, pidfd_of(other.pid()));
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, ErrorCode::kBadMessage);
  const auto no_pidfd = accept_pidfd(peer, shm::UniqueFd{dup(STDERR_FILENO)});
  ASSERT_FALSE(no_pidfd);
  EXPECT_EQ(no_pidfd.error().code, ErrorCode::kBadMessage);
  const auto none = accept_pidfd(peer, std::nullopt);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kUnsupported);
  EXPECT_FALSE(peer.pidfd);
}

TEST(Peer, DeathIsSeenOnThePidfd) {
  test::Process other = test::Process::start({"sleep", "30"});
  const shm::UniqueFd pidfd = pidfd_of(other.pid());
  EXPECT_FALSE(is_dead(pidfd.get()));
  other.send(SIGKILL);
  EXPECT_TRUE(test::eventually([&] { return is_dead(pidfd.get()); }));
  ASSERT_EQ(other.wait().signal, SIGKILL);
  EXPECT_EQ(pid_of(pidfd.get()), std::nullopt);
}

}  // namespace
}  // namespace mallbots::broker
