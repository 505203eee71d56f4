// Simulator: N robots on a floor, each with its Driver and its line to the fleet gateway. One
// thread moves all of them; gRPC brings its own few.
//
// Who calls: run(), or turn() again and again, by one thread; numbers() by any. The same floor,
// robots (with their seeds), times and messages give the same paths and the same deeds. Errors of
// open(): BadConfig (more robots than the floor has room for, no speed).
#pragma once

#include <memory>
#include <mutex>
#include <optional>
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
};

struct SimulatorNumbers {
  std::size_t robots = 0;
  std::size_t welcome = 0;  ///< connected now
  DriverNumbers sum;
};

class Simulator {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Simulator>> open(FloorPlan plan,
                                                               std::vector<Driver::Identity> robots,
                                                               const SimulatorOptions& options,
                                                               std::unique_ptr<Lines> lines);

  /// A turn every 25 ms, until it is told to stop.
  void run(const std::stop_token& stop);
  /// What happens until that time, which never goes back.
  void turn(std::int64_t now_ms);
  [[nodiscard]] SimulatorNumbers numbers() const;
  [[nodiscard]] fleetpb::Position position_of(std::uint32_t robot) const;

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

  Simulator(FloorPlan plan, const SimulatorOptions& options, std::unique_ptr<Lines> lines);
  void place_robots();
  void hear(std::int64_t now_ms);
  void step(std::int64_t now_ms);
  void drive(std::uint32_t robot, std::int64_t now_ms);
  void connect(std::uint32_t robot, std::int64_t now_ms);
  void send_off(std::uint32_t robot);
  void note_numbers();
  [[nodiscard]] Cell store_at(const std::string& location);

  FloorPlan plan_;
  SimulatorOptions options_;
  std::unique_ptr<Lines> lines_;
  std::vector<One> robots_;  ///< with their lines, which end first
  Traffic traffic_;
  Cell depot_;
  std::vector<Cell> parking_;
  std::map<std::string, Cell> stores_;
  std::optional<std::int64_t> stepped_ms_;
  double steps_owed_ = 0;
  mutable std::mutex numbers_mutex_;
  SimulatorNumbers numbers_;
};

}  // namespace mallbots::bots
