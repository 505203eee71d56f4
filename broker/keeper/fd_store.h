// FdStore: the descriptors that outlive a broker, each under a kind and an id.
//
// The keeper holds one for as long as it lives. A new broker is a fork of the keeper and so finds a
// copy of it, with open descriptors, in its own memory: nothing has to be sent, which keeps a
// restart short. Plain data; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "shm/region/fd.h"

namespace mallbots::broker {

enum class FdKind : std::uint32_t {
  kListener = 1,   ///< id 0: the control socket
  kWake,           ///< id 0: the eventfd that clients wake the broker with
  kRegistry,       ///< id 0
  kBoard,          ///< topic id
  kKnock,          ///< topic id
  kSlot,           ///< slot id
  kSessionPage,    ///< session index
  kSessionPidfd,   ///< session index
  kSessionWake,    ///< session index: an eventfd of its own, for users who are not trusted
  kGroupTable,     ///< id 0: group positions with their holders (control/group_table.h)
  kRing,           ///< place in the registry's `rings`: an ingest ring
  kSequencerWake,  ///< id 0: the eventfd that trusted clients wake the sequencer with
  kDurableNote,    ///< id 0, or a topic's: memory of broker/storage that must survive a broker
};

class FdStore {
 public:
  /// Replaces (and closes) what was there under the same name.
  void put(FdKind kind, std::uint64_t id, shm::UniqueFd fd) {
    fds_.insert_or_assign({kind, id}, std::move(fd));
  }
  void remove(FdKind kind, std::uint64_t id) { fds_.erase({kind, id}); }
  /// The descriptor, no longer in the store; empty if there is none.
  [[nodiscard]] shm::UniqueFd take(FdKind kind, std::uint64_t id);
  /// Ids of that kind, ascending.
  [[nodiscard]] std::vector<std::uint64_t> ids(FdKind kind) const;
  [[nodiscard]] std::size_t size() const noexcept { return fds_.size(); }
  void clear() { fds_.clear(); }

  using Name = std::pair<FdKind, std::uint64_t>;
  [[nodiscard]] std::vector<Name> names() const;

 private:
  std::map<Name, shm::UniqueFd> fds_;
};

}  // namespace mallbots::broker
