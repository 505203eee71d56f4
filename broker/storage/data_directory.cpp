#include "broker/storage/data_directory.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "broker/io/folder.h"
#include "broker/storage/catalogue.h"
#include "broker/storage/codec.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {

namespace {

constexpr std::uint64_t kMarkerMagic = 0x3130'4B52'414D'4D03;  // "\3MMARK01"
constexpr std::uint64_t kCleanMagic = 0x3130'4E41'4C43'4D04;   // "\4MCLAN01"
constexpr std::uint32_t kDirectoryVersion = 1;
constexpr std::uint64_t kSmallFile = 4096;

std::string hex(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(value));
  return text;
}

Error named(const std::string& path, Error error) {
  error.detail = path + ": " + error.detail;
  return error;
}

Result<void> check_owner(const std::string& path, const FolderFacts& facts) {
  if (!facts.is_folder) return fail(ErrorCode::kWrongOwner, path + " is not a directory");
  if (facts.owner != own_user()) {
    return fail(ErrorCode::kWrongOwner, path + " belongs to user " + std::to_string(facts.owner) +
                                            ", the broker runs as " + std::to_string(own_user()));
  }
  if ((facts.mode & 0077) != 0) {
    char mode[16];
    std::snprintf(mode, sizeof(mode), "%04o", facts.mode);
    return fail(ErrorCode::kWrongOwner, path + " has mode " + mode + ", which lets others in");
  }
  return {};
}

/// What may stand in a directory that nobody has used yet.
bool is_empty(const std::vector<std::string>& names) {
  return std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return name == "lost+found" || name == "LOCK" || name == "MALLBOTS.tmp" ||
           name == "catalogue" || name == "catalogue.tmp";
  });
}

Result<void> read_marker(Disk& disk, DataDirectory& data, const std::string& path) {
  auto bytes = disk.read_file(path, kSmallFile);
  if (!bytes) return std::unexpected(std::move(bytes).error());
  auto payload = unseal(kMarkerMagic, kDirectoryVersion, *bytes);
  if (!payload) return std::unexpected(named(path, std::move(payload).error()));
  data.instance_id = ByteReader(*payload).get<std::uint64_t>();
  return {};
}

Result<void> write_marker(Disk& disk, DataDirectory& data, const std::string& path) {
  // The marker last: with it, everything that must never be missing is there.
  MALLBOTS_TRY(save_catalogue(disk, data, Catalogue{}));
  data.instance_id = random_id();
  data.created = true;
  ByteWriter out;
  out.put(data.instance_id);
  CRASH_POINT("storage.directory.marker");
  return disk.replace_file(path, seal(kMarkerMagic, kDirectoryVersion, out.bytes()));
}

std::string parent_of(const std::string& path) {
  const auto slash = path.find_last_not_of('/');
  const auto cut = path.rfind('/', slash);
  if (cut == std::string::npos) return ".";
  return cut == 0 ? "/" : path.substr(0, cut);
}

}  // namespace

std::string DataDirectory::topic_folder(TopicId topic) const {
  return path + "/topics/" + hex(static_cast<std::uint64_t>(topic));
}

std::string DataDirectory::partition_folder(TopicId topic, PartitionIndex partition) const {
  return topic_folder(topic) + "/" + std::to_string(partition);
}

