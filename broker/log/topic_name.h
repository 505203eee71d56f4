// What may be the name of a topic: 1 to 200 bytes of UTF-8, without control characters, without
// '/', not beginning with '.'. Pure; any thread.
#pragma once

#include <string>

#include "shm/base/result.h"

namespace mallbots::broker {

/// BadTopicName says what is wrong with it.
[[nodiscard]] Result<void> check_topic_name(const std::string& name);

}  // namespace mallbots::broker
