// HistoryOrder: in which order a feed reads what was in the log before it: by time, over all
// partitions, but for one batch of each. Whoever is ahead of the one that is furthest back waits
// for it until it has read all that was there. That nothing comes, once or for long, ends nothing:
// a busy disk or a broker that is being replaced is no end of history.
//
// Who calls: the feed, one thread. Pure.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shm/base/ids.h"

namespace mallbots::gateways {

class HistoryOrder {
 public:
  using Place = std::pair<std::string, PartitionIndex>;  ///< topic and partition
  struct Change {
    Place place;
    bool waits = false;  ///< is to be paused; else to be resumed
    friend bool operator==(const Change&, const Change&) = default;
  };

  void clear() { unread_.clear(); }
  /// Everything before `end` is history there.
  void add(const Place& place, Offset end) { unread_[place].end = end; }
  /// A record was read; of a place without history: nothing.
  void took(const Place& place, UnixMillis at_ms);
  /// There is nothing behind `end` (now): a power cut takes records back.
  void shorten(const Place& place, Offset end);

  [[nodiscard]] bool is_over() const noexcept { return unread_.empty(); }
  /// Those that the others wait for.
  [[nodiscard]] std::vector<Place> awaited() const;
  /// Who is to wait from now on, and who no more. `next_of`: the offset that is read next there;
  /// nothing: that place is not read any more.
  [[nodiscard]] std::vector<Change> changes(
      const std::function<std::optional<Offset>(const Place&)>& next_of);

 private:
  struct Unread {
    Offset end = 0;
    UnixMillis at_ms = 0;  ///< how far it is read
    bool waits = false;
  };
  std::map<Place, Unread> unread_;
};

}  // namespace mallbots::gateways
