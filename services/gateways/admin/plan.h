// The floor plan for the page: a map in the MovingAI format (services/simulators/bots) as JSON,
// {"name", "width", "height", "rows"}.
//
// Who calls: the gateway at its start. BadArgument: it is no such map.
#pragma once

#include <string>
#include <string_view>

#include "shm/base/result.h"

namespace mallbots::admin {

[[nodiscard]] Result<std::string> plan_json(const std::string& name, std::string_view map);
/// The mall's own, built in.
[[nodiscard]] std::string_view own_map() noexcept;

}  // namespace mallbots::admin
