// `KEY=VALUE` and `NAME=VALUE` arguments. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clients/admin.h"
#include "shm/base/result.h"

namespace mallbots::client::cli {

/// What stands before and after the first '='. BadArgument without one, or with nothing before it;
/// `what` names the argument.
[[nodiscard]] Result<std::pair<std::string, std::string>> split_pair(std::string_view text,
                                                                     std::string_view what);

/// Every `-c`. BadArgument also if a key is given twice.
[[nodiscard]] Result<std::vector<TopicSetting>> parse_settings(
    const std::vector<std::string>& texts);

}  // namespace mallbots::client::cli
