#include "bench/harness/roles.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <string>

#include "bench/harness/shared_block.h"

namespace mallbots::bench {
namespace {

struct Board {
  std::atomic<int> done;
  std::atomic<int> sum;
  std::atomic<int> pid;
};

/// No child of this process is left, dead or alive.
void expect_childless() {
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(Roles, ResultsOfAllProcessesArriveInTheSharedBlock) {
  auto board = Shared<Board>::create();
  ASSERT_TRUE(board);
  std::vector<Role> roles;
  for (int i = 1; i <= 20; ++i) {
    roles.push_back(Role{"adder", kUnpinned, [&board, i](RoleContext&) -> Result<void> {
                           (*board)->sum.fetch_add(i);
                           return {};
                         }});
  }
  ASSERT_TRUE(run_roles(roles, RoleOptions{.limit_s = 20, .populate = {board->bytes()}}));
  EXPECT_EQ((*board)->sum.load(), 210);
  expect_childless();
}

TEST(Roles, NobodyPassesTheBarrierBeforeEverybodyIsThere) {
  auto board = Shared<Board>::create();
  ASSERT_TRUE(board);
  std::vector<Role> roles;
  for (int i = 0; i < 6; ++i) {
    roles.push_back(Role{"walker", kUnpinned, [&board](RoleContext& context) -> Result<void> {
                           for (int round = 1; round <= 50; ++round) {
                             (*board)->done.fetch_add(1);
                             context.meet();
                             const int seen = (*board)->done.load();
                             if (seen < 6 * round) return fail(ErrorCode::kBusy, "too early");
                             context.meet();
                           }
                           return {};
                         }});
  }
  const auto outcome = run_roles(roles, RoleOptions{.limit_s = 25});
  EXPECT_TRUE(outcome) << outcome.error().detail;
}

TEST(Roles, TheWatchdogKillsAndNamesWhoHangs) {
  auto board = Shared<Board>::create();
  ASSERT_TRUE(board);
  const std::array roles{Role{"quick one", kUnpinned, [](RoleContext&) { return Result<void>{}; }},
                         Role{"hanging one", kUnpinned, [&](RoleContext&) -> Result<void> {
                                (*board)->pid.store(::getpid());
                                while (true) ::pause();
                              }}};
  const auto outcome = run_roles(roles, RoleOptions{.limit_s = 0.3});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kTimeout);
  EXPECT_NE(outcome.error().detail.find("hanging one"), std::string::npos);
  EXPECT_EQ(outcome.error().detail.find("quick one"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists("/proc/" + std::to_string((*board)->pid.load())));
  expect_childless();
}

TEST(Roles, OneThatFailsEndsTheOthersAndItsReasonIsTold) {
  const std::array roles{Role{"failing one", kUnpinned,
                              [](RoleContext&) -> Result<void> {
                                return fail(ErrorCode::kCorrupt, "record 7 is gone");
                              }},
                         Role{"waiting one", kUnpinned, [](RoleContext&) -> Result<void> {
                                while (true) ::pause();
                              }}};
  const auto outcome = run_roles(roles, RoleOptions{.limit_s = 20});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(outcome.error().detail, "failing one: record 7 is gone");
  expect_childless();
}

TEST(Roles, OneThatIsKilledIsAnErrorNotAResult) {
  const std::array roles{Role{"victim", kUnpinned, [](RoleContext&) -> Result<void> {
                                static_cast<void>(::raise(SIGKILL));
                                return {};
                              }}};
  const auto outcome = run_roles(roles, RoleOptions{.limit_s = 20});
  ASSERT_FALSE(outcome);
  EXPECT_NE(outcome.error().detail.find("victim"), std::string::npos);
  EXPECT_NE(outcome.error().detail.find("signal 9"), std::string::npos);
  expect_childless();
}

TEST(Roles, APinnedRoleRunsOnItsCore) {
  auto board = Shared<Board>::create();
  ASSERT_TRUE(board);
  const int cpu = allowed_cpus().back();
  const std::array roles{Role{"pinned", cpu, [&](RoleContext&) -> Result<void> {
                                (*board)->sum.store(::sched_getcpu());
                                return {};
                              }}};
  ASSERT_TRUE(run_roles(roles, RoleOptions{.limit_s = 20}));
  EXPECT_EQ((*board)->sum.load(), cpu);
}

TEST(Roles, ACoreThatIsNotThereIsRefused) {
  const std::array roles{Role{"lost", 1023, [](RoleContext&) { return Result<void>{}; }}};
  const auto outcome = run_roles(roles, RoleOptions{.limit_s = 20});
  ASSERT_FALSE(outcome);
  EXPECT_NE(outcome.error().detail.find("core 1023"), std::string::npos);
}

}  // namespace
}  // namespace mallbots::bench
