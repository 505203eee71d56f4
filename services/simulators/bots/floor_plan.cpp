#include "services/simulators/bots/floor_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <queue>
#include <string_view>

#include "shm/base/check.h"

namespace mallbots::bots {
namespace {

std::unexpected<Error> bad_map(const std::string& name, std::size_t line, std::string_view why) {
  return std::unexpected(
      Error{ErrorCode::kBadArgument, fmt::format("{}, line {}: {}", name, line, why)});
}

/// "height 63"; nothing if the line is something else.
bool read_size(const std::string& line, std::string_view word, std::uint32_t& value) {
  if (!line.starts_with(word) || line.size() <= word.size() + 1) return false;
  value = 0;
  for (const char c : std::string_view(line).substr(word.size() + 1)) {
    if (c < '0' || c > '9' || value > FloorPlan::kMaxCells) return false;
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
  }
  return line[word.size()] == ' ' && value > 0;
}

bool take_line(std::istream& source, std::string& line) {
  if (!std::getline(source, line)) return false;
  if (line.ends_with('\r')) line.pop_back();
  return true;
}

bool is_floor(char c) { return c == '.' || c == 'G' || c == 'S'; }
bool is_wall(char c) { return c == '@' || c == 'O' || c == 'T' || c == 'W'; }

}  // namespace

Result<FloorPlan> FloorPlan::read(std::istream& source, const std::string& name) {
  std::string line;
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  if (!take_line(source, line) || !line.starts_with("type ")) {
    return bad_map(name, 1, "a map begins with 'type octile'");
  }
  if (!take_line(source, line) || !read_size(line, "height", height)) {
    return bad_map(name, 2, "'height N' is expected");
  }
  if (!take_line(source, line) || !read_size(line, "width", width)) {
    return bad_map(name, 3, "'width N' is expected");
  }
  if (!take_line(source, line) || line != "map") return bad_map(name, 4, "'map' is expected");
  if (std::uint64_t{width} * height > kMaxCells) {
    return bad_map(name, 3, fmt::format("more than {} cells", kMaxCells));
  }
  FloorPlan plan(width, height);
  plan.free_.reserve(std::size_t{width} * height);
  for (std::uint32_t row = 0; row < height; ++row) {
    if (!take_line(source, line) || line.size() != width) {
      return bad_map(name, 5 + row, fmt::format("{} characters are expected", width));
    }
    for (std::size_t column = 0; column < line.size(); ++column) {
      const char c = line[column];
      if (!is_floor(c) && !is_wall(c)) {
        return bad_map(name, 5 + row,
                       fmt::format("character {} is none of '.', 'G', 'S' (floor), '@', 'O', 'T',"
                                   " 'W' (wall)",
                                   column + 1));
      }
      plan.free_.push_back(is_floor(c) ? 1 : 0);
    }
  }
  for (std::size_t number = 5 + std::size_t{height}; take_line(source, line); ++number) {
    if (!line.empty()) {
      return bad_map(name, number, fmt::format("nothing is expected behind {} rows", height));
    }
  }
  plan.keep_largest_part();
  if (plan.free_count_ == 0) return bad_map(name, 5, "no cell can be driven on");
  plan.link_neighbours();
  return plan;
}

template <class Visit>
void FloorPlan::for_each_beside(Cell cell, const Visit& visit) const {
  const std::uint32_t column = cell % width_;
  if (cell >= width_) visit(cell - width_);
  if (column > 0) visit(cell - 1);
  if (column + 1 < width_) visit(cell + 1);
  if (cell + width_ < free_.size()) visit(cell + width_);
}

std::vector<Cell> FloorPlan::part_of(Cell start, std::vector<std::uint8_t>& seen) const {
  std::vector<Cell> part{start};
  seen[start] = 1;
  for (std::size_t next = 0; next < part.size(); ++next) {
    for_each_beside(part[next], [&](Cell beside) {
      if (free_[beside] == 0 || seen[beside] != 0) return;
      seen[beside] = 1;
      part.push_back(beside);
    });
  }
  return part;
}

void FloorPlan::keep_largest_part() {
  std::vector<std::uint8_t> seen(free_.size(), 0);
  std::vector<Cell> largest;
  for (Cell cell = 0; cell < free_.size(); ++cell) {
    if (free_[cell] == 0 || seen[cell] != 0) continue;
    std::vector<Cell> part = part_of(cell, seen);
    if (part.size() > largest.size()) largest = std::move(part);
  }
  std::ranges::fill(free_, std::uint8_t{0});
  for (const Cell cell : largest) free_[cell] = 1;
  free_count_ = largest.size();
}

void FloorPlan::link_neighbours() {
  begin_.reserve(free_.size() + 1);
  for (Cell cell = 0; cell < free_.size(); ++cell) {
    begin_.push_back(static_cast<std::uint32_t>(beside_.size()));
    if (free_[cell] == 0) continue;
    for_each_beside(cell, [&](Cell beside) {
      if (free_[beside] != 0) beside_.push_back(beside);
    });
  }
  begin_.push_back(static_cast<std::uint32_t>(beside_.size()));
}

std::span<const Cell> FloorPlan::neighbours(Cell cell) const noexcept {
  if (cell >= free_.size()) return {};
  return std::span(beside_).subspan(begin_[cell], begin_[cell + 1] - begin_[cell]);
}

std::vector<std::uint32_t> FloorPlan::distances_to(Cell goal, std::span<const Cell> blocked) const {
  CHECK(is_free(goal));
  struct Reached {
    std::uint32_t steps;
    Cell cell;
  };
  std::vector<std::uint32_t> distances(free_.size(), kUnreachable);
  distances[goal] = 0;
  // Both are in the order of their steps, so the nearer of the two first ones is next.
  std::vector<Reached> reached{{0, goal}};
  std::vector<Reached> beyond;
  std::size_t next = 0;
  std::size_t next_beyond = 0;
  while (next < reached.size() || next_beyond < beyond.size()) {
    const bool is_beyond =
        next == reached.size() ||
        (next_beyond < beyond.size() && beyond[next_beyond].steps < reached[next].steps);
    const Reached from = is_beyond ? beyond[next_beyond++] : reached[next++];
    if (distances[from.cell] != from.steps) continue;  // a shorter way was found
    for (const Cell beside : neighbours(from.cell)) {
      const bool is_blocked = std::ranges::find(blocked, beside) != blocked.end();
      const std::uint32_t steps = from.steps + (is_blocked ? kDetour : 1);
      if (distances[beside] <= steps) continue;
      distances[beside] = steps;
      (is_blocked ? beyond : reached).push_back({steps, beside});
    }
  }
  return distances;
}

std::vector<Cell> FloorPlan::places(std::size_t count) const {
  std::vector<Cell> roomy;
  std::vector<Cell> narrow;
  for (Cell cell = 0; cell < free_.size(); ++cell) {
    if (free_[cell] != 0) (neighbours(cell).size() >= 3 ? roomy : narrow).push_back(cell);
  }
  std::vector<Cell> chosen;
  for (const std::vector<Cell>& from : {roomy, narrow}) {
    const std::size_t wanted = std::min(count - chosen.size(), from.size());
    for (std::size_t i = 0; i < wanted; ++i) chosen.push_back(from[i * from.size() / wanted]);
  }
  return chosen;
}

}  // namespace mallbots::bots
