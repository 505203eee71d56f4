#include "services/gateways/admin/history_order.h"

#include <algorithm>
#include <limits>

namespace mallbots::gateways {

void HistoryOrder::took(const Place& place, UnixMillis at_ms) {
  if (const auto found = unread_.find(place); found != unread_.end()) found->second.at_ms = at_ms;
}

void HistoryOrder::shorten(const Place& place, Offset end) {
  const auto found = unread_.find(place);
  if (found != unread_.end()) found->second.end = std::min(found->second.end, end);
}

std::vector<HistoryOrder::Place> HistoryOrder::awaited() const {
  std::vector<Place> all;
  for (const auto& [place, unread] : unread_) {
    if (!unread.waits) all.push_back(place);
  }
  return all;
}

std::vector<HistoryOrder::Change> HistoryOrder::changes(
    const std::function<std::optional<Offset>(const Place&)>& next_of) {
  std::vector<Change> all;
  std::erase_if(unread_, [&](const auto& entry) {
    const auto next = next_of(entry.first);
    const bool is_read = !next || *next >= entry.second.end;
    if (is_read && entry.second.waits) all.push_back({entry.first, false});
    return is_read;
  });
  UnixMillis oldest_ms = std::numeric_limits<UnixMillis>::max();
  for (const auto& [place, unread] : unread_) oldest_ms = std::min(oldest_ms, unread.at_ms);
  for (auto& [place, unread] : unread_) {
    const bool is_ahead = unread.at_ms > oldest_ms;
    if (is_ahead == unread.waits) continue;
    unread.waits = is_ahead;
    all.push_back({place, is_ahead});
  }
  return all;
}

}  // namespace mallbots::gateways
