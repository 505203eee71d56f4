#include "clients/cli/usage.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>

namespace mallbots::client::cli {
namespace {

TEST(EditDistance, CountsInsertDeleteChangeAndSwap) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("topic", "topic"), 0u);
  EXPECT_EQ(edit_distance("tpoic", "topic"), 1u);
  EXPECT_EQ(edit_distance("topc", "topic"), 1u);
  EXPECT_EQ(edit_distance("produce", "produces"), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(EditDistance, IsSymmetricAndAtMostTheLongerWord) {
  rc::check([](const std::string& a, const std::string& b) {
    RC_ASSERT(edit_distance(a, b) == edit_distance(b, a));
    RC_ASSERT(edit_distance(a, b) <= std::max(a.size(), b.size()));
    RC_ASSERT((edit_distance(a, b) == 0) == (a == b));
  });
}

TEST(Nearest, IsTheWordThatWasMeantOrNone) {
  const std::vector<std::string> names = {"topic", "produce", "consume", "status", "describe"};
  EXPECT_EQ(nearest("statsu", names), "status");
  EXPECT_EQ(nearest("consme", names), "consume");
  EXPECT_EQ(nearest("desc", names), "describe");
  EXPECT_EQ(nearest("xyzzy", names), "");
  EXPECT_EQ(nearest("", names), "");
}

}  // namespace
}  // namespace mallbots::client::cli
