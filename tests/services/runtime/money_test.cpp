#include "services/runtime/money.h"

#include <gtest/gtest.h>

namespace mallbots {
namespace {

TEST(Money, TextBecomesWholePennies) {
  EXPECT_EQ(parse_money("12")->minor, 1200);
  EXPECT_EQ(parse_money("12.3")->minor, 1230);
  EXPECT_EQ(parse_money("12.34")->minor, 1234);
  EXPECT_EQ(parse_money("-0.05")->minor, -5);
  EXPECT_EQ(parse_money("0.29")->minor, 29);  // 28 by way of a double
  EXPECT_EQ(parse_money("1.200")->minor, 120);
}

TEST(Money, WhatIsNoAmountIsRefusedWithItsText) {
  for (const char* text : {"", "-", ".", "1.", ".5", "1.234", "1,50", "1e3", "+1", "0x1", " 1",
                           "12345678901234567890", "9999999999999"}) {
    const auto money = parse_money(text);
    ASSERT_FALSE(money.has_value()) << text;
    EXPECT_EQ(money.error().kind, RefusalKind::kInvalid);
    EXPECT_NE(money.error().reason.find(text), std::string::npos);
  }
}

TEST(Money, ProductsBeyondTheLimitAreRefusedNotWrapped) {
  EXPECT_EQ(times({250}, 4)->minor, 1000);
  EXPECT_EQ(times({250}, -4)->minor, -1000);
  EXPECT_FALSE(times({Money::kMaxMinor}, 2).has_value());
  EXPECT_FALSE(times({INT64_MAX}, INT64_MAX).has_value());
  EXPECT_FALSE(times({Money::kMaxMinor}, -2).has_value());
}

TEST(Money, ReadsAsAmountAndCurrency) {
  EXPECT_EQ(to_text({1234}), "12.34 GBP");
  EXPECT_EQ(to_text({-5, *parse_currency("EUR")}), "-0.05 EUR");
  EXPECT_FALSE(parse_currency("eur").has_value());
  EXPECT_FALSE(parse_currency("EURO").has_value());
}

}  // namespace
}  // namespace mallbots
