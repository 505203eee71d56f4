#include "broker/control/group_table.h"

#include <algorithm>
#include <cstring>

#include "shm/base/crash_point.h"

namespace mallbots::broker {
namespace {

constexpr std::uint32_t kTableMagic = 0x5052'474D;  // "MGRP"
constexpr std::size_t kTableBytes =
    shm::kPageBytes + std::size_t{GroupTable::kEntries} * sizeof(GroupTableEntry);

void copy_name(char* into, std::uint8_t& bytes, const std::string& name) {
  bytes = static_cast<std::uint8_t>(std::min(name.size(), shm::kMaxNameBytes));
  std::memcpy(into, name.data(), bytes);
}

KeptRow row_of(const GroupTableEntry& entry) {
  KeptRow kept;
  kept.session_token = entry.session_token;
  PositionRow& row = kept.row;
  row.group.assign(entry.group, std::min<std::size_t>(entry.group_bytes, shm::kMaxNameBytes));
  row.instance.assign(entry.instance,
                      std::min<std::size_t>(entry.instance_bytes, shm::kMaxNameBytes));
  row.topic = TopicId{entry.topic};
  row.partition = entry.partition;
  row.generation = entry.generation;
  row.cell = entry.cell;
  if (entry.has_position != 0) row.position = Position{entry.log_epoch, entry.offset};
  if (entry.session < shm::kMaxSessions) row.session = static_cast<SessionIndex>(entry.session);
  return kept;
}

void fill(GroupTableEntry& entry, const KeptRow& kept) {
  const PositionRow& row = kept.row;
  entry.topic = static_cast<std::uint64_t>(row.topic);
  entry.offset = row.position ? row.position->offset : 0;
  entry.log_epoch = row.position ? row.position->log_epoch : 0;
  entry.has_position = row.position ? 1 : 0;
  entry.session_token = kept.session_token;
  entry.session = row.session ? std::uint32_t{*row.session} : shm::kNoSession;
  entry.partition = row.partition;
  entry.generation = row.generation;
  entry.cell = row.cell;
  copy_name(entry.group, entry.group_bytes, row.group);
  copy_name(entry.instance, entry.instance_bytes, row.instance);
}

}  // namespace

Result<GroupTable> GroupTable::open(KeeperLink& keeper, bool& kept) {
  GroupTable table;
  table.fd_ = keeper.take(FdKind::kGroupTable, 0);
  kept = static_cast<bool>(table.fd_);
  if (!kept) {
    auto fd = shm::create_memory("mallbots-groups", kTableBytes);
    if (!fd) return std::unexpected(std::move(fd).error());
    table.fd_ = std::move(*fd);
  }
  auto memory = shm::Mapping::of(table.fd_.get(), kTableBytes, shm::Access::kReadWrite);
  if (!memory) return std::unexpected(std::move(memory).error());
  table.memory_ = std::move(*memory);
  auto& header = *table.memory_.as<shm::PageHeader>();
  const shm::PageHeader expected{kTableMagic, shm::kLayoutVersion, kTableBytes};
  if (!kept) {
    header = expected;
    MALLBOTS_TRY(keeper.put(FdKind::kGroupTable, 0, table.fd_.get()));
  } else if (std::memcmp(&header, &expected, sizeof header) != 0) {
    return fail(ErrorCode::kCorrupt, "the kept table of groups has another layout");
  }
  table.load();
  return table;
}

GroupTableEntry& GroupTable::entry(std::uint32_t index) const noexcept {
  return reinterpret_cast<GroupTableEntry*>(memory_.data() + shm::kPageBytes)[index];
}

void GroupTable::load() {
  for (std::uint32_t i = kEntries; i-- > 0;) {
    const std::uint64_t number = entry(i).number.load();
    if (number == 0) {
      free_.push_back(i);
      continue;
    }
    next_number_ = std::max(next_number_, number + 1);
    const PositionRow row = row_of(entry(i)).row;
    const auto [found, fresh] = index_.try_emplace({row.group, row.topic, row.partition}, i);
    if (fresh) continue;
    const bool newer = entry(found->second).number.load() < number;
    const std::uint32_t old = newer ? std::exchange(found->second, i) : i;
    CRASH_POINT("groups.free-double");
    entry(old).number.store(0);
    free_.push_back(old);
  }
}

std::vector<KeptRow> GroupTable::rows() const {
  std::vector<KeptRow> all;
  all.reserve(index_.size());
  for (const auto& [key, index] : index_) all.push_back(row_of(entry(index)));
  return all;
}

Result<void> GroupTable::set(const KeptRow& kept) {
  const Key key{kept.row.group, kept.row.topic, kept.row.partition};
  // The last free entry is for changes of rows that are there.
  if (free_.size() <= 1 && !index_.contains(key))
    return fail(ErrorCode::kLimitReached,
                "the instance has " + std::to_string(kEntries - 1) + " group positions already");
  const std::uint32_t fresh = free_.back();
  free_.pop_back();
  fill(entry(fresh), kept);
  CRASH_POINT("groups.set-row");
  entry(fresh).number.store(next_number_++);
  const auto [found, made] = index_.try_emplace(key, fresh);
  if (made) return {};
  const std::uint32_t old = std::exchange(found->second, fresh);
  CRASH_POINT("groups.free-row");
  entry(old).number.store(0);
  free_.push_back(old);
  return {};
}

void GroupTable::forget(const std::string& group, std::optional<TopicId> topic) {
  std::erase_if(index_, [&](const auto& item) {
    const auto& [name, id, partition] = item.first;
    if (name != group || (topic && id != *topic)) return false;
    CRASH_POINT("groups.forget-row");
    entry(item.second).number.store(0);
    free_.push_back(item.second);
    return true;
  });
}

}  // namespace mallbots::broker
