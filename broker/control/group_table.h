// GroupTable: the rows of the group coordinator in memory that the keeper holds, so that a
// restarted broker knows who reads which partition with which cell. What the disk has (GroupStore)
// may be a flush behind and knows no holders.
//
// Each change fills a fresh entry, stores its number last, and then frees the entry before it; a
// broker that is killed in between leaves both, and the higher number counts. Control thread.
// Errors: LimitReached (all entries taken), MemoryFull, Corrupt (kept memory of another layout).
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "broker/groups/coordinator.h"
#include "broker/keeper/link.h"
#include "shm/layout/layout.h"
#include "shm/region/memory.h"

namespace mallbots::broker {

struct GroupTableEntry {
  std::atomic<std::uint64_t> number;  ///< 0: free; stored last
  std::uint64_t topic;
  std::uint64_t offset;
  std::uint64_t session_token;  ///< proves that `session` is still the same one
  std::uint32_t partition;
  std::uint32_t generation;
  std::uint32_t log_epoch;
  std::uint32_t cell;
  std::uint32_t session;  ///< shm::kNoSession: nobody
  std::uint8_t has_position;
  std::uint8_t group_bytes;
  std::uint8_t instance_bytes;
  std::uint8_t reserved;
  char group[shm::kMaxNameBytes];
  char instance[shm::kMaxNameBytes];
};
static_assert(offsetof(GroupTableEntry, number) == 0);
static_assert(offsetof(GroupTableEntry, topic) == 8);
static_assert(offsetof(GroupTableEntry, partition) == 32);
static_assert(offsetof(GroupTableEntry, group) == 56);
static_assert(offsetof(GroupTableEntry, instance) == 256);
static_assert(sizeof(GroupTableEntry) == 456);

/// A row, and the token of the session that holds it.
struct KeptRow {
  PositionRow row;
  std::uint64_t session_token = 0;
};

class GroupTable {
 public:
  /// Rows (group, topic, partition) that an instance can have; touched as they are used.
  static constexpr std::uint32_t kEntries = 65'536;

  /// The predecessor's table, or an empty one. `kept` tells which.
  [[nodiscard]] static Result<GroupTable> open(KeeperLink& keeper, bool& kept);

  [[nodiscard]] std::vector<KeptRow> rows() const;
  [[nodiscard]] Result<void> set(const KeptRow& kept);
  void forget(const std::string& group, std::optional<TopicId> topic);

 private:
  using Key = std::tuple<std::string, TopicId, PartitionIndex>;
  void load();
  [[nodiscard]] GroupTableEntry& entry(std::uint32_t index) const noexcept;

  shm::UniqueFd fd_;
  shm::Mapping memory_;
  std::map<Key, std::uint32_t> index_;
  std::vector<std::uint32_t> free_;
  std::uint64_t next_number_ = 1;
};

}  // namespace mallbots::broker
