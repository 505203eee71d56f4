// Poison: which failures make a message a dead letter at once, and what becomes of the messages of
// its key that come after it. The poison queue is the bus's own, TOPIC.GROUP.dlq (dead_letter.h);
// without this middleware a message goes there when it is given up or its tries are used up.
//
// Parking: where the order of a key matters, what comes after a dead letter must not be handled as
// if nothing had happened. With `parked` such messages become dead letters too (type "Parked"),
// until release(): replay the letters in order, then release, or release, if they are discarded.
//
// Who calls: any thread. Parked keys end with the process; who keeps them calls all() and park().
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "clients/toolkit/handler.h"

namespace mallbots::toolkit {

class ParkedKeys {
 public:
  using Key = std::pair<std::string, std::string>;  ///< topic and key
  void park(const Key& key);
  void release(const Key& key);
  [[nodiscard]] bool contains(const Key& key) const;
  [[nodiscard]] std::vector<Key> all() const;

 private:
  mutable std::mutex mutex_;
  std::set<Key> keys_;
};

struct PoisonOptions {
  /// Failures that no retry can mend; nothing: those only that were given up.
  std::function<bool(const HandlerFailure&)> filter{};
  std::shared_ptr<ParkedKeys> parked{};  ///< of one group; null: later messages are handled
};

[[nodiscard]] Middleware poison(PoisonOptions options = {});

}  // namespace mallbots::toolkit
