// EpochLog: which offsets a start has taken back. Each start that lost the memory without a clean
// stop, or with a topic that is in memory alone, raises the log epoch and records, per partition,
// the first offset that may be given anew. A persisted position (epoch, offset) that lies above the
// first offset of any later epoch names a record that is gone: its reader is told Truncated.
//
// One file, replaced as one. Broker's thread, blocking. Errors: Corrupt, WrongVersion, Io,
// DiskFull.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "broker/io/disk.h"
#include "shm/base/ids.h"

namespace mallbots::broker {

class EpochLog {
 public:
  /// A missing file: epoch 1, nothing recorded.
  [[nodiscard]] static Result<EpochLog> load(Disk& disk, const std::string& path);

  [[nodiscard]] LogEpoch current() const noexcept { return current_; }

  /// Such a start: current() rises by one (at least above `seen`, the newest epoch found in any
  /// segment), `firsts` are the ends of all partitions that there are, kNoOffset if the start
  /// takes nothing back; the starts of others (their topics were deleted) are forgotten. Durable
  /// when it returns. Must complete before any record or position of the new epoch is written.
  [[nodiscard]] Result<void> raise(Disk& disk, LogEpoch seen,
                                   std::span<const std::pair<PartitionId, Offset>> firsts);

  /// Where to set a position back to; nothing if it is good.
  [[nodiscard]] std::optional<Offset> truncated_to(PartitionId partition,
                                                   const Position& position) const;

  /// All such starts that the partition has seen: {epoch, its first offset}, ascending.
  [[nodiscard]] std::vector<std::pair<LogEpoch, Offset>> starts(PartitionId partition) const {
    std::vector<std::pair<LogEpoch, Offset>> all;
    if (const auto found = firsts_.find(partition); found != firsts_.end())
      for (const First& first : found->second) all.emplace_back(first.epoch, first.offset);
    return all;
  }

 private:
  struct First {
    LogEpoch epoch;
    Offset offset;
  };
  std::string path_;
  LogEpoch current_ = 1;
  std::map<PartitionId, std::vector<First>> firsts_;  ///< epochs and offsets both ascending
};

}  // namespace mallbots::broker
