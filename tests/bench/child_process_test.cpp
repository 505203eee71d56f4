#include "bench/harness/child_process.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <string>

namespace mallbots::bench {
namespace {

TEST(ChildProcess, OutputAndExitCodeComeBack) {
  auto child = ChildProcess::start({"/bin/sh", "-c", "echo out; echo err >&2; exit 3"});
  ASSERT_TRUE(child);
  const auto code = child->wait(20);
  ASSERT_TRUE(code) << code.error().detail;
  EXPECT_EQ(*code, 3);
  EXPECT_EQ(child->output(), "out\nerr\n");
}

TEST(ChildProcess, AMissingProgramIsUnsupported) {
  auto child = ChildProcess::start({"no-such-program-of-mallbots"});
  ASSERT_TRUE(child);
  const auto code = child->wait(20);
  ASSERT_FALSE(code);
  EXPECT_EQ(code.error().code, ErrorCode::kUnsupported);
}

TEST(ChildProcess, OneThatRunsTooLongIsATimeoutAndKilledAtTheEnd) {
  pid_t pid = -1;
  {
    auto child = ChildProcess::start({"/bin/sleep", "300"});
    ASSERT_TRUE(child);
    pid = child->pid();
    const auto code = child->wait(0.1);
    ASSERT_FALSE(code);
    EXPECT_EQ(code.error().code, ErrorCode::kTimeout);
  }
  EXPECT_FALSE(std::filesystem::exists("/proc/" + std::to_string(pid)));
}

TEST(ChildProcess, ASignalShowsInTheCode) {
  auto child = ChildProcess::start({"/bin/sleep", "300"});
  ASSERT_TRUE(child);
  child->send(SIGKILL);
  const auto code = child->wait(20);
  ASSERT_TRUE(code);
  EXPECT_EQ(*code, 128 + SIGKILL);
}

}  // namespace
}  // namespace mallbots::bench
