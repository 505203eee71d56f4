// What may be the name of a consumer group or of a static member: 1 to 200 bytes of UTF-8 without
// control characters, '/' or a leading '.', so that it may stand in a metric, a file name and a
// topic name (GROUP in TOPIC.GROUP.dlq). Pure; called by the coordinator. Error: BadGroupName.
#pragma once

#include <string_view>

#include "shm/base/result.h"

namespace mallbots::broker {

/// True if `text` is well-formed UTF-8 (Unicode 15, table 3-7) without control characters.
[[nodiscard]] bool is_plain_utf8(std::string_view text) noexcept;

[[nodiscard]] Result<void> check_group_name(std::string_view name);

}  // namespace mallbots::broker
