#include "services/simulators/bots/simulator.h"

#include <fmt/format.h>

#include <algorithm>

#include "clients/toolkit/clock.h"
#include "services/simulators/bots/places.h"

namespace mallbots::bots {
namespace {

constexpr std::int64_t kTurnMs = 25;
/// Who is so near is there: many have the same goal, and only one can stand on it.
constexpr std::uint32_t kNear = 3;
constexpr std::uint32_t kNearDepot = 6;
/// Steps that are made up for after a pause.
constexpr double kMaxOwed = 50;
constexpr std::size_t kParkingPlaces = 16;
/// Of the free cells; with more of them nobody would move.
constexpr std::size_t kRoomForOne = 4;
/// Connections that are begun in one turn.
constexpr std::size_t kHellosAtOnce = 20;

}  // namespace

Simulator::Simulator(FloorPlan plan, const SimulatorOptions& options, std::unique_ptr<Lines> lines)
    : plan_(std::move(plan)),
      options_(options),
      lines_(std::move(lines)),
      traffic_(plan_),
      depot_(depot_of(plan_)) {}

Result<std::unique_ptr<Simulator>> Simulator::open(FloorPlan plan,
                                                   std::vector<Driver::Identity> robots,
                                                   const SimulatorOptions& options,
                                                   std::unique_ptr<Lines> lines) {
  if (robots.size() * kRoomForOne > plan.free_cells()) {
    return fail(ErrorCode::kBadConfig,
                fmt::format("{} robots on {} free cells would stand in each other's way: at most"
                            " {}; take fewer (bots.count) or a larger floor (bots.map)",
                            robots.size(), plan.free_cells(), plan.free_cells() / kRoomForOne));
  }
  if (!(options.speed > 0) || options.step_ms <= 0) {
    return fail(ErrorCode::kBadConfig, "bots.speed and bots.step_ms must be above 0");
  }
  std::unique_ptr<Simulator> simulator(new Simulator(std::move(plan), options, std::move(lines)));
  DriverOptions driver = options.driver;
  driver.speed = options.speed;
  for (Driver::Identity& identity : robots) {
    simulator->robots_.emplace_back(std::move(identity), driver);
  }
  simulator->place_robots();
  return simulator;
}

void Simulator::place_robots() {
  const std::vector<Cell> starts = plan_.places(robots_.size());
  parking_ = plan_.places(std::min(kParkingPlaces, robots_.size()));
  for (std::size_t i = 0; i < robots_.size(); ++i) {
    traffic_.rest(traffic_.add(starts[i]));
  }
  numbers_.robots = robots_.size();
}

fleetpb::Position Simulator::position_of(std::uint32_t robot) const {
  const Cell cell = traffic_.cell_of(robot);
  fleetpb::Position at;
  at.set_x(static_cast<std::int32_t>(cell % plan_.width()));
  at.set_y(static_cast<std::int32_t>(cell / plan_.width()));
  return at;
}

Cell Simulator::store_at(const std::string& location) {
  const auto known = stores_.find(location);
  if (known != stores_.end()) return known->second;
  return stores_[location] = cell_of(plan_, location);
}

void Simulator::run(const std::stop_token& stop) {
  toolkit::Clock& clock = toolkit::system_clock();
  while (clock.pause_until(clock.now_ns() + kTurnMs * kMillisecond, stop)) {
    turn(clock.now_ns() / kMillisecond);
  }
  for (One& one : robots_) one.line.reset();
}

void Simulator::turn(std::int64_t now_ms) {
  hear(now_ms);
  step(now_ms);
  std::size_t hellos = 0;
  for (std::uint32_t robot = 0; robot < robots_.size(); ++robot) {
    One& one = robots_[robot];
    const bool wants_line = one.driver.wants_line(now_ms);
    if (one.line != nullptr && !wants_line) {
      one.line.reset();
      one.driver.disconnected(now_ms);
    } else if (one.line == nullptr && wants_line && hellos < kHellosAtOnce) {
      ++hellos;
      connect(robot, now_ms);
    }
    drive(robot, now_ms);
  }
  note_numbers();
}

void Simulator::connect(std::uint32_t robot, std::int64_t now_ms) {
  One& one = robots_[robot];
  ++one.line_number;
  one.line = lines_->open(robot, one.line_number);
  one.driver.connected(now_ms);
}

void Simulator::hear(std::int64_t now_ms) {
  for (Inbox::Item& item : lines_->take()) {
    One& one = robots_[item.robot];
    const bool is_current = item.line == 0 || item.line == one.line_number;
    if (one.line == nullptr || !is_current) continue;
    if (item.message) {
      one.driver.hear(*item.message, now_ms);
    } else {
      one.line.reset();
      one.driver.disconnected(now_ms);
    }
  }
}

void Simulator::step(std::int64_t now_ms) {
  const auto passed_ms = static_cast<double>(now_ms - stepped_ms_.value_or(now_ms));
  stepped_ms_ = now_ms;
  steps_owed_ += passed_ms * options_.speed / static_cast<double>(options_.step_ms);
  steps_owed_ = std::min(steps_owed_, kMaxOwed);
  for (; steps_owed_ >= 1; steps_owed_ -= 1) {
    traffic_.step();
    for (std::uint32_t robot = 0; robot < robots_.size(); ++robot) {
      One& one = robots_[robot];
      const bool is_at_depot = one.sent_to == Driver::Place::kDepot;
      const std::uint32_t near = is_at_depot ? kNearDepot : kNear;
      if (one.is_there || traffic_.steps_to_go(robot) > near) continue;
      one.is_there = true;
      traffic_.rest(robot);
    }
  }
}

void Simulator::drive(std::uint32_t robot, std::int64_t now_ms) {
  One& one = robots_[robot];
  traffic_.hold(robot, one.driver.is_broken(now_ms));
  one.driver.tick(now_ms, position_of(robot));
  send_off(robot);
  if (one.is_there) one.driver.arrived(now_ms);
  send_off(robot);
  for (const fleetpb::FromRobot& message : one.driver.take_messages()) {
    if (one.line) one.line->send(message);
  }
}

/// If it wants to go elsewhere.
void Simulator::send_off(std::uint32_t robot) {
  One& one = robots_[robot];
  const Driver::Place place = one.driver.destination();
  const bool is_store = place == Driver::Place::kStore;
  if (place == one.sent_to && (!is_store || one.sent_location == one.driver.location())) return;
  one.sent_to = place;
  one.sent_location = is_store ? one.driver.location() : "";
  one.is_there = false;
  Cell goal = depot_;
  if (is_store) goal = store_at(one.sent_location);
  if (place == Driver::Place::kParking) goal = parking_[robot % parking_.size()];
  traffic_.send(robot, goal);
}

void Simulator::note_numbers() {
  SimulatorNumbers now;
  now.robots = robots_.size();
  for (const One& one : robots_) {
    const DriverNumbers& of = one.driver.numbers();
    if (one.driver.is_welcome()) ++now.welcome;
    now.sum.offers += of.offers;
    now.sum.declined += of.declined;
    now.sum.lists += of.lists;
    now.sum.canceled += of.canceled;
    now.sum.reports += of.reports;
    now.sum.refused += of.refused;
    now.sum.breakdowns += of.breakdowns;
    now.sum.connections += of.connections;
  }
  const std::lock_guard lock(numbers_mutex_);
  numbers_ = now;
}

SimulatorNumbers Simulator::numbers() const {
  const std::lock_guard lock(numbers_mutex_);
  return numbers_;
}

}  // namespace mallbots::bots
