// One topic as others see it (broker/log/topics.h).
#include <fcntl.h>

#include <algorithm>

#include "broker/log/topic_memory.h"
#include "broker/log/topics.h"
#include "shm/base/check.h"

namespace mallbots::broker {

Partition& Topic::partition(PartitionIndex index) {
  CHECK(index < partitions_.size());
  return *partitions_[index];
}
const Partition& Topic::partition(PartitionIndex index) const {
  CHECK(index < partitions_.size());
  return *partitions_[index];
}

Result<shm::UniqueFd> Topic::board_fd() const { return shm::reopen_read_only(board_fd_.get()); }

Result<shm::UniqueFd> Topic::knock_fd() const {
  shm::UniqueFd fd{::fcntl(knock_fd_.get(), F_DUPFD_CLOEXEC, 0)};
  if (!fd) return fail(ErrorCode::kLimitReached, "no file descriptor is free");
  return fd;
}

Result<shm::UniqueFd> Topic::slot_fd(PartitionIndex partition, std::uint64_t slot_id,
                                     bool writable) {
  SlotRing& ring = this->partition(partition).ring();
  HotSlot* const slot = ring.find_id(slot_id);
  if (slot == nullptr)
    return fail(ErrorCode::kBadArgument, "slot " + std::to_string(slot_id) + " is not there");
  MALLBOTS_TRY(ring.populate(*slot));
  if (!writable) return shm::reopen_read_only(slot->fd.get());
  shm::UniqueFd fd{::fcntl(slot->fd.get(), F_DUPFD_CLOEXEC, 0)};
  if (!fd) return fail(ErrorCode::kLimitReached, "no file descriptor is free");
  return fd;
}

SharedPartition Topic::shared(PartitionIndex index) {
  SlotShare& slots = partition(index).share();
  return {board(), board_of(board_map_, index), knock(), knock_of(knock_map_, index), slots};
}

void Topic::add_doorbell(SessionIndex session) {
  if (std::ranges::find(doorbells_, session) == doorbells_.end()) doorbells_.push_back(session);
}

}  // namespace mallbots::broker
