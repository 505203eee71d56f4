#include "broker/keeper/fd_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace mallbots::broker {
namespace {

shm::UniqueFd some_fd() { return shm::UniqueFd{open("/dev/null", O_RDONLY | O_CLOEXEC)}; }
bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(FdStore, GivesBackWhatWasPutUnderTheSameName) {
  FdStore store;
  shm::UniqueFd fd = some_fd();
  const int number = fd.get();
  store.put(FdKind::kSlot, 7, std::move(fd));
  EXPECT_FALSE(store.take(FdKind::kBoard, 7));
  EXPECT_FALSE(store.take(FdKind::kSlot, 8));
  const shm::UniqueFd taken = store.take(FdKind::kSlot, 7);
  EXPECT_EQ(taken.get(), number);
  EXPECT_FALSE(store.take(FdKind::kSlot, 7));
}

TEST(FdStore, ReplacedAndRemovedDescriptorsAreClosed) {
  FdStore store;
  shm::UniqueFd first = some_fd();
  const int number = first.get();
  store.put(FdKind::kBoard, 1, std::move(first));
  store.put(FdKind::kBoard, 1, some_fd());
  EXPECT_FALSE(is_open(number));
  store.remove(FdKind::kBoard, 1);
  EXPECT_EQ(store.size(), 0U);
}

TEST(FdStore, ListsIdsOfOneKindAscending) {
  FdStore store;
  for (const std::uint64_t id : {9U, 3U, 5U}) store.put(FdKind::kSlot, id, some_fd());
  store.put(FdKind::kKnock, 4, some_fd());
  EXPECT_EQ(store.ids(FdKind::kSlot), (std::vector<std::uint64_t>{3, 5, 9}));
}

}  // namespace
}  // namespace mallbots::broker
