#include "broker/storage/group_store.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "broker/storage/codec.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {

namespace {

constexpr std::uint64_t kBlockMagic = 0x3130'5052'474D'4D07;  // "\7MMGRP01"
constexpr std::uint32_t kGroupsVersion = 1;
constexpr std::size_t kBlock = kIoAlign;
constexpr std::uint64_t kGrownBytes = 4ULL << 20;
constexpr std::uint64_t kMaxFileBytes = 1ULL << 30;
constexpr const char* kPrefix = "groups.";

/// Every block stands alone: what a power cut tears is one flush's blocks.
struct BlockHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t payload_bytes;
  std::uint64_t file_number;
  std::uint64_t sequence;
  std::uint64_t check;  ///< XXH3-64 of the block with this field 0
};
static_assert(sizeof(BlockHeader) == 40);
constexpr std::size_t kPayload = kBlock - sizeof(BlockHeader);

enum class Entry : std::uint8_t {
  kGroup = 1,
  kPosition = 2,
  kNoPosition = 3,
  kNoGroup = 4,
};

GroupKey group_itself(const std::string& group) { return {group, TopicId{0}, ~PartitionIndex{0}}; }

bool is_group_itself(const GroupKey& key) {
  return key.topic == TopicId{0} && key.partition == ~PartitionIndex{0};
}

std::uint64_t check_of(std::span<const std::byte> block) {
  std::vector<std::byte> copy(block.begin(), block.end());
  std::memset(copy.data() + offsetof(BlockHeader, check), 0, sizeof(std::uint64_t));
  return xxh3(copy);
}

std::uint64_t number_of(const std::string& name) {
  if (!name.starts_with(kPrefix)) return 0;
  const std::string digits = name.substr(std::strlen(kPrefix));
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc{} && end == digits.data() + digits.size() ? number : 0;
}

}  // namespace

GroupStore::GroupStore(Disk& disk, std::string folder, GroupStoreListener& listener,
                       const GroupStoreOptions& options)
    : disk_(disk),
      folder_(std::move(folder)),
      listener_(listener),
      options_(options),
      retry_after_ns_(options.retry_first_ns) {}

std::string GroupStore::path_of(std::uint64_t number) const {
  return folder_ + "/" + kPrefix + std::to_string(number);
}

Result<std::unique_ptr<GroupStore>> GroupStore::open(Disk& disk, const std::string& folder,
                                                     GroupStoreListener& listener,
                                                     const GroupStoreOptions& options) {
  std::unique_ptr<GroupStore> store{new GroupStore(disk, folder, listener, options)};
  auto names = disk.list(folder);
  if (!names) return std::unexpected(std::move(names).error());
  std::vector<std::uint64_t> numbers;
  for (const std::string& name : *names) {
    if (name.starts_with(kPrefix)) store->old_files_.push_back(folder + "/" + name);
    if (const auto number = number_of(name); number != 0) numbers.push_back(number);
  }
  std::sort(numbers.rbegin(), numbers.rend());
  if (!numbers.empty()) store->file_number_ = numbers.front();
  bool readable = numbers.empty();
  for (const std::uint64_t number : numbers) {
    auto bytes = disk.read_file(store->path_of(number), kMaxFileBytes);
    if (!bytes) return std::unexpected(std::move(bytes).error());
    readable = store->replay(store->path_of(number), *bytes);
    if (readable) break;
  }
  if (!readable) {
    return fail(ErrorCode::kCorrupt,
                store->path_of(numbers.front()) + ": no block of it can be read");
  }
  return store;
}

/// False if nothing in it can be read.
bool GroupStore::replay(const std::string& name, std::span<const std::byte> bytes) {
  std::size_t good = 0;
  std::size_t bad = 0;
  std::size_t bad_before_good = 0;
  for (std::size_t at = 0; at + kBlock <= bytes.size(); at += kBlock) {
    const auto block = bytes.subspan(at, kBlock);
    BlockHeader header;
    std::memcpy(&header, block.data(), sizeof(header));
    const bool whole = header.magic == kBlockMagic && header.version == kGroupsVersion &&
                       header.payload_bytes <= kPayload && header.check == check_of(block);
    if (!whole) {
      ++bad;
      continue;
    }
    apply(block.subspan(sizeof(BlockHeader), header.payload_bytes));
    ++good;
    bad_before_good = bad;
  }
  if (bad_before_good > 0) {
    damage_ = name + ": " + std::to_string(bad_before_good) +
              " blocks of it do not check out; the positions in them are older or missing";
  }
  return good > 0 || bytes.empty();
}

