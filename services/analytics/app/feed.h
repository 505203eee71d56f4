// Feed: what each event of an order does to the tables of analytics: a view, which can be built
// anew from the log at any time (view_runner.h). Events of one order come in order.
//
// Who calls: whoever makes the runner, once.
#pragma once

#include <string>
#include <vector>

#include "clients/toolkit/views/view.h"

namespace mallbots::analytics {

[[nodiscard]] toolkit::View view();
/// Topics that the view reads.
[[nodiscard]] std::vector<std::string> topics();

}  // namespace mallbots::analytics
