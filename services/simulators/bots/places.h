// Places: which cells of the floor plan stores, the depot and the parking places are.
//
// Who calls: the robots' simulator, any thread. Pure, but for plan_of, which may read a file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/simulators/bots/floor_plan.h"

namespace mallbots::bots {

/// The mall's own floor, in the MovingAI format.
extern const char* const kOwnMap;

/// Of the file; empty: the mall's own. Errors: those of FloorPlan::read and read_file.
[[nodiscard]] Result<FloorPlan> plan_of(const std::string& file);

/// "x,y" is that cell, or the free one nearest to it; any other text is one of the plan's places,
/// always the same for the same text.
[[nodiscard]] Cell cell_of(const FloorPlan& plan, std::string_view location);

/// The free cell nearest to the upper left corner.
[[nodiscard]] Cell depot_of(const FloorPlan& plan);

}  // namespace mallbots::bots
