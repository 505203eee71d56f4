#include "tests/support/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"

namespace mallbots::test {
namespace {

bool alive(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string word;
  file >> word >> word >> word;  // pid, (name), state
  return file && word != "Z" && word != "X";
}

TEST(Process, GivesBackExitCodeAndBothOutputs) {
  const Finished finished = run({"sh", "-c", "cat; echo bad >&2; exit 7"}, {.input = "hello\n"});
  EXPECT_EQ(finished.ended.exit_code, 7);
  EXPECT_EQ(finished.output, "hello\n");
  EXPECT_EQ(finished.errors, "bad\n");
}

TEST(Process, DestructorKillsTheWholeGroup) {
  pid_t grandchild = 0;
  {
    Process process = Process::start({"sh", "-c", "sleep 60 & echo $!; wait"});
    ASSERT_TRUE(process.says("\n"));
    grandchild = std::stoi(process.output());
    EXPECT_TRUE(alive(grandchild));
  }
  EXPECT_TRUE(eventually([&] { return !alive(grandchild); }));
}

TEST(Process, WatchdogKillsAtTheLimit) {
  Process process = Process::start({"sleep", "60"}, {.limit_s = 0.1});
  EXPECT_EQ(process.wait(10).signal, SIGKILL);
}

TEST(Process, WatchdogKillsWhenTheTestItselfIsKilled) {
  Process test = Process::call([] {
    Process inner = Process::start({"sleep", "60"});
    dprintf(STDOUT_FILENO, "%d\n", inner.pid());
    pause();
    return 0;
  });
  ASSERT_TRUE(test.says("\n"));
  const pid_t inner = std::stoi(test.output());
  EXPECT_TRUE(alive(inner));
  test.send(SIGKILL);
  EXPECT_TRUE(eventually([&] { return !alive(inner); }));
}

TEST(TempDir, IsPrivateAndLeavesNothing) {
  std::filesystem::path path;
  {
    const TempDir dir;
    path = dir.path();
    EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms::owner_all);
    std::ofstream(dir / "file") << "text";
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace mallbots::test
