#include "broker/control/poller.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace mallbots::broker {
namespace {

void knock(const shm::UniqueFd& fd) {
  const std::uint64_t one = 1;
  ASSERT_EQ(write(fd.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
}

TEST(Poller, NamesWhatHappened) {
  auto poller = Poller::make();
  ASSERT_TRUE(poller);
  const shm::UniqueFd fd{eventfd(0, EFD_CLOEXEC)};
  ASSERT_TRUE(poller->watch(fd.get(), Source::kProcess, 17));
  EXPECT_TRUE(poller->wait(0).empty());
  knock(fd);
  const auto events = poller->wait(INT64_MAX);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].source, Source::kProcess);
  EXPECT_EQ(events[0].id, 17U);
  EXPECT_TRUE(events[0].readable);
}

TEST(Poller, EdgeTellsEveryWriteThoughNobodyReads) {
  auto poller = Poller::make();
  ASSERT_TRUE(poller);
  const shm::UniqueFd fd{eventfd(0, EFD_CLOEXEC)};
  ASSERT_TRUE(poller->watch(fd.get(), Source::kWake, 0, Poller::Interest::kEdge));
  for (int i = 0; i < 3; ++i) {
    knock(fd);
    EXPECT_EQ(poller->wait(0).size(), 1U);
    EXPECT_TRUE(poller->wait(0).empty());
  }
}

TEST(Poller, ForgottenDescriptorIsSilentThoughACopyLives) {
  auto poller = Poller::make();
  ASSERT_TRUE(poller);
  const shm::UniqueFd fd{eventfd(1, EFD_CLOEXEC)};
  const shm::UniqueFd copy{dup(fd.get())};
  ASSERT_TRUE(poller->watch(fd.get(), Source::kLobby, 1));
  poller->forget(fd.get());
  EXPECT_TRUE(poller->wait(0).empty());
}

TEST(Poller, WaitEndsAtTheTime) {
  auto poller = Poller::make();
  ASSERT_TRUE(poller);
  const BootNanos until = boot_now_ns() + 20 * kMillisecond;
  EXPECT_TRUE(poller->wait(until).empty());
  EXPECT_GE(boot_now_ns(), until);
}

}  // namespace
}  // namespace mallbots::broker
