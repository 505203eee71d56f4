#include "services/simulators/bots/traffic.h"

#include <algorithm>
#include <array>

#include "shm/base/check.h"

namespace mallbots::bots {

Traffic::Traffic(const FloorPlan& plan)
    : plan_(plan), now_in_(plan.cells(), kNobody), next_in_(plan.cells(), kNobody) {}

Robot Traffic::add(Cell cell) {
  CHECK(plan_.is_free(cell) && now_in_[cell] == kNobody);
  const auto robot = static_cast<Robot>(at_.size());
  at_.push_back(cell);
  next_.push_back(kNoCell);
  goal_.push_back(kNoCell);
  waited_.push_back(0);
  held_.push_back(0);
  order_.push_back(robot);
  field_of_.push_back(nullptr);
  now_in_[cell] = robot;
  send(robot, cell);
  return robot;
}

void Traffic::send(Robot robot, Cell goal) {
  CHECK(plan_.is_free(goal));
  if (goal_[robot] == goal) return;
  if (goal_[robot] != kNoCell) drop_field(goal_[robot]);
  std::unique_ptr<Field>& field = fields_[goal];
  if (!field) field = std::make_unique<Field>(Field{plan_.distances_to(goal, blocked_)});
  ++field->robots;
  field_of_[robot] = field.get();
  goal_[robot] = goal;
}

void Traffic::rest(Robot robot) {
  if (goal_[robot] == kNoCell) return;
  drop_field(goal_[robot]);
  field_of_[robot] = nullptr;
  goal_[robot] = kNoCell;
}

void Traffic::drop_field(Cell goal) {
  const auto field = fields_.find(goal);
  if (--field->second->robots == 0) fields_.erase(field);
}

void Traffic::hold(Robot robot, bool is_held) {
  if ((held_[robot] != 0) == is_held) return;
  held_[robot] = is_held ? 1 : 0;
  if (is_held) {
    blocked_.push_back(at_[robot]);
  } else {
    std::erase(blocked_, at_[robot]);
  }
  ways_changed_ = true;
}

void Traffic::find_ways_anew() {
  ways_changed_ = false;
  for (auto& [goal, field] : fields_) field->distances = plan_.distances_to(goal, blocked_);
}

std::uint32_t Traffic::steps_to_go(Robot robot) const {
  return field_of_[robot] == nullptr ? 0 : field_of_[robot]->distances[at_[robot]];
}

void Traffic::step() {
  if (ways_changed_) find_ways_anew();
  for (Robot robot = 0; robot < robots(); ++robot) {
    next_[robot] = kNoCell;
    waited_[robot] = has_arrived(robot) ? 0 : waited_[robot] + 1;
    if (held_[robot] == 0) continue;
    next_[robot] = at_[robot];
    next_in_[at_[robot]] = robot;
  }
  std::ranges::stable_sort(order_, [this](Robot left, Robot right) {
    return waited_[left] != waited_[right] ? waited_[left] > waited_[right] : left < right;
  });
  for (const Robot robot : order_) {
    if (next_[robot] == kNoCell) static_cast<void>(plan_move(robot, kNobody));
  }
  for (Robot robot = 0; robot < robots(); ++robot) now_in_[at_[robot]] = kNobody;
  for (Robot robot = 0; robot < robots(); ++robot) {
    at_[robot] = next_[robot];
    now_in_[at_[robot]] = robot;
    next_in_[at_[robot]] = kNobody;
  }
}

// Depth is bounded by the robots that push each other in one step.
bool Traffic::plan_move(Robot robot, Robot pushed_by) {
  const Field* field = field_of_[robot];
  const Field* pusher = pushed_by == kNobody ? nullptr : field_of_[pushed_by];
  using Rank = std::pair<std::uint32_t, std::uint32_t>;
  const auto rank = [&](Cell cell) -> Rank {
    const bool is_taken = now_in_[cell] != kNobody;
    if (field != nullptr) return {field->distances[cell], is_taken};
    if (cell == at_[robot]) return {0, 0};
    // Who rests steps aside, not ahead of the one who pushes.
    return {is_taken ? 2 : 1, pusher == nullptr ? 0 : kUnreachable - pusher->distances[cell]};
  };
  std::array<Cell, 5> choices{};
  std::size_t count = 0;
  for (const Cell beside : plan_.neighbours(at_[robot])) choices[count++] = beside;
  choices[count++] = at_[robot];
  // Of two ways equally short the one where nobody stands.
  std::stable_sort(choices.begin(), choices.begin() + count,
                   [&](Cell left, Cell right) { return rank(left) < rank(right); });
  for (std::size_t i = 0; i < count; ++i) {
    const Cell choice = choices[i];
    if (next_in_[choice] != kNobody) continue;
    if (pushed_by != kNobody && choice == at_[pushed_by]) continue;  // not through each other
    next_[robot] = choice;
    next_in_[choice] = robot;
    const Robot there = now_in_[choice];
    const bool is_free = there == kNobody || there == robot || next_[there] != kNoCell;
    if (is_free || plan_move(there, robot)) return true;
    // `there` stays, in its own cell, which is the one just asked for.
  }
  next_[robot] = at_[robot];
  next_in_[at_[robot]] = robot;
  return false;
}

}  // namespace mallbots::bots
