// Scheduler: which robot gets which list. A pure function: the oldest available list goes to the
// robot that has been idle longest. The caller changes both rows in one transaction, with their
// versions, and asks again when it lost the race.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "shm/base/ids.h"

namespace mallbots::depot {

struct WaitingList {
  std::string id;
  UnixMillis created_ms = 0;  ///< a list that was given back keeps its old place
};
struct WaitingBot {
  std::string id;
  UnixMillis idle_since_ms = 0;
};
struct Match {
  std::string list_id;
  std::string bot_id;
};

/// Nothing if one side is empty. Equal times: the lower id.
[[nodiscard]] std::optional<Match> next_match(std::span<const WaitingList> lists,
                                              std::span<const WaitingBot> bots);

}  // namespace mallbots::depot