void GroupStore::apply(std::span<const std::byte> payload) {
  ByteReader in(payload);
  while (in.ok() && !in.at_end()) {
    const auto kind = in.get<Entry>();
    const std::string name = in.get_text();
    if (!in.ok()) return;
    if (kind == Entry::kNoGroup) {
      groups_.erase(name);
      continue;
    }
    if (kind == Entry::kGroup) {
      groups_[name].generation = in.get<std::uint64_t>();
      continue;
    }
    const auto topic = TopicId{in.get<std::uint64_t>()};
    const auto partition = in.get<PartitionIndex>();
    if (kind == Entry::kNoPosition) {
      if (const auto it = groups_.find(name); it != groups_.end()) {
        it->second.positions.erase({topic, partition});
      }
      continue;
    }
    Position position;
    position.log_epoch = in.get<LogEpoch>();
    position.offset = in.get<Offset>();
    if (in.ok()) groups_[name].positions[{topic, partition}] = position;
  }
}

void GroupStore::set_generation(const std::string& group, std::uint64_t generation) {
  groups_[group].generation = generation;
  pending_.insert(group_itself(group));
}

void GroupStore::set(const GroupKey& key, Position position, Offset durable) {
  position.offset = std::min(position.offset, durable);
  auto [it, is_new] = groups_.try_emplace(key.group);
  if (is_new) pending_.insert(group_itself(key.group));
  const std::pair place{key.topic, key.partition};
  const auto stored = it->second.positions.find(place);
  if (stored != it->second.positions.end() && stored->second == position) return;
  it->second.positions.insert_or_assign(place, position);
  pending_.insert(key);
}

void GroupStore::remove_position(const GroupKey& key) {
  const auto it = groups_.find(key.group);
  if (it == groups_.end() || it->second.positions.erase({key.topic, key.partition}) == 0) return;
  pending_.insert(key);
}

void GroupStore::remove_group(const std::string& group) {
  if (groups_.erase(group) == 0) return;
  std::erase_if(pending_, [&group](const GroupKey& key) { return key.group == group; });
  removed_.insert(group);
}

void GroupStore::remove_topic(TopicId topic) {
  for (auto& [name, group] : groups_) {
    std::erase_if(group.positions, [&, &name = name](const auto& entry) {
      if (entry.first.first != topic) return false;
      pending_.insert({name, topic, entry.first.second});
      return true;
    });
  }
}

void GroupStore::write_entry(ByteWriter& out, const GroupKey& key) const {
  const auto group = groups_.find(key.group);
  if (group == groups_.end()) return;  // removed_ tells
  if (is_group_itself(key)) {
    out.put(Entry::kGroup);
    out.put_text(key.group);
    out.put(group->second.generation);
    return;
  }
  const auto position = group->second.positions.find({key.topic, key.partition});
  const bool there = position != group->second.positions.end();
  out.put(there ? Entry::kPosition : Entry::kNoPosition);
  out.put_text(key.group);
  out.put(key.topic);
  out.put(key.partition);
  if (!there) return;
  out.put(position->second.log_epoch);
  out.put(position->second.offset);
}

std::set<GroupKey> GroupStore::everything() const {
  std::set<GroupKey> keys;
  for (const auto& [name, group] : groups_) {
    keys.insert(group_itself(name));
    for (const auto& [place, position] : group.positions) {
      keys.insert({name, place.first, place.second});
    }
  }
  return keys;
}

