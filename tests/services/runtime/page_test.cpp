#include "services/runtime/page.h"

#include <gtest/gtest.h>

namespace mallbots {
namespace {

TEST(Page, ACursorGivesBackWhateverItWasMadeOf) {
  const std::string odd{"\0.\xff ü", 6};
  const auto parts = read_cursor(make_cursor({odd, "", "7"}), 3);
  ASSERT_TRUE(parts.has_value());
  EXPECT_EQ(*parts, (std::vector<std::string>{odd, "", "7"}));
  EXPECT_EQ(read_cursor("", 2).value(), std::vector<std::string>(2));
}

TEST(Page, AStrangersCursorIsRefused) {
  const std::string good = make_cursor({"a", "b"});
  for (const std::string& bad : {std::string("x"), std::string("6"), std::string("61"), good + "61",
                                 good + ".", good.substr(1), std::string(9'999, 'a')}) {
    EXPECT_FALSE(read_cursor(bad, 2).has_value()) << bad;
  }
  EXPECT_FALSE(read_cursor(good, 3).has_value());
}

TEST(Page, SizesBeyondTheLimitAreRefusedNotCut) {
  EXPECT_EQ(page_size(0).value(), 50);
  EXPECT_EQ(page_size(200).value(), 200);
  EXPECT_FALSE(page_size(201).has_value());
  EXPECT_FALSE(page_size(-1).has_value());
}

}  // namespace
}  // namespace mallbots
