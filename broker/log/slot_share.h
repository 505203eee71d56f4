// SlotShare: the slots of one sequenced partition for the sequencer's thread, which maps them by
// itself, as a client would: what the control thread retires stays mapped there until it lets go.
//
// add() and remove() on the control thread (SlotRing), map() and has() on any. An add() comes
// before the slot stands on the board, a remove() after it does not.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

#include "shm/layout/board.h"
#include "shm/layout/knock.h"
#include "shm/region/memory.h"

namespace mallbots::broker {

class SlotShare {
 public:
  void add(std::uint64_t slot_id, int fd, std::size_t bytes) {
    const std::scoped_lock lock{lock_};
    slots_.insert_or_assign(slot_id, Slot{fd, bytes});
  }
  void remove(std::uint64_t slot_id) {
    const std::scoped_lock lock{lock_};
    slots_.erase(slot_id);
  }
  [[nodiscard]] bool has(std::uint64_t slot_id) const {
    const std::scoped_lock lock{lock_};
    return slots_.contains(slot_id);
  }
  /// A mapping of the caller's own, not populated. BadArgument: there is no such slot any more.
  [[nodiscard]] Result<shm::Mapping> map(std::uint64_t slot_id) const {
    const std::scoped_lock lock{lock_};
    const auto found = slots_.find(slot_id);
    if (found == slots_.end()) return fail(ErrorCode::kBadArgument, "the slot is not there");
    return shm::Mapping::of(found->second.fd, found->second.bytes, shm::Access::kReadWrite);
  }

 private:
  struct Slot {
    int fd = -1;  ///< the ring's, open as long as it stands here
    std::size_t bytes = 0;
  };
  mutable std::mutex lock_;
  std::map<std::uint64_t, Slot> slots_;
};

/// What another thread of the broker needs of a partition to append to it. Lives as long as the
/// partition does.
struct SharedPartition {
  shm::BoardHeader& topic;
  shm::PartitionBoard& board;
  shm::KnockHeader& knock_header;
  shm::KnockLine& knock;
  SlotShare& slots;
};

}  // namespace mallbots::broker
