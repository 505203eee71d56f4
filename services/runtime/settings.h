// Settings of the mall, `--set NAME=VALUE`: names of older versions are refused, not passed over.
//
// Who calls: Host::open, and the commands of `mall` before they start anything. Pure.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "shm/base/result.h"

namespace mallbots {

/// BadConfig: one of them is called otherwise now; the refusal says how.
[[nodiscard]] Result<void> refuse_old_names(
    const std::map<std::string, std::string, std::less<>>& settings);

}  // namespace mallbots
