#include "bench/harness/scratch_dir.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <chrono>
#include <fstream>
#include <string_view>
#include <thread>

#include "bench/harness/roles.h"
#include "bench/harness/shared_block.h"

namespace mallbots::bench {
namespace {

namespace fs = std::filesystem;

struct PathBoard {
  std::array<char, 256> path;
};

TEST(ScratchDir, IsGoneWithItsObject) {
  fs::path path;
  {
    const auto scratch = ScratchDir::create(fs::temp_directory_path());
    ASSERT_TRUE(scratch) << scratch.error().detail;
    path = scratch->path();
    std::ofstream(path / "file") << "x";
    EXPECT_TRUE(fs::exists(path / "file"));
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(ScratchDir, IsGoneWhenItsProcessIsKilled) {
  auto board = Shared<PathBoard>::create();
  ASSERT_TRUE(board);
  const std::array roles{Role{"victim", kUnpinned, [&](RoleContext&) -> Result<void> {
                                auto scratch = ScratchDir::create(fs::temp_directory_path());
                                if (!scratch) return std::unexpected(std::move(scratch).error());
                                std::ofstream(scratch->path() / "file") << "x";
                                scratch->path().string().copy((*board)->path.data(), 255);
                                static_cast<void>(::raise(SIGKILL));
                                return {};
                              }}};
  ASSERT_FALSE(run_roles(roles, RoleOptions{.limit_s = 20}));
  const fs::path path{std::string_view{(*board)->path.data()}};
  ASSERT_FALSE(path.empty());
  // The guardian is nobody's child here: its end can only be seen by its work.
  for (int i = 0; i < 2'000 && fs::exists(path); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(ScratchDir, AParentThatIsNotThereIsNamed) {
  const auto scratch = ScratchDir::create("/no/such/folder");
  ASSERT_FALSE(scratch);
  EXPECT_NE(scratch.error().detail.find("/no/such/folder"), std::string::npos);
}

}  // namespace
}  // namespace mallbots::bench
