#include "broker/control/allow_list.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace mallbots::broker {
namespace {

TEST(AllowList, EmptyLetsOnlyAdministratorsIn) {
  const auto list = AllowList::parse("", true);
  ASSERT_TRUE(list);
  EXPECT_TRUE(list->allows(0));
  EXPECT_TRUE(list->allows(geteuid()));
  EXPECT_FALSE(list->allows(65'533));
}

TEST(AllowList, NamesAndIdsBothCount) {
  const auto list = AllowList::parse("nobody,4242", true);
  ASSERT_TRUE(list);
  EXPECT_TRUE(list->allows(65'534));
  EXPECT_TRUE(list->allows(4242));
  EXPECT_FALSE(list->allows(4243));
}

TEST(AllowList, StarIsEverybody) {
  const auto list = AllowList::parse("*", true);
  ASSERT_TRUE(list);
  EXPECT_TRUE(list->allows(12'345));
}

TEST(AllowList, UnknownNameIsRefusedWhenSetAndLetsNobodyInLater) {
  const auto strict = AllowList::parse("root,no-such-user", true);
  ASSERT_FALSE(strict);
  EXPECT_NE(strict.error().detail.find("no-such-user"), std::string::npos);
  const auto later = AllowList::parse("no-such-user", false);
  ASSERT_TRUE(later);
  EXPECT_FALSE(later->allows(4242));
}

}  // namespace
}  // namespace mallbots::broker
