#include "services/simulators/bots/traffic.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

namespace mallbots::bots {
namespace {

FloorPlan plan_of(const std::vector<std::string>& rows) {
  std::ostringstream text;
  text << "type octile\nheight " << rows.size() << "\nwidth " << rows.front().size() << "\nmap\n";
  for (const std::string& row : rows) text << row << '\n';
  std::istringstream source(text.str());
  auto plan = FloorPlan::read(source, "test");
  EXPECT_TRUE(plan.has_value()) << plan.error().sentence();
  return *std::move(plan);
}

FloorPlan mall() {
  std::ifstream source("services/simulators/bots/mall.map");
  auto plan = FloorPlan::read(source, "mall.map");
  EXPECT_TRUE(plan.has_value()) << plan.error().sentence();
  return *std::move(plan);
}

TEST(FloorPlan, DistancesAreThoseOfAShortestWay) {
  const FloorPlan plan = plan_of({"...@.", ".@.@.", ".@...", "...@@"});
  const auto distances = plan.distances_to(0);
  EXPECT_EQ(distances[2], 2U);
  EXPECT_EQ(distances[2 * 5 + 2], 4U);
  EXPECT_EQ(distances[4], 8U);
  EXPECT_EQ(distances[3], kUnreachable);
}

TEST(FloorPlan, WhatCannotBeReachedIsNoFloor) {
  const FloorPlan plan = plan_of({"..@.", "..@.", "..@@"});
  EXPECT_EQ(plan.free_cells(), 6U);
  EXPECT_FALSE(plan.is_free(3));
}

TEST(FloorPlan, WhatIsNoMapIsRefusedWithItsLine) {
  const std::pair<const char*, const char*> bad[] = {
      {"", "line 1"},
      {"type octile\nheight x\n", "line 2"},
      {"type octile\nheight 0\n", "line 2"},
      {"type octile\nheight 2\nwidth 99999999999\n", "line 3"},
      {"type octile\nheight 4000\nwidth 4000\nmap\n", "line 3"},
      {"type octile\nheight 2\nwidth 2\n", "line 4"},
      {"type octile\nheight 2\nwidth 2\nmap\n..\n", "line 6"},
      {"type octile\nheight 2\nwidth 2\nmap\n..\n...\n", "line 6"},
      {"type octile\nheight 2\nwidth 2\nmap\n..\n.x\n", "line 6: character 2"},
      {"type octile\nheight 2\nwidth 2\nmap\n \t\n..\n", "line 5: character 1"},
      {"type octile\nheight 2\nwidth 2\nmap\n..\n..\n..\n", "line 7"},
      {"type octile\nheight 1\nwidth 2\nmap\n@@\n", "line 5"}};
  for (const auto& [text, where] : bad) {
    std::istringstream source(text);
    const auto plan = FloorPlan::read(source, "bad.map");
    ASSERT_FALSE(plan.has_value()) << text;
    EXPECT_NE(plan.error().detail.find(where), std::string::npos) << plan.error().detail;
  }
}

// Cut off, or with bytes that somebody changed: it is a map still, or the error names file and
// line.
TEST(FloorPlan, ADamagedMapIsRefusedWithItsNameAndLineOrIsStillOne) {
  std::ifstream file("services/simulators/bots/mall.map");
  const std::string whole(std::istreambuf_iterator<char>(file), {});
  const bool holds = rc::check([&whole](std::uint32_t seed) {
    std::mt19937 random(seed);
    std::string text = whole;
    for (auto times = 1 + random() % 3; times > 0; --times) {
      text[random() % text.size()] = static_cast<char>(random() % 256);
    }
    if (random() % 2 == 0) text.resize(random() % text.size());
    std::istringstream source(text);
    const auto plan = FloorPlan::read(source, "damaged.map");
    if (plan) {
      RC_ASSERT(plan->free_cells() > 0U);
    } else {
      RC_ASSERT(plan.error().code == ErrorCode::kBadArgument);
      RC_ASSERT(plan.error().detail.starts_with("damaged.map, line "));
    }
  });
  EXPECT_TRUE(holds);
}

TEST(FloorPlan, PlacesAreDifferentAndLeaveTheCorridorsFree) {
  const FloorPlan plan = mall();
  const std::vector<Cell> places = plan.places(60);
  EXPECT_EQ(std::set<Cell>(places.begin(), places.end()).size(), 60U);
  for (const Cell place : places) EXPECT_GE(plan.neighbours(place).size(), 3U);
  EXPECT_EQ(plan.places(plan.cells()).size(), plan.free_cells());
}

/// What has to hold after each step.
void expect_safe(const FloorPlan& plan, const Traffic& traffic, const std::vector<Cell>& before) {
  std::set<Cell> taken;
  for (Robot robot = 0; robot < traffic.robots(); ++robot) {
    const Cell cell = traffic.cell_of(robot);
    RC_ASSERT(plan.is_free(cell));
    RC_ASSERT(taken.insert(cell).second);
    const auto beside = plan.neighbours(before[robot]);
    RC_ASSERT(cell == before[robot] || std::ranges::find(beside, cell) != beside.end());
    for (Robot other = 0; other < robot; ++other) {
      const bool is_swap = cell == before[other] && traffic.cell_of(other) == before[robot];
      RC_ASSERT(!is_swap);
    }
  }
}

std::vector<Cell> cells_of(const Traffic& traffic) {
  std::vector<Cell> cells;
  for (Robot robot = 0; robot < traffic.robots(); ++robot) cells.push_back(traffic.cell_of(robot));
  return cells;
}

TEST(Traffic, NobodyMeetsAnybodyOnAnyFloor) {
  const bool holds = rc::check([](std::uint32_t seed) {
    std::mt19937 random(seed);
    const std::size_t width = 2 + random() % 9;
    std::vector<std::string> rows(2 + random() % 9, std::string(width, '.'));
    for (std::string& row : rows) {
      for (char& c : row) c = random() % 4 == 0 ? '@' : '.';
    }
    rows[0][0] = '.';
    const FloorPlan plan = plan_of(rows);
    Traffic traffic(plan);
    const std::vector<Cell> places = plan.places(1 + random() % plan.free_cells());
    for (const Cell place : places) traffic.add(place);
    for (int step = 0; step < 60; ++step) {
      const auto robot = static_cast<Robot>(random() % traffic.robots());
      traffic.send(robot, places[random() % places.size()]);
      traffic.hold(static_cast<Robot>(random() % traffic.robots()), random() % 3 == 0);
      const std::vector<Cell> before = cells_of(traffic);
      traffic.step();
      expect_safe(plan, traffic, before);
    }
  });
  EXPECT_TRUE(holds);
}

TEST(Traffic, AloneItTakesAShortestWay) {
  const FloorPlan plan = mall();
  Traffic traffic(plan);
  const std::vector<Cell> places = plan.places(2);
  const Robot robot = traffic.add(places[0]);
  traffic.send(robot, places[1]);
  const std::uint32_t steps = traffic.steps_to_go(robot);
  for (std::uint32_t i = 0; i < steps; ++i) {
    EXPECT_FALSE(traffic.has_arrived(robot));
    traffic.step();
  }
  EXPECT_TRUE(traffic.has_arrived(robot));
}

TEST(Traffic, InACrowdEverybodyArrivesAgainAndAgain) {
  const FloorPlan plan = mall();
  Traffic traffic(plan);
  std::mt19937 random(7);
  const std::vector<Cell> homes = plan.places(150);
  for (const Cell home : homes) traffic.add(home);
  std::vector<int> arrivals(traffic.robots(), 0);
  for (int step = 0; step < 3000; ++step) {
    for (Robot robot = 0; robot < traffic.robots(); ++robot) {
      if (!traffic.has_arrived(robot)) continue;
      ++arrivals[robot];
      traffic.send(robot, homes[random() % homes.size()]);
    }
    traffic.step();
  }
  EXPECT_GE(*std::ranges::min_element(arrivals), 10);
}

TEST(Traffic, WhereThereIsNoWayAroundOneThatStandsTheOthersWaitBehindIt) {
  const FloorPlan plan = plan_of({".....", "@@@@@"});
  Traffic traffic(plan);
  const Robot standing = traffic.add(2);
  const Robot robot = traffic.add(0);
  traffic.hold(standing, true);
  traffic.send(robot, 3);
  for (int i = 0; i < 6; ++i) traffic.step();
  EXPECT_EQ(traffic.cell_of(standing), 2U);
  EXPECT_EQ(traffic.cell_of(robot), 1U);
  traffic.hold(standing, false);
  traffic.send(standing, 4);
  for (int i = 0; i < 3; ++i) traffic.step();
  EXPECT_TRUE(traffic.has_arrived(robot));
  EXPECT_TRUE(traffic.has_arrived(standing));
}

// One that never moves again holds up nobody who can go around it.
TEST(Traffic, AroundOneThatStandsTheOthersGo) {
  const FloorPlan plan = plan_of({".....", ".....", "....."});
  Traffic traffic(plan);
  const Robot standing = traffic.add(7);
  const Robot robot = traffic.add(5);
  traffic.send(robot, 9);
  traffic.step();
  EXPECT_EQ(traffic.cell_of(robot), 6U);
  traffic.hold(standing, true);  // with the way found already
  for (int i = 0; i < 5; ++i) traffic.step();
  EXPECT_EQ(traffic.cell_of(standing), 7U);
  EXPECT_TRUE(traffic.has_arrived(robot));
  traffic.hold(standing, false);
  traffic.send(robot, 5);
  traffic.step();
  EXPECT_EQ(traffic.steps_to_go(robot), 3U);  // the straight way again
}

TEST(Traffic, WhoRestsStaysAndMakesWay) {
  const FloorPlan plan = plan_of({".....", "@@.@@"});
  Traffic traffic(plan);
  const Robot resting = traffic.add(2);
  const Robot passing = traffic.add(0);
  traffic.rest(resting);
  EXPECT_TRUE(traffic.has_arrived(resting));
  EXPECT_EQ(traffic.steps_to_go(resting), 0U);
  traffic.step();
  EXPECT_EQ(traffic.cell_of(resting), 2U);
  traffic.send(passing, 4);
  for (int i = 0; i < 20 && !traffic.has_arrived(passing); ++i) traffic.step();
  EXPECT_TRUE(traffic.has_arrived(passing));
}

TEST(Traffic, WhoIsPushedComesBack) {
  const FloorPlan plan = plan_of({"...", "...", "..."});
  Traffic traffic(plan);
  const Robot resting = traffic.add(4);
  const Robot passing = traffic.add(3);
  traffic.send(passing, 5);
  for (int i = 0; i < 4; ++i) traffic.step();
  EXPECT_TRUE(traffic.has_arrived(passing));
  EXPECT_TRUE(traffic.has_arrived(resting));
}

}  // namespace
}  // namespace mallbots::bots