Result<DataDirectory> open_data_directory(Disk& disk, const std::string& path,
                                          std::int64_t wait_ms) {
  DataDirectory data;
  data.path = path;
  auto facts = look_at_folder(path);
  if (!facts) return std::unexpected(std::move(facts).error());
  if (!facts->exists) {
    CRASH_POINT("storage.directory.make");
    MALLBOTS_TRY(disk.make_folder(path));
    MALLBOTS_TRY(disk.sync_folder(parent_of(path)));
    facts = look_at_folder(path);
    if (!facts) return std::unexpected(std::move(facts).error());
  }
  MALLBOTS_TRY(check_owner(path, *facts));
  auto names = disk.list(path);
  if (!names) return std::unexpected(std::move(names).error());
  const std::string marker = path + "/MALLBOTS";
  const bool ours = std::find(names->begin(), names->end(), "MALLBOTS") != names->end();
  if (!ours && !is_empty(*names)) {
    return fail(ErrorCode::kNoMarker,
                path + " holds " + names->front() + " but no MALLBOTS marker");
  }
  auto lock = lock_file(path + "/LOCK", Deadline::after_ms(wait_ms));
  if (!lock) return std::unexpected(std::move(lock).error());
  data.lock = std::move(*lock);
  // Two brokers may have met here: only the one with the lock looks again and writes.
  if (disk.exists(marker)) {
    MALLBOTS_TRY(read_marker(disk, data, marker));
  } else {
    MALLBOTS_TRY(write_marker(disk, data, marker));
  }
  CRASH_POINT("storage.directory.topics");
  MALLBOTS_TRY(disk.make_folder(path + "/topics"));
  MALLBOTS_TRY(disk.make_folder(data.spares_folder()));
  MALLBOTS_TRY(disk.sync_folder(path));
  return data;
}

Result<void> make_topic_folders(Disk& disk, const DataDirectory& data, TopicId topic,
                                PartitionIndex partitions) {
  CRASH_POINT("storage.topic.make-folder");
  MALLBOTS_TRY(disk.make_folder(data.topic_folder(topic)));
  for (PartitionIndex partition = 0; partition < partitions; ++partition) {
    CRASH_POINT("storage.topic.make-partition");
    MALLBOTS_TRY(disk.make_folder(data.partition_folder(topic, partition)));
  }
  MALLBOTS_TRY(disk.sync_folder(data.topic_folder(topic)));
  return disk.sync_folder(data.path + "/topics");
}

Result<void> remove_topic_folders(Disk& disk, const DataDirectory& data, TopicId topic) {
  const std::string folder = data.topic_folder(topic);
  if (!disk.exists(folder)) return {};
  auto partitions = disk.list(folder);
  if (!partitions) return std::unexpected(std::move(partitions).error());
  for (const std::string& partition : *partitions) {
    const std::string inner = folder + "/" + partition;
    auto files = disk.list(inner);
    if (!files) return std::unexpected(std::move(files).error());
    for (const std::string& file : *files) {
      CRASH_POINT("storage.topic.remove-file");
      MALLBOTS_TRY(disk.remove(inner + "/" + file));
    }
    CRASH_POINT("storage.topic.remove-partition");
    MALLBOTS_TRY(disk.remove_folder(inner));
  }
  CRASH_POINT("storage.topic.remove-folder");
  MALLBOTS_TRY(disk.remove_folder(folder));
  return disk.sync_folder(data.path + "/topics");
}

Result<void> write_clean_mark(Disk& disk, const DataDirectory& data, LogEpoch epoch) {
  ByteWriter out;
  out.put(epoch);
  CRASH_POINT("storage.clean.write");
  return disk.replace_file(data.path + "/CLEAN", seal(kCleanMagic, kDirectoryVersion, out.bytes()));
}

Result<std::optional<LogEpoch>> take_clean_mark(Disk& disk, const DataDirectory& data) {
  const std::string path = data.path + "/CLEAN";
  if (!disk.exists(path)) return std::nullopt;
  auto bytes = disk.read_file(path, kSmallFile);
  if (!bytes) return std::unexpected(std::move(bytes).error());
  CRASH_POINT("storage.clean.remove");
  MALLBOTS_TRY(disk.remove(path));
  MALLBOTS_TRY(disk.sync_folder(data.path));
  auto payload = unseal(kCleanMagic, kDirectoryVersion, *bytes);
  // A mark that does not check out is no mark: the start is then an unclean one, which loses
  // nothing.
  if (!payload) return std::nullopt;
  return ByteReader(*payload).get<LogEpoch>();
}

bool is_full(const SpaceInfo& space, const SpaceRule& rule, bool was_full) noexcept {
  const auto share =
      static_cast<std::uint64_t>(rule.reserve_share * static_cast<double>(space.total_bytes));
  const std::uint64_t reserve = std::min(rule.reserve_bytes, share);
  return space.free_bytes < (was_full ? 2 * reserve : reserve);
}

}  // namespace mallbots::broker
