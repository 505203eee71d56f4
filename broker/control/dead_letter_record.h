// What a dead letter says beside the message: the headers of shm/base/dead_letter.h as attributes
// of a record. Pure; control thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "broker/queues/queues.h"

namespace mallbots::broker {

/// `attributes` of the message without headers of an earlier death, then those of this one. Texts
/// are cut until all fits into a record.
[[nodiscard]] std::vector<std::byte> letter_attributes(std::span<const std::byte> attributes,
                                                       const std::string& topic,
                                                       const LetterOrder& order);

}  // namespace mallbots::broker
