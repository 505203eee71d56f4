#include "broker/folders.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace mallbots::broker {
namespace {

TEST(RuntimeFolder, IsMadeReachableButClosed) {
  const test::TempDir dir;
  const auto folder = open_runtime_folder(dir / "a/b/run");
  ASSERT_TRUE(folder) << folder.error().detail;
  struct stat info{};
  ASSERT_EQ(stat((dir / "a/b/run").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0711U);
  EXPECT_FALSE(folder->inherited);
  EXPECT_EQ(folder->socket_path(), dir / "a/b/run/control.sock");
}

TEST(RuntimeFolder, SecondKeeperIsToldWhoHasIt) {
  const test::TempDir dir;
  const auto first = open_runtime_folder(dir / "run");
  ASSERT_TRUE(first);
  const auto second = open_runtime_folder(dir / "run");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kInUse);
  EXPECT_NE(second.error().detail.find("process " + std::to_string(getpid())), std::string::npos)
      << second.error().detail;
}

TEST(RuntimeFolder, LockGoesWithItsProcess) {
  const test::TempDir dir;
  auto process = test::Process::call([&] { return open_runtime_folder(dir / "run") ? 0 : 1; });
  ASSERT_EQ(process.wait().exit_code, 0);
  const auto next = open_runtime_folder(dir / "run");
  ASSERT_TRUE(next) << next.error().detail;
  EXPECT_TRUE(next->inherited);
}

TEST(RuntimeFolder, OpenToOthersIsRefused) {
  const test::TempDir dir;
  ASSERT_EQ(mkdir((dir / "run").c_str(), 0700), 0);
  ASSERT_EQ(chmod((dir / "run").c_str(), 0777), 0);
  const auto folder = open_runtime_folder(dir / "run");
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().code, ErrorCode::kWrongOwner);
}

TEST(RuntimeFolder, OfAnotherUserIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to give a folder away";
  const test::TempDir dir;
  ASSERT_EQ(mkdir((dir / "run").c_str(), 0700), 0);
  ASSERT_EQ(chown((dir / "run").c_str(), 65'534, 65'534), 0);
  const auto folder = open_runtime_folder(dir / "run");
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().code, ErrorCode::kWrongOwner);
}

TEST(RuntimeFolder, PathTooLongForASocketIsRefusedBeforeAnythingIsMade) {
  const test::TempDir dir;
  const std::string path = dir / std::string(120, 'x');
  const auto folder = open_runtime_folder(path);
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().code, ErrorCode::kBadConfig);
  EXPECT_NE(access(path.c_str(), F_OK), 0);
}

TEST(TextFile, LongerThanTheLimitIsRefused) {
  const test::TempDir dir;
  std::ofstream(dir / "file") << std::string(100, 'x');
  EXPECT_TRUE(read_text_file(dir / "file", 100));
  EXPECT_FALSE(read_text_file(dir / "file", 99));
}

}  // namespace
}  // namespace mallbots::broker
