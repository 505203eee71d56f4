// FloorPlan: the mall's floor as a grid of cells, read from a map in the MovingAI format
// (https://movingai.com/benchmarks/formats.html): "type octile", "height H", "width W", "map", then
// H lines of W characters; '.', 'G' and 'S' can be driven on, '@', 'O', 'T' and 'W' are walls,
// anything else is damage. Robots move to the four neighbours.
//
// Who calls: the robots' simulator and the admin gateway; any thread once read. Only the largest
// connected part of the floor counts as free: no robot is ever sent where it cannot go.
#pragma once

#include <cstdint>
#include <istream>
#include <span>
#include <string>
#include <vector>

#include "shm/base/result.h"

namespace mallbots::bots {

/// row * width + column
using Cell = std::uint32_t;
inline constexpr Cell kNoCell = ~Cell{0};
inline constexpr std::uint32_t kUnreachable = ~std::uint32_t{0};

class FloorPlan {
 public:
  static constexpr std::size_t kMaxCells = 4'000'000;

  /// BadArgument: not in the format, no free cell, or more than kMaxCells; names the line.
  [[nodiscard]] static Result<FloorPlan> read(std::istream& source, const std::string& name);

  [[nodiscard]] std::uint32_t width() const noexcept { return width_; }
  [[nodiscard]] std::uint32_t height() const noexcept { return height_; }
  [[nodiscard]] std::size_t cells() const noexcept { return free_.size(); }
  [[nodiscard]] std::size_t free_cells() const noexcept { return free_count_; }
  [[nodiscard]] bool is_free(Cell cell) const noexcept {
    return cell < free_.size() && free_[cell] != 0;
  }
  /// The free cells beside it, at most four.
  [[nodiscard]] std::span<const Cell> neighbours(Cell cell) const noexcept;
  /// Steps from each cell to `goal` (free), kUnreachable where there is no way. A way through one
  /// of the `blocked` cells counts kDetour steps more: whoever can goes around it.
  [[nodiscard]] std::vector<std::uint32_t> distances_to(Cell goal,
                                                        std::span<const Cell> blocked = {}) const;
  static constexpr std::uint32_t kDetour = 1'000;

  /// `count` free cells spread over the floor, each with at least three free neighbours (so that
  /// who stands there blocks no corridor) as long as there are such cells. The same for the same
  /// plan. Fewer if the floor has fewer free cells.
  [[nodiscard]] std::vector<Cell> places(std::size_t count) const;

 private:
  FloorPlan(std::uint32_t width, std::uint32_t height) : width_(width), height_(height) {}
  void keep_largest_part();
  void link_neighbours();
  [[nodiscard]] std::vector<Cell> part_of(Cell start, std::vector<std::uint8_t>& seen) const;
  template <class Visit>
  void for_each_beside(Cell cell, const Visit& visit) const;

  std::uint32_t width_;
  std::uint32_t height_;
  std::vector<std::uint8_t> free_;
  std::size_t free_count_ = 0;
  std::vector<Cell> beside_;          ///< the neighbours of all cells, one after the other
  std::vector<std::uint32_t> begin_;  ///< where those of a cell begin in beside_
};

}  // namespace mallbots::bots
