#include "broker/keeper/link.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>

namespace mallbots::broker {
namespace {

TEST(KeeperLink, WithoutAKeeperEverythingSucceedsAndNothingIsLeft) {
  KeeperLink link;
  EXPECT_TRUE(link.put(FdKind::kSlot, 1, 0));
  EXPECT_TRUE(link.remove(FdKind::kSlot, 1));
  EXPECT_TRUE(link.ready(0));
  EXPECT_FALSE(link.take(FdKind::kSlot, 1));
  EXPECT_EQ(link.drop_rest(), std::size_t{0});
}

TEST(KeeperLink, GoneKeeperIsAnErrorNotAHang) {
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
  KeeperLink link{shm::UniqueFd{ends[0]}, FdStore{}};
  shm::UniqueFd{ends[1]}.reset();
  const auto put = link.put(FdKind::kSlot, 1, 0);
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, ErrorCode::kDraining);
}

}  // namespace
}  // namespace mallbots::broker
