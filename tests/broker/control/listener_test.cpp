#include "broker/control/listener.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/control_client.h"
#include "tests/support/temp_dir.h"

namespace mallbots::broker {
namespace {

TEST(Listener, IsReachableByEveryUserOfTheMachine) {
  const test::TempDir dir;
  KeeperLink keeper;
  const auto listener = open_listener(dir / "control.sock", keeper);
  ASSERT_TRUE(listener) << listener.error().detail;
  struct stat info{};
  ASSERT_EQ(stat((dir / "control.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0666U);
  EXPECT_TRUE(test::ControlClient{dir / "control.sock"}.connected());
}

TEST(Listener, TakesThePlaceOfASocketThatNobodyListensOn) {
  const test::TempDir dir;
  KeeperLink keeper;
  {
    const auto dead = open_listener(dir / "control.sock", keeper);
  }
  EXPECT_FALSE(test::ControlClient{dir / "control.sock"}.connected());
  const auto next = open_listener(dir / "control.sock", keeper);
  ASSERT_TRUE(next);
  EXPECT_TRUE(test::ControlClient{dir / "control.sock"}.connected());
}

TEST(Listener, PredecessorsSocketGoesOnWithWhoWaitsThere) {
  const test::TempDir dir;
  KeeperLink none;
  auto first = open_listener(dir / "control.sock", none);
  ASSERT_TRUE(first);
  const test::ControlClient waiting{dir / "control.sock"};
  ASSERT_TRUE(waiting.connected());
  const int number = first->get();
  FdStore left;
  left.put(FdKind::kListener, 0, std::move(*first));
  KeeperLink keeper{shm::UniqueFd{}, std::move(left)};
  const auto again = open_listener(dir / "control.sock", keeper);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->get(), number);
}

TEST(Listener, FolderThatIsNotThereIsAnError) {
  KeeperLink keeper;
  const auto listener = open_listener("/no/such/folder/control.sock", keeper);
  ASSERT_FALSE(listener);
  EXPECT_NE(listener.error().detail.find("/no/such/folder"), std::string::npos);
}

}  // namespace
}  // namespace mallbots::broker
