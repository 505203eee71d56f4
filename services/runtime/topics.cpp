#include "services/runtime/topics.h"

#include <algorithm>
#include <array>

namespace mallbots {

std::vector<client::TopicSetting> settings_of(std::string_view topic) {
  static constexpr std::array kOfAggregates = {std::string_view{"mallbots.orders.events.Cart"},
                                               std::string_view{"mallbots.orders.events.Order"},
                                               std::string_view{"mallbots.stores.events.Product"},
                                               std::string_view{"mallbots.stores.events.Store"}};
  if (std::ranges::find(kOfAggregates, topic) == kOfAggregates.end()) return {};
  return {{"type", "events"}};
}

}  // namespace mallbots
