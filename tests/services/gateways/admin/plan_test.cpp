#include "services/gateways/admin/plan.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace mallbots::admin {
namespace {

TEST(Plan, OwnMapIsShownRowByRow) {
  const auto plan = nlohmann::json::parse(plan_json("mall.map", own_map()).value());
  EXPECT_EQ(plan["rows"].size(), plan["height"].get<std::size_t>());
  EXPECT_EQ(plan["rows"][0].get<std::string>().size(), plan["width"].get<std::size_t>());
}

TEST(Plan, WhatIsNoMapIsRefused) {
  for (const std::string_view bad :
       {"", "map", "type octile\nheight 2\nwidth 3\nmap\n...\n..\n", "width 3\nmap\n...\n",
        "height 99999999\nwidth 99999999\nmap\n", "height 2\nwidth 1\nmap\n.\n"}) {
    EXPECT_EQ(plan_json("x", bad).error().code, ErrorCode::kBadArgument) << bad;
  }
}

}  // namespace
}  // namespace mallbots::admin
