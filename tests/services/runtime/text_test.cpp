#include "services/runtime/text.h"

#include <gtest/gtest.h>

namespace mallbots {
namespace {

TEST(Text, SpacesAroundAreDropped) {
  EXPECT_EQ(*checked_text("the name", "  Tea & Cakes "), "Tea & Cakes");
  EXPECT_EQ(*checked_text("the name", "Th\xc3\xa9"), "Th\xc3\xa9");
}

TEST(Text, WhatPeopleCannotReadIsRefusedWithTheFieldsName) {
  const std::string_view bad[] = {"",         "   ",          "a\nb",         "a\x01",
                                  "\xc3",     "\xc0\xaf",     "\xed\xa0\x80", "\xf5\x80\x80\x80",
                                  "\xe2\x82", "\xc2\x85",     "\x7f",         "\xf4\x90\x80\x80",
                                  "\x80",     "\xe0\x80\xaf", "\xff"};
  for (const std::string_view text : bad) {
    const auto checked = checked_text("the name", text);
    ASSERT_FALSE(checked.has_value()) << text;
    EXPECT_EQ(checked.error().reason.find("the name"), 0U);
  }
}

TEST(Text, LengthIsLimitedInBytes) {
  EXPECT_TRUE(checked_text("the name", std::string(200, 'x')).has_value());
  EXPECT_FALSE(checked_text("the name", std::string(201, 'x')).has_value());
}

TEST(Phone, IsKeptInOneForm) {
  for (const char* text : {"+44 1234 567890", "0044 (1234) 567-890", "+441234567890"}) {
    EXPECT_EQ(*checked_phone(text), "+441234567890") << text;
  }
}

TEST(Phone, WhatCannotBeCalledIsRefusedWithoutBeingRepeated) {
  for (const char* text : {"", "+", "1234567", "+123456", "+1234567890123456", "+44 call me"}) {
    const auto phone = checked_phone(text);
    ASSERT_FALSE(phone.has_value()) << text;
    EXPECT_EQ(phone.error().reason.find("call me"), std::string::npos);
  }
}

TEST(Text, WhatIsRepeatedIsClippedBetweenLetters) {
  EXPECT_EQ(clipped("no such list"), "no such list");
  for (std::size_t before = 0; before < 4; ++before) {
    std::string text(before, 'x');
    for (int i = 0; i < 200; ++i) text += "€";
    const std::string said = clipped(text);
    EXPECT_LE(said.size(), kMaxSaidBytes);
    EXPECT_GT(said.size(), kMaxSaidBytes - 4);
    EXPECT_TRUE(is_readable(said)) << said;
    EXPECT_TRUE(said.ends_with("..."));
  }
}

TEST(Phone, MaskedShowsCountryAndTwoDigits) {
  EXPECT_EQ(masked_phone("+441234567890"), "+44********90");
  EXPECT_EQ(masked_phone("+1"), "**");
}

}  // namespace
}  // namespace mallbots
