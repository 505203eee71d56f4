#include "clients/cli/settings.h"

#include <gtest/gtest.h>

namespace mallbots::client::cli {
namespace {

TEST(Settings, TheFirstEqualsSignDivides) {
  const auto settings = parse_settings({"slots=8", "produce.allow=a,b", "x=y=z", "empty="});
  ASSERT_TRUE(settings);
  EXPECT_EQ((*settings)[1], (TopicSetting{"produce.allow", "a,b", false}));
  EXPECT_EQ((*settings)[2], (TopicSetting{"x", "y=z", false}));
  EXPECT_EQ((*settings)[3], (TopicSetting{"empty", "", false}));
}

TEST(Settings, WhatIsNoPairOrComesTwiceIsNamed) {
  for (const std::string text : {"slots", "=8", ""})
    EXPECT_EQ(parse_settings({text}).error().code, ErrorCode::kBadArgument) << text;
  EXPECT_NE(parse_settings({"slots=2", "slots=4"}).error().detail.find("'slots'"),
            std::string::npos);
}

}  // namespace
}  // namespace mallbots::client::cli
