#include "clients/cli/directories.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tests/support/temp_dir.h"

namespace mallbots::client::cli {
namespace {

TEST(Directories, TheNearestParentThatExists) {
  const test::TempDir dir;
  EXPECT_EQ(nearest_existing(dir / "a/b/c"), dir.path().string());
  EXPECT_EQ(nearest_existing(dir.path().string()), dir.path().string());
  EXPECT_EQ(nearest_existing("/"), "/");
}

TEST(Directories, SmallFilesComeWithoutTheirLastLineEnd) {
  const test::TempDir dir;
  std::ofstream{dir / "file"} << "one\ntwo\n";
  EXPECT_EQ(read_small_file(dir / "file"), "one\ntwo");
  EXPECT_FALSE(read_small_file(dir / "none"));
}

TEST(Directories, TheInstanceNamesTheDataDirectory) {
  EXPECT_TRUE(default_data_dir("left").ends_with("/mallbots/left"));
}

}  // namespace
}  // namespace mallbots::client::cli
