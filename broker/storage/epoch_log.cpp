#include "broker/storage/epoch_log.h"

#include <algorithm>

#include "broker/storage/codec.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {

namespace {

constexpr std::uint64_t kEpochMagic = 0x3130'4350'454D'4D06;  // "\6MMEPC01"
constexpr std::uint32_t kEpochVersion = 1;
constexpr std::uint64_t kMaxEpochBytes = 256ULL << 20;
/// Of one partition; the oldest go first. Who was away for longer may not be told of a loss.
constexpr std::size_t kMaxFirsts = 256;

}  // namespace

Result<EpochLog> EpochLog::load(Disk& disk, const std::string& path) {
  EpochLog log;
  log.path_ = path;
  if (!disk.exists(path)) return log;
  auto bytes = disk.read_file(path, kMaxEpochBytes);
  if (!bytes) return std::unexpected(std::move(bytes).error());
  auto payload = unseal(kEpochMagic, kEpochVersion, *bytes);
  if (!payload) {
    return fail(payload.error().code, path + ": " + payload.error().detail);
  }
  ByteReader in(*payload);
  log.current_ = in.get<LogEpoch>();
  const auto partitions = in.get_count(sizeof(std::uint64_t));
  for (std::uint32_t i = 0; i < partitions && in.ok(); ++i) {
    const auto partition = PartitionId{in.get<std::uint64_t>()};
    auto& firsts = log.firsts_[partition];
    const auto count = in.get_count(sizeof(LogEpoch) + sizeof(Offset));
    for (std::uint32_t k = 0; k < count && in.ok(); ++k) {
      const auto epoch = in.get<LogEpoch>();
      firsts.push_back({epoch, in.get<Offset>()});
    }
  }
  if (!in.ok() || !in.at_end()) {
    return fail(ErrorCode::kCorrupt, path + ": its lengths contradict each other");
  }
  return log;
}

Result<void> EpochLog::raise(Disk& disk, LogEpoch seen,
                             std::span<const std::pair<PartitionId, Offset>> firsts) {
  EpochLog next;
  next.path_ = path_;
  next.current_ = std::max(current_, seen) + 1;
  for (const auto& [partition, offset] : firsts) {
    auto& list = next.firsts_[partition];
    if (const auto known = firsts_.find(partition); known != firsts_.end()) list = known->second;
    // An earlier epoch that began at or above this offset says nothing more: the smaller one
    // counts.
    while (!list.empty() && list.back().offset >= offset) list.pop_back();
    if (offset != kNoOffset) list.push_back({next.current_, offset});
    if (list.size() > kMaxFirsts) list.erase(list.begin());
  }
  ByteWriter out;
  out.put(next.current_);
  out.put(static_cast<std::uint32_t>(next.firsts_.size()));
  for (const auto& [partition, list] : next.firsts_) {
    out.put(partition);
    out.put(static_cast<std::uint32_t>(list.size()));
    for (const First& first : list) {
      out.put(first.epoch);
      out.put(first.offset);
    }
  }
  CRASH_POINT("storage.epochs.save");
  MALLBOTS_TRY(disk.replace_file(path_, seal(kEpochMagic, kEpochVersion, out.bytes())));
  *this = std::move(next);
  return {};
}

std::optional<Offset> EpochLog::truncated_to(PartitionId partition,
                                             const Position& position) const {
  const auto it = firsts_.find(partition);
  if (it == firsts_.end()) return std::nullopt;
  // Offsets ascend with the epochs: the first later epoch has the smallest one.
  for (const First& first : it->second) {
    if (first.epoch <= position.log_epoch) continue;
    if (first.offset < position.offset) return first.offset;
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace mallbots::broker