/// Packs the entries into blocks_ and returns how many bytes of it are to be written.
std::uint64_t GroupStore::fill_blocks(const std::set<GroupKey>& keys, bool is_snapshot) {
  std::vector<std::vector<std::byte>> payloads(is_snapshot ? 1 : 0);  // a snapshot may be empty
  const auto add = [&payloads](ByteWriter& entry) {
    const auto& bytes = entry.bytes();
    if (bytes.empty()) return;
    if (payloads.empty() || payloads.back().size() + bytes.size() > kPayload) {
      payloads.emplace_back();
    }
    payloads.back().insert(payloads.back().end(), bytes.begin(), bytes.end());
  };
  if (!is_snapshot) {
    for (const std::string& group : removed_) {
      ByteWriter entry;
      entry.put(Entry::kNoGroup);
      entry.put_text(group);
      add(entry);
    }
  }
  removed_.clear();  // a failure leads to a snapshot, which needs them not
  for (const GroupKey& key : keys) {
    ByteWriter entry;
    write_entry(entry, key);
    add(entry);
  }
  const std::size_t bytes = payloads.size() * kBlock;
  blocks_ = AlignedBuffer{std::max(bytes, kBlock)};
  std::byte* at = blocks_.data();
  for (const auto& payload : payloads) {
    BlockHeader header{kBlockMagic,  kGroupsVersion, static_cast<std::uint32_t>(payload.size()),
                       file_number_, ++sequence_,    0};
    std::memcpy(at, &header, sizeof(header));
    if (!payload.empty()) std::memcpy(at + sizeof(header), payload.data(), payload.size());
    header.check = check_of({at, kBlock});
    std::memcpy(at, &header, sizeof(header));
    at += kBlock;
  }
  return bytes;
}

std::uint64_t GroupStore::flush() {
  if (busy_ || !dirty() || boot_now_ns() < retry_at_) return 0;
  in_flight_ = std::move(pending_);
  pending_.clear();
  const bool grown = file_bytes_ > kGrownBytes && file_bytes_ > 4 * snapshot_bytes_;
  making_file_ = fresh_needed_ || grown;
  if (making_file_) {
    if (file_) old_files_.push_back(file_.path());
    file_ = File{};
    const std::string path = path_of(++file_number_) + ".new";
    CRASH_POINT("storage.groups.create");
    (void)disk_.remove(path);
    auto file = disk_.open(path, OpenMode::kCreateWrite);
    if (!file) {
      ++ticket_;
      flush_failed(file.error());
      return 0;
    }
    file_ = std::move(*file);
    file_bytes_ = 0;
  }
  const std::uint64_t bytes = fill_blocks(making_file_ ? everything() : in_flight_, making_file_);
  if (bytes == 0) {  // made and removed again in between
    in_flight_.clear();
    return 0;
  }
  busy_ = true;
  const iovec piece{blocks_.data(), bytes};
  CRASH_POINT("storage.groups.write");
  disk_.submit({IoKind::kWriteFlush, &file_, file_bytes_, {&piece, 1}, this, bytes});
  return ++ticket_;
}

/// The fresh file is flushed: give it its name, durably, before the old ones go.
Result<void> GroupStore::put_in_place() {
  const std::string path = path_of(file_number_);
  CRASH_POINT("storage.groups.rename");
  MALLBOTS_TRY(disk_.rename(path + ".new", path));
  file_.renamed(path);
  CRASH_POINT("storage.groups.sync-folder");
  MALLBOTS_TRY(disk_.sync_folder(folder_));
  for (const std::string& old : old_files_) {
    CRASH_POINT("storage.groups.remove-old");
    (void)disk_.remove(old);  // an old file beside a newer one is not read
  }
  old_files_.clear();
  return {};
}

void GroupStore::io_done(std::uint64_t tag, int error) {
  busy_ = false;
  Result<void> result;
  if (error != 0) result = std::unexpected(file_error("write", file_.path(), error));
  if (result && making_file_) result = put_in_place();
  if (!result) return flush_failed(result.error());
  file_bytes_ += tag;
  if (making_file_) snapshot_bytes_ = tag;
  fresh_needed_ = failed_ = false;
  retry_after_ns_ = options_.retry_first_ns;
  in_flight_.clear();
  listener_.flush_done(ticket_, nullptr);
}

/// The file is never flushed again. The next takes the number of a fresh one that failed, and its
/// place: what it holds was promised to nobody, and those before it are still there.
void GroupStore::flush_failed(const Error& error) {
  if (making_file_) {
    file_ = File{};
    --file_number_;
  }
  fresh_needed_ = failed_ = true;
  retry_at_ = boot_now_ns() + retry_after_ns_;
  retry_after_ns_ = std::min(2 * retry_after_ns_, options_.retry_last_ns);
  pending_.merge(in_flight_);
  in_flight_.clear();
  listener_.flush_done(ticket_, &error);
}

}  // namespace mallbots::broker
