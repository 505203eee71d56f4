// GroupStore: positions of consumer groups on the disk. A log of changes in 4 KiB blocks, replayed
// at start and rewritten whole into a fresh file at start and when it has grown. Only what changed
// since the last flush is written, so that a flush costs a block or two.
//
// Broker's thread alone; flush() never blocks but for the rewrite (a new file: create, write,
// flush, rename, sync of the folder), which happens once per 4 MiB of changes.
//
// Promise: flush_done tells which changes a power cut cannot take back: all that were set before
// the flush() it answers. A lost or torn last write loses these changes only, never older ones. A
// file whose write or flush failed is never written again: a flush() at or after retry_at()
// rewrites all into a fresh one, and a fresh one that fails is overwritten by the next: attempts
// leave one file at most. Never above the durable position: set() is told it and takes the smaller.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "broker/io/disk.h"
#include "shm/base/clock.h"
#include "shm/base/ids.h"

namespace mallbots::broker {

class ByteWriter;

/// How long a failed flush() rests: twice as long after each failure in a row.
struct GroupStoreOptions {
  BootNanos retry_first_ns = 100 * kMillisecond;
  BootNanos retry_last_ns = 5 * kSecond;
};

class GroupStoreListener {
 public:
  /// Everything up to and including the flush() that returned this ticket is durable, or, with an
  /// error, is not and will be tried again by the next flush().
  virtual void flush_done(std::uint64_t ticket, const Error* error) = 0;

 protected:
  ~GroupStoreListener() = default;
};

struct GroupKey {
  std::string group;
  TopicId topic{};
  PartitionIndex partition = 0;
  friend auto operator<=>(const GroupKey&, const GroupKey&) = default;
};

class GroupStore final : private IoHandler {
 public:
  /// Reads `folder`/groups.N (the newest readable one). Errors: Corrupt (files are there, none is
  /// readable), WrongVersion, Io. Damaged blocks of a readable file are left out: damage().
  [[nodiscard]] static Result<std::unique_ptr<GroupStore>> open(
      Disk& disk, const std::string& folder, GroupStoreListener& listener,
      const GroupStoreOptions& options = {});

  struct Group {
    std::uint64_t generation = 0;  ///< of the group, so that it rises over restarts
    std::map<std::pair<TopicId, PartitionIndex>, Position> positions;
  };
  [[nodiscard]] const std::map<std::string, Group, std::less<>>& groups() const noexcept {
    return groups_;
  }

  /// Makes the group if it is new. name: 1 to 200 bytes.
  void set_generation(const std::string& group, std::uint64_t generation);
  /// `durable` = {epoch of the log, durable offset}; a position above it is stored as it.
  void set(const GroupKey& key, Position position, Offset durable);
  void remove_position(const GroupKey& key);
  void remove_group(const std::string& group);
  void remove_topic(TopicId topic);

  /// True if something was set since the last flush(), or that one failed.
  [[nodiscard]] bool dirty() const noexcept {
    return !pending_.empty() || !removed_.empty() || failed_;
  }
  [[nodiscard]] bool busy() const noexcept { return busy_; }
  /// Starts writing what changed; the ticket, or 0 if there was nothing, a flush is on its way, or
  /// it is not yet retry_at().
  std::uint64_t flush();
  [[nodiscard]] BootNanos retry_at() const noexcept { return retry_at_; }

  /// What open() could not read: empty if all is well.
  [[nodiscard]] const std::string& damage() const noexcept { return damage_; }

 private:
  GroupStore(Disk& disk, std::string folder, GroupStoreListener& listener,
             const GroupStoreOptions& options);
  void io_done(std::uint64_t tag, int error) override;
  [[nodiscard]] bool replay(const std::string& name, std::span<const std::byte> bytes);
  void apply(std::span<const std::byte> payload);
  [[nodiscard]] Result<void> put_in_place();
  void flush_failed(const Error& error);
  void write_entry(ByteWriter& out, const GroupKey& key) const;
  [[nodiscard]] std::uint64_t fill_blocks(const std::set<GroupKey>& keys, bool is_snapshot);
  [[nodiscard]] std::set<GroupKey> everything() const;
  [[nodiscard]] std::string path_of(std::uint64_t number) const;

  Disk& disk_;
  std::string folder_;
  GroupStoreListener& listener_;
  GroupStoreOptions options_;
  std::map<std::string, Group, std::less<>> groups_;
  /// What changed. Topic 0 with partition ~0 stands for the group itself.
  std::set<GroupKey> pending_;
  std::set<GroupKey> in_flight_;
  /// Removed since the last flush, perhaps made anew: said before everything else.
  std::set<std::string> removed_;
  File file_;
  std::uint64_t file_number_ = 0;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t snapshot_bytes_ = 0;
  std::uint64_t sequence_ = 0;
  AlignedBuffer blocks_;
  bool busy_ = false;
  /// What was removed is in no list any more, only missing in the next snapshot.
  bool failed_ = false;
  bool making_file_ = false;
  bool fresh_needed_ = true;
  BootNanos retry_at_ = 0;
  BootNanos retry_after_ns_;
  std::uint64_t ticket_ = 0;
  std::string damage_;
  std::vector<std::string> old_files_;
};

}  // namespace mallbots::broker
