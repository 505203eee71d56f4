// Traffic: moves all robots of a floor one step at a time, each towards its goal by a shortest way,
// never two in one cell and never two through each other. PIBT: Okumura, Machida, Defago, Tamura,
// "Priority Inheritance with Backtracking for Iterative Multi-agent Path Finding", Artificial
// Intelligence 310 (2022), algorithm 1.
//
// A robot in the way is pushed by the one with the higher priority; who has waited longest has the
// highest, so on a floor where every cell lies on a circle each robot gets to its goal. A robot
// that is held (it is broken) is a wall until it is let go: the others go around it, and wait
// behind it where there is no way around.
//
// Who calls: the robots' simulator, one thread. The same calls give the same moves.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "services/simulators/bots/floor_plan.h"

namespace mallbots::bots {

using Robot = std::uint32_t;

class Traffic {
 public:
  /// `plan` lives longer.
  explicit Traffic(const FloorPlan& plan);

  /// Puts a robot on a free, empty cell; its goal is that cell. Robots are numbered 0, 1, 2 ...
  Robot add(Cell cell);
  /// A free cell; several robots may have the same.
  void send(Robot robot, Cell goal);
  /// It has nowhere to go: it stays unless somebody pushes it. Costs no memory.
  void rest(Robot robot);
  /// It stays where it is until it is let go.
  void hold(Robot robot, bool is_held);

  /// One step for everybody who is not held.
  void step();

  [[nodiscard]] std::size_t robots() const noexcept { return at_.size(); }
  [[nodiscard]] Cell cell_of(Robot robot) const noexcept { return at_[robot]; }
  /// kNoCell: it rests.
  [[nodiscard]] Cell goal_of(Robot robot) const noexcept { return goal_[robot]; }
  [[nodiscard]] bool has_arrived(Robot robot) const noexcept {
    return goal_[robot] == kNoCell || at_[robot] == goal_[robot];
  }
  /// Steps of an empty floor from where it stands to its goal.
  [[nodiscard]] std::uint32_t steps_to_go(Robot robot) const;

 private:
  static constexpr Robot kNobody = ~Robot{0};
  struct Field {
    std::vector<std::uint32_t> distances;
    std::size_t robots = 0;  ///< whose goal this is
  };

  [[nodiscard]] bool plan_move(Robot robot, Robot pushed_by);
  void drop_field(Cell goal);
  void find_ways_anew();

  const FloorPlan& plan_;
  std::vector<Cell> at_;
  std::vector<Cell> next_;
  std::vector<Cell> goal_;
  std::vector<std::uint64_t> waited_;  ///< steps since it was last at a goal
  std::vector<std::uint8_t> held_;
  std::vector<Cell> blocked_;  ///< where those stand that are held
  bool ways_changed_ = false;  ///< since the fields were made
  std::vector<Robot> order_;
  std::vector<Robot> now_in_;   ///< by cell
  std::vector<Robot> next_in_;  ///< by cell, of the step that is being planned
  std::map<Cell, std::unique_ptr<Field>> fields_;
  std::vector<const Field*> field_of_;
};

}  // namespace mallbots::bots
