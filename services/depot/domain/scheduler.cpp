#include "services/depot/domain/scheduler.h"

#include <algorithm>
#include <tuple>

namespace mallbots::depot {

std::optional<Match> next_match(std::span<const WaitingList> lists,
                                std::span<const WaitingBot> bots) {
  if (lists.empty() || bots.empty()) return std::nullopt;
  const auto list = std::ranges::min_element(
      lists, {}, [](const WaitingList& each) { return std::tie(each.created_ms, each.id); });
  const auto bot = std::ranges::min_element(
      bots, {}, [](const WaitingBot& each) { return std::tie(each.idle_since_ms, each.id); });
  return Match{list->id, bot->id};
}

}  // namespace mallbots::depot
