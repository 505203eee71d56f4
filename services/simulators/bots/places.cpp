#include "services/simulators/bots/places.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>

#include "services/runtime/read_file.h"
#include "shm/base/check.h"
#include "shm/base/hash.h"

namespace mallbots::bots {
namespace {

constexpr std::size_t kPlaces = 256;

struct Point {
  std::int64_t x;
  std::int64_t y;
};

std::optional<Point> point_of(std::string_view text) {
  const char* end = text.data() + text.size();
  Point point{};
  const auto x = std::from_chars(text.data(), end, point.x);
  if (x.ec != std::errc{} || x.ptr == end || *x.ptr != ',') return std::nullopt;
  const auto y = std::from_chars(x.ptr + 1, end, point.y);
  if (y.ec != std::errc{} || y.ptr != end) return std::nullopt;
  return point;
}

Cell nearest_free(const FloorPlan& plan, Point to) {
  // Numbers from outside: far away is far enough.
  const auto bounded = [](std::int64_t value) {
    return std::clamp<std::int64_t>(value, -1, 1 << 24);
  };
  to = {bounded(to.x), bounded(to.y)};
  Cell nearest = kNoCell;
  std::int64_t best = INT64_MAX;
  for (Cell cell = 0; cell < plan.cells(); ++cell) {
    if (!plan.is_free(cell)) continue;
    const std::int64_t dx = cell % plan.width() - to.x;
    const std::int64_t dy = cell / plan.width() - to.y;
    if (dx * dx + dy * dy >= best) continue;
    best = dx * dx + dy * dy;
    nearest = cell;
  }
  CHECK(nearest != kNoCell);  // a plan has a free cell
  return nearest;
}

}  // namespace

Result<FloorPlan> plan_of(const std::string& file) {
  if (file.empty()) {
    std::istringstream own(kOwnMap);
    return FloorPlan::read(own, "the mall's own map");
  }
  auto text = read_file(file);
  if (!text) return std::unexpected(std::move(text).error());
  std::istringstream source(*std::move(text));
  return FloorPlan::read(source, file);
}

Cell cell_of(const FloorPlan& plan, std::string_view location) {
  if (const auto point = point_of(location)) return nearest_free(plan, *point);
  const std::vector<Cell> places = plan.places(kPlaces);
  return places[xxh3(location.data(), location.size()) % places.size()];
}

Cell depot_of(const FloorPlan& plan) { return nearest_free(plan, {0, 0}); }

}  // namespace mallbots::bots
