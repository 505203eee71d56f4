#include "services/gateways/admin/plan.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

namespace mallbots::admin {
namespace {

constexpr std::size_t kMostCells = 4'000'000;

std::string_view take_line(std::string_view& rest) {
  const auto end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

Result<std::string> plan_json(const std::string& name, std::string_view map) {
  const auto refused = [&name](std::string_view what) {
    return fail(ErrorCode::kBadArgument, fmt::format("the map {}: {}", name, what));
  };
  std::size_t width = 0;
  std::size_t height = 0;
  for (std::string_view line; line != "map"; line = take_line(map)) {
    if (map.empty()) return refused("no line 'map'");
    for (const auto& [word, size] : {std::pair{"width ", &width}, std::pair{"height ", &height}}) {
      const std::string_view front(word);
      if (!line.starts_with(front)) continue;
      (void)std::from_chars(line.data() + front.size(), line.data() + line.size(), *size);
    }
  }
  if (width == 0 || height == 0 || width > kMostCells / height) return refused("no usable size");
  nlohmann::json rows = nlohmann::json::array();
  for (std::size_t i = 0; i < height; ++i) {
    const std::string_view row = take_line(map);
    if (row.size() != width) return refused(fmt::format("row {} is not {} wide", i + 1, width));
    rows.push_back(row);
  }
  const nlohmann::json plan = {
      {"name", name}, {"width", width}, {"height", height}, {"rows", std::move(rows)}};
  return plan.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace mallbots::admin
