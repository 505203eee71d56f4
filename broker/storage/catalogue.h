// Catalogue: the durable list of topics. A whole-file value: read at start, replaced as one
// (temporary file, fsync, rename, fsync of the folder, checksum) with every change. The old list or
// the new one, never a mix, after any crash. Made, empty, with the data directory; a missing file
// is Corrupt, for absence of metadata must not delete data.
//
// Broker's thread; blocking. Errors: Corrupt, WrongVersion, Io, DiskFull.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "broker/io/disk.h"
#include "broker/storage/data_directory.h"
#include "shm/base/ids.h"

namespace mallbots::broker {

enum class TopicState : std::uint8_t {
  kLive = 1,
  kDeleting = 2,  ///< told to go; its folders are removed at the latest by the next start
};

struct TopicEntry {
  TopicId id{};
  std::string name;  ///< UTF-8, checked by whoever made it
  TopicState state = TopicState::kLive;
  UnixMillis created_ms = 0;
  std::vector<PartitionId> partitions;  ///< index = PartitionIndex
  /// As the operator gave them, `segment.bytes` = "67108864"; unknown names are kept.
  std::vector<std::pair<std::string, std::string>> settings;
};

struct Catalogue {
  std::vector<TopicEntry> topics;
};

[[nodiscard]] std::vector<std::byte> encode_catalogue(const Catalogue& catalogue);
[[nodiscard]] Result<Catalogue> decode_catalogue(std::span<const std::byte> bytes);

[[nodiscard]] Result<Catalogue> load_catalogue(Disk& disk, const DataDirectory& data);
[[nodiscard]] Result<void> save_catalogue(Disk& disk, const DataDirectory& data,
                                          const Catalogue& catalogue);

/// Topic folders that no entry names: kept, for a person to decide; the broker reports them.
[[nodiscard]] Result<std::vector<std::string>> unknown_topic_folders(Disk& disk,
                                                                     const DataDirectory& data,
                                                                     const Catalogue& catalogue);

}  // namespace mallbots::broker
