// Simulator: N robots on a floor, each with its Driver and its line to the fleet gateway. One
// thread moves all of them; gRPC brings its own few.
//
// Who calls: run() by one thread, until it is told to stop; numbers() by any. Errors of open():
// BadConfig (more robots than the floor has room for, no speed), those of LocalLines::open.
#pragma once

#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "services/simulators/bots/driver.h"
#include "services/simulators/bots/floor_plan.h"
#include "services/simulators/bots/lines.h"
#include "services/simulators/bots/traffic.h"

namespace mallbots::bots {

struct SimulatorOptions {
  std::int64_t step_ms = 500;  ///< for one cell, at speed 1
  double speed = 1;
  DriverOptions driver{};
  StreamLines::Options gateway{};
};

struct SimulatorNumbers {
  std::size_t robots = 0;
  std::size_t welcome = 0;  ///< connected now
  DriverNumbers sum;
};

class Simulator {
 public:
  /// `connection`: for local controllers; lives longer.
  [[nodiscard]] static Result<std::unique_ptr<Simulator>> open(FloorPlan plan,
                                                               std::vector<Driver::Identity> robots,
                                                               const SimulatorOptions& options,
                                                               client::Connection& connection);
  ~Simulator();

  void run(const std::stop_token& stop);
  [[nodiscard]] SimulatorNumbers numbers() const;

 private:
  struct One {
    One(Driver::Identity identity, const DriverOptions& options)
        : driver(std::move(identity), options) {}
    Driver driver;
    std::unique_ptr<Line> line;
    std::uint64_t line_number = 0;
    Driver::Place sent_to = Driver::Place::kNowhere;
    std::string sent_location;
    bool is_there = false;
  };

  Simulator(FloorPlan plan, const SimulatorOptions& options);
  void place_robots();
  void hear(std::int64_t now_ms);
  void step(std::int64_t now_ms);
  void drive(std::uint32_t robot, std::int64_t now_ms);
  void connect(std::uint32_t robot, std::int64_t now_ms);
  void send_off(std::uint32_t robot);
  void note_numbers();
  [[nodiscard]] fleetpb::Position position_of(std::uint32_t robot) const;
  [[nodiscard]] Cell store_at(const std::string& location);

  FloorPlan plan_;
  SimulatorOptions options_;
  Inbox inbox_;
  std::unique_ptr<StreamLines> streams_;
  std::unique_ptr<LocalLines> locals_;
  std::vector<One> robots_;  ///< their lines end before the two above
  Traffic traffic_;
  Cell depot_;
  std::vector<Cell> parking_;
  std::map<std::string, Cell> stores_;
  std::int64_t stepped_ms_ = 0;
  double steps_owed_ = 0;
  mutable std::mutex numbers_mutex_;
  SimulatorNumbers numbers_;
};

}  // namespace mallbots::bots
