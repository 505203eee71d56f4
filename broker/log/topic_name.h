// What may be the name of a topic: 1 to 200 bytes of UTF-8, without control characters, without
// '/', not beginning with '.'. Names that begin with '_' are the broker's own. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "shm/base/result.h"

namespace mallbots::broker {

/// Of a topic that the broker made for itself (Topics::internal).
[[nodiscard]] constexpr bool is_internal_name(std::string_view name) noexcept {
  return name.starts_with('_');
}

/// Of a user's topic. BadTopicName says what is wrong with it.
[[nodiscard]] Result<void> check_topic_name(const std::string& name);

}  // namespace mallbots::broker
