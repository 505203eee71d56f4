// The data directory: its marker, its lock, and the note of a clean stop. FORMAT.md, "Data
// directory".
//
//   MALLBOTS   marker with format version and instance id     LOCK        flock of the broker
//   CLEAN      only between a clean stop and the next start    catalogue   topics and settings
//   epochs     starts that took records back                   groups.*    positions of groups
//   producers  names of producers and their sequences
//   spares/    files of zeros                                  topics/TOPIC-ID/PARTITION/*.seg
//
// open_data_directory() at start-up, before anything else; the lock lives as long as the value.
// Errors, each naming the directory and why: NoMarker (not empty and not ours: is the disk
// mounted?), WrongVersion, WrongOwner (other user, or open to group or others), InUse (names the
// pid), Io.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "broker/io/disk.h"
#include "shm/base/ids.h"
#include "shm/region/fd.h"

namespace mallbots::broker {

struct DataDirectory {
  std::string path;
  std::uint64_t instance_id = 0;  ///< random, of when the directory was made
  bool created = false;           ///< this call made it
  shm::UniqueFd lock;

  [[nodiscard]] std::string catalogue_path() const { return path + "/catalogue"; }
  [[nodiscard]] std::string epochs_path() const { return path + "/epochs"; }
  [[nodiscard]] std::string producers_path() const { return path + "/producers"; }
  [[nodiscard]] std::string spares_folder() const { return path + "/spares"; }
  [[nodiscard]] std::string topic_folder(TopicId topic) const;
  [[nodiscard]] std::string partition_folder(TopicId topic, PartitionIndex partition) const;
};

/// Makes an absent or empty directory a data directory (mode 0700); opens and locks ours.
/// `wait_ms`: how long to wait for the lock of a broker that is draining.
[[nodiscard]] Result<DataDirectory> open_data_directory(Disk& disk, const std::string& path,
                                                        std::int64_t wait_ms = 0);

/// Makes the folders of a topic and syncs them. Safe to repeat.
[[nodiscard]] Result<void> make_topic_folders(Disk& disk, const DataDirectory& data, TopicId topic,
                                              PartitionIndex partitions);
/// Removes the folder of a topic and all in it; safe to repeat after a crash half-way.
[[nodiscard]] Result<void> remove_topic_folders(Disk& disk, const DataDirectory& data,
                                                TopicId topic);

/// Says that everything was persisted and closed. Last act of a clean stop.
[[nodiscard]] Result<void> write_clean_mark(Disk& disk, const DataDirectory& data, LogEpoch epoch);
/// The epoch of the clean stop, and removes the mark durably; nothing if the stop was not clean.
/// First act of a start, before anything may be written.
[[nodiscard]] Result<std::optional<LogEpoch>> take_clean_mark(Disk& disk,
                                                              const DataDirectory& data);

/// When to refuse producers so that deletion, footers and positions still have room.
struct SpaceRule {
  std::uint64_t reserve_bytes = 256ULL << 20;
  double reserve_share = 0.02;  ///< of the file system; the smaller of the two counts
};
/// True: refuse appends. `was_full` gives hysteresis: back to normal at twice the reserve.
[[nodiscard]] bool is_full(const SpaceInfo& space, const SpaceRule& rule, bool was_full) noexcept;

}  // namespace mallbots::broker
