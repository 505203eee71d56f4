// GroupStore: positions of consumer groups on the disk. A log of changes in 4 KiB blocks, replayed
// at start and rewritten whole into a fresh file at start and when it has grown. Only what changed
// since the last flush is written, so that a flush costs a block or two.
//
// Broker's thread alone; flush() never blocks but for the rewrite (a new file: create, write,
// flush, rename, sync of the folder), which happens once per 4 MiB of changes.
//
// Promise: flush_done tells which changes a power cut cannot take back: all that were set before
// the flush() it answers. A lost or torn last write loses these changes only, never older ones. A
// failed write or flush leaves the file alone and rewrites all into a fresh one with the next
// flush(). Never above the durable position: set() is told it and takes the smaller.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "broker/io/disk.h"
#include "shm/base/ids.h"

namespace mallbots::broker {

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
  /// Reads `folder`/groups.N (the newest whole one). Errors: Corrupt (files are there, none is
  /// readable), WrongVersion, Io.
  [[nodiscard]] static Result<std::unique_ptr<GroupStore>> open(Disk& disk,
                                                                const std::string& folder,
                                                                GroupStoreListener& listener);

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

  /// True if something was set since the last flush().
  [[nodiscard]] bool dirty() const noexcept { return !pending_.empty(); }
  [[nodiscard]] bool busy() const noexcept { return busy_; }
  /// Starts writing what changed; the ticket, or 0 if there was nothing or a flush is on its way.
  std::uint64_t flush();

 private:
  struct Change;
  GroupStore(Disk& disk, std::string folder, GroupStoreListener& listener);
  void io_done(std::uint64_t tag, int error) override;
  [[nodiscard]] Result<void> replay(std::span<const std::byte> bytes, bool& whole);
  [[nodiscard]] Result<void> rewrite();
  void note(const std::string& group, TopicId topic, PartitionIndex partition);

  Disk& disk_;
  std::string folder_;
  GroupStoreListener& listener_;
  std::map<std::string, Group, std::less<>> groups_;
  /// What changed: (group, topic, partition); topic 0 with partition ~0 is the group itself.
  std::map<GroupKey, bool> pending_;
  std::map<GroupKey, bool> in_flight_;
  File file_;
  std::uint64_t file_number_ = 0;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t sequence_ = 0;
  AlignedBuffer block_;
  bool busy_ = false;
  bool fresh_needed_ = true;
  std::uint64_t ticket_ = 0;
};

}  // namespace mallbots::broker
