// All simulated robots together: the same seed is the same day, and nobody runs into anybody.
#include "services/simulators/bots/simulator.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdlib>
#include <random>
#include <set>
#include <sstream>

#include "services/simulators/bots/places.h"
#include "tests/services/simulators/fake_gateway.h"

namespace mallbots::bots {
namespace {

constexpr std::int64_t kTurnMs = 25;

/// What robots do wrong, often.
DriverOptions mischief() {
  return {.pick_ms = 400,
          .unavailable = 200,
          .decline = 200,
          .disconnect = 50,
          .twice = 200,
          .slow_ack = 200,
          .slow_ack_ms = 500,
          .breakdown = 150,
          .breakdown_ms = 1'000};
}

std::vector<std::vector<fleetpb::Offer>> lists_for(std::size_t robots, const FloorPlan& plan) {
  std::mt19937 random(4);
  std::vector<std::vector<fleetpb::Offer>> lists(robots);
  for (std::size_t robot = 0; robot < robots; ++robot) {
    for (int number = 0; number < 2; ++number) {
      fleetpb::Offer& list = lists[robot].emplace_back();
      list.set_list_id("l" + std::to_string(robot) + "-" + std::to_string(number));
      const auto stops = 1 + random() % 3;
      for (std::size_t i = 0; i < stops; ++i) {
        fleetpb::Stop* stop = list.add_stops();
        stop->set_store_id("s" + std::to_string(i));
        stop->set_store_location(std::to_string(random() % plan.width()) + "," +
                                 std::to_string(random() % plan.height()));
        fleetpb::WantedItem* item = stop->add_items();
        item->set_product_id("mug");
        item->set_quantity(static_cast<int>(1 + random() % 4));
      }
    }
  }
  return lists;
}

struct Day {
  Deeds deeds;
  std::vector<std::vector<fleetpb::Position>> paths;  ///< after each turn, of each robot
  DriverNumbers numbers;
};

struct DayOptions {
  std::uint64_t seed = 1;
  std::size_t robots = 1;
  std::size_t turns = 1;
  std::int64_t step_ms = kTurnMs;
};

std::unique_ptr<Day> a_day(const FloorPlan& plan, const DayOptions& options) {
  auto day = std::make_unique<Day>();
  std::vector<Driver::Identity> robots;
  for (std::size_t i = 0; i < options.robots; ++i) {
    robots.push_back({.id = "b" + std::to_string(i), .seed = options.seed * 1'000'003 + i});
  }
  auto simulator =
      Simulator::open(plan, std::move(robots), {.step_ms = options.step_ms, .driver = mischief()},
                      std::make_unique<FakeGateway>(lists_for(options.robots, plan), day->deeds));
  EXPECT_TRUE(simulator) << simulator.error().sentence();
  std::int64_t now_ms = 1'000'000;
  for (std::size_t turn = 0; turn < options.turns; ++turn, now_ms += kTurnMs) {
    (*simulator)->turn(now_ms);
    auto& at = day->paths.emplace_back();
    for (std::uint32_t robot = 0; robot < options.robots; ++robot) {
      at.push_back((*simulator)->position_of(robot));
    }
  }
  day->numbers = (*simulator)->numbers().sum;
  return day;
}

bool is_same(const fleetpb::Position& one, const fleetpb::Position& other) {
  return one.x() == other.x() && one.y() == other.y();
}

/// The first turn in which somebody stands elsewhere.
std::size_t first_difference(const Day& one, const Day& other) {
  for (std::size_t turn = 0; turn < one.paths.size(); ++turn) {
    for (std::size_t robot = 0; robot < one.paths[turn].size(); ++robot) {
      if (!is_same(one.paths[turn][robot], other.paths[turn][robot])) return turn;
    }
  }
  return one.paths.size();
}

TEST(Simulator, TheSameSeedAndMapGiveTheSamePathsWordsAndPicks) {
  const FloorPlan plan = plan_of("").value();
  const DayOptions options{.seed = 7, .robots = 12, .turns = 4'000};
  const auto day = a_day(plan, options);
  EXPECT_EQ(day->deeds.released, 24U);  // and so there is something to compare
  EXPECT_GT(day->deeds.declined, 0U);
  EXPECT_GT(day->deeds.replays, 0U);
  EXPECT_GT(day->deeds.hellos, 12U);
  EXPECT_GT(day->numbers.breakdowns, 0U);

  const auto again = a_day(plan, options);
  EXPECT_EQ(first_difference(*day, *again), options.turns);
  EXPECT_TRUE(day->deeds.said == again->deeds.said);
  EXPECT_EQ(day->deeds.picks, again->deeds.picks);

  DayOptions other = options;
  other.seed = 8;
  const auto another = a_day(plan, other);
  EXPECT_EQ(another->deeds.released, 24U);
  EXPECT_LT(first_difference(*day, *another), options.turns);
  EXPECT_NE(day->deeds.picks, another->deeds.picks);
}

FloorPlan random_floor(std::mt19937& random) {
  const std::size_t width = 6 + random() % 20;
  const std::size_t height = 6 + random() % 20;
  std::ostringstream text;
  text << "type octile\nheight " << height << "\nwidth " << width << "\nmap\n";
  for (std::size_t row = 0; row < height; ++row) {
    for (std::size_t column = 0; column < width; ++column) {
      const bool is_floor = row + column == 0 || random() % 4 != 0;
      text << (is_floor ? ".GS"[random() % 3] : "@OTW"[random() % 4]);
    }
    text << '\n';
  }
  std::istringstream source(text.str());
  return FloorPlan::read(source, "random").value();
}

// One step in each turn, so that every move is seen.
TEST(Simulator, NobodyRunsIntoAnybodyOnAnyFloorWithAnySeed) {
  const bool holds = rc::check([](std::uint32_t seed) {
    std::mt19937 random(seed);
    const FloorPlan plan = random_floor(random);
    const std::size_t room = std::min<std::size_t>(plan.free_cells() / 4, 16);
    RC_PRE(room > 0U);
    const auto day = a_day(plan, {.seed = seed, .robots = 1 + random() % room, .turns = 150});
    for (std::size_t turn = 0; turn < day->paths.size(); ++turn) {
      const auto& now = day->paths[turn];
      const auto& before = day->paths[turn == 0 ? 0 : turn - 1];
      std::set<std::pair<int, int>> taken;
      for (std::size_t robot = 0; robot < now.size(); ++robot) {
        const auto cell =
            static_cast<Cell>(now[robot].y()) * plan.width() + static_cast<Cell>(now[robot].x());
        RC_ASSERT(plan.is_free(cell));
        RC_ASSERT(taken.emplace(now[robot].x(), now[robot].y()).second);
        RC_ASSERT(std::abs(now[robot].x() - before[robot].x()) +
                      std::abs(now[robot].y() - before[robot].y()) <=
                  1);
        for (std::size_t other = 0; other < robot; ++other) {
          const bool is_swap =
              is_same(now[robot], before[other]) && is_same(now[other], before[robot]);
          RC_ASSERT(!is_swap || is_same(now[robot], before[robot]));
        }
      }
    }
  });
  EXPECT_TRUE(holds);
}

TEST(Simulator, MoreRobotsThanThereIsRoomForAreRefused) {
  Deeds deeds;
  const auto opened = Simulator::open(
      plan_of("").value(), std::vector<Driver::Identity>(500), {},
      std::make_unique<FakeGateway>(std::vector<std::vector<fleetpb::Offer>>{}, deeds));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kBadConfig);
  EXPECT_NE(opened.error().detail.find("bots.map"), std::string::npos);
}

}  // namespace
}  // namespace mallbots::bots
