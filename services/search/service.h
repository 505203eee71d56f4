// The context search in a process: its view in search.db, calls on search.sock. Who calls: the
// mall. Errors: those of what it opens.
#pragma once

#include <memory>

#include "services/runtime/host.h"

namespace mallbots::search {

[[nodiscard]] Result<std::unique_ptr<Service>> make_search(Host& host);

}  // namespace mallbots::search
