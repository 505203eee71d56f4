// The chaos switch of the test kits: MALLBOTS_CHAOS=duplicate:1 (or fail:0.1,lose:0.1,delay:0.2,
// seed:7; middleware/chaos.h) in the environment gives every handler of a kit's router that chaos,
// so that a whole suite can run under it and must end in the same state. A switch that is mistyped
// ends the program (CHECK): it must not pass for a run without chaos.
#pragma once

#include <vector>

#include "clients/toolkit/handler.h"

namespace mallbots::toolkit {

/// `middlewares`, and chaos in its place among them if the switch is on.
[[nodiscard]] std::vector<Middleware> with_chaos_switch(std::vector<Middleware> middlewares);

}  // namespace mallbots::toolkit
