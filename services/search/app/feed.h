// Feed: what each event of the other contexts does to search's tables: a view, which can be built
// anew from the log at any time (view_runner.h).
//
// Each topic writes rows of its own and they meet when somebody looks, so it does not matter which
// of two topics is read first. A state never goes back: of orders and invoices each has a rank.
// What is heard of an order before its OrderCreated is kept, and shows with it.
//
// Who calls: whoever makes the runner, once.
#pragma once

#include <string>
#include <vector>

#include "clients/toolkit/views/view.h"

namespace mallbots::search {

[[nodiscard]] toolkit::View view();
/// Topics that the view reads.
[[nodiscard]] std::vector<std::string> topics();

}  // namespace mallbots::search
