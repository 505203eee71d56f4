// FaultyDisk: a Disk in front of a real one, with a recording of everything that passes, faults on
// demand, and the power to say what a power cut would have left at any moment.
//
//   faults     the N-th write or flush fails (EIO, ENOSPC), is torn or short; a flush is swallowed;
//   a
//              completion is published before the write was done; a write is held back
//   recording  events in order: write, created name, renamed, removed, folder synced, with the
//   event
//              from which a power cut could not take each one back any more
//   cut        the folder as a device could hold it after losing power at event K: what was flushed
//   is
//              whole, of the rest any 512-byte sector may be there or not; names survive in order
//
// One thread, but for control operations of recovery, which are locked.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "broker/io/disk.h"

namespace mallbots::test {

/// What to do to which request. Counted over all asynchronous requests of its sort, from 1.
struct Fault {
  enum Sort : std::uint8_t { kWrites, kFlushes, kFolderSyncs };
  enum Effect : std::uint8_t {
    kError,         ///< nothing reaches the file; the request fails with `error`
    kTornError,     ///< some sectors reach the file; the request fails with `error`
    kErrorAfter,    ///< all reaches the file; the request fails with `error`
    kDropFlush,     ///< the write is done, its flush swallowed, the request succeeds
    kPublishEarly,  ///< the request succeeds before anything is done (done at the next reap)
    kHold,          ///< nothing happens until release()
  };
  Sort sort = kWrites;
  std::uint64_t first = 1;  ///< the N-th
  std::uint64_t last = ~std::uint64_t{0};
  Effect effect = kError;
  int error = 5;  // EIO
};

class FaultyDisk final : public broker::Disk {
 public:
  explicit FaultyDisk(broker::Disk& inner);
  ~FaultyDisk() override;

  void add(const Fault& fault) { faults_.push_back(fault); }
  void clear_faults() { faults_.clear(); }
  /// Lets the held requests go on now.
  void release();
  [[nodiscard]] std::size_t held() const noexcept { return held_.size(); }
  /// Control operations fail with this from now on; 0: none.
  void fail_control(int error) { control_error_ = error; }
  /// Blocking syncs of folders, replace_file's behind its rename among them, fail with this from
  /// now on; 0: none.
  void fail_folder_syncs(int error) { folder_error_ = error; }

  [[nodiscard]] std::uint64_t writes() const noexcept { return writes_; }
  [[nodiscard]] std::uint64_t flushes() const noexcept { return flushes_; }
  /// Flushes that were asked for on a file after one of its writes or flushes had failed.
  [[nodiscard]] std::uint64_t flushes_after_failure() const noexcept {
    return flushes_after_failure_;
  }
  /// Writes into files that this disk did not create.
  [[nodiscard]] std::uint64_t foreign_writes() const noexcept { return foreign_writes_; }

  // --- power cut
  /// Remembers what is in `folder` (and below) as the state before event 0.
  void record(const std::string& folder);
  /// Events so far: the moment "now".
  [[nodiscard]] std::size_t now() const noexcept { return events_.size(); }
  /// Builds, in the empty folder `into`, what the recorded folder could hold after a cut at event
  /// `moment`.
  void cut(std::size_t moment, std::mt19937_64& dice, const std::string& into) const;

  // --- Disk
  void submit(const broker::IoRequest& request) override;
  void kick() override { inner_.kick(); }
  int completion_fd() const noexcept override { return inner_.completion_fd(); }
  std::size_t reap() override;
  std::size_t in_flight() const noexcept override { return in_flight_; }
  std::string engine() const override { return "faulty " + inner_.engine(); }
  Result<broker::File> open(const std::string& path, broker::OpenMode mode) override;
  Result<void> make_folder(const std::string& path) override;
  Result<void> sync_folder(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> remove_folder(const std::string& path) override;
  Result<void> truncate(const broker::File& file, std::uint64_t bytes) override;
  Result<void> flush_and_forget(const broker::File& file) override;
  Result<std::vector<std::string>> list(const std::string& folder) override;
  Result<std::uint64_t> size_of(const broker::File& file) override;
  Result<std::size_t> read(const broker::File& file, std::uint64_t offset,
                           std::span<std::byte> into) override;
  Result<std::vector<std::byte>> read_file(const std::string& path, std::uint64_t limit) override;
  Result<void> replace_file(const std::string& path, std::span<const std::byte> content) override;
  bool exists(const std::string& path) override;
  Result<broker::SpaceInfo> space(const std::string& path) override;

 private:
  static constexpr std::size_t kNever = ~std::size_t{0};
  struct Event {
    enum Kind : std::uint8_t { kCreate, kWrite, kTruncate, kRename, kRemove, kMark };
    Kind kind = kMark;
    int inode = 0;
    std::string path{};
    std::string to{};
    std::uint64_t offset = 0;
    std::vector<std::byte> bytes{};
    std::size_t done_at = kNever;  ///< event from which the call had returned
    std::size_t safe_at = kNever;  ///< event from which a cut cannot undo it
  };
  class Passing;

  [[nodiscard]] Result<void> folder_sync(const std::string& path) const;
  [[nodiscard]] const Fault* fault_for(Fault::Sort sort, std::uint64_t number) const;
  void perform(std::unique_ptr<Passing> passing);
  void complete(Passing& passing, int error);
  std::size_t add_event(Event event);
  [[nodiscard]] int inode_of(const std::string& path);
  void file_flushed(int inode, std::size_t submitted_at);
  void folder_flushed(const std::string& folder, std::size_t submitted_at);
  [[nodiscard]] Result<void> control(const char* call, const std::string& path) const;

  broker::Disk& inner_;
  std::vector<Fault> faults_;
  std::deque<std::unique_ptr<Passing>> held_;
  std::vector<std::unique_ptr<Passing>> passing_;
  std::deque<std::pair<Passing*, int>> early_;  ///< told at the next reap
  std::size_t in_flight_ = 0;
  std::uint64_t writes_ = 0;
  std::uint64_t flushes_ = 0;
  std::uint64_t folder_syncs_ = 0;
  std::uint64_t flushes_after_failure_ = 0;
  std::uint64_t foreign_writes_ = 0;
  int control_error_ = 0;
  int folder_error_ = 0;

  mutable std::recursive_mutex mutex_;
  std::string root_;
  std::vector<Event> events_;
  std::map<std::string, int> names_;
  std::map<int, bool> failed_;
  std::map<int, bool> created_here_;
  std::map<std::string, std::vector<std::byte>> before_;
  std::vector<std::string> folders_;
  int next_inode_ = 1;
};

}  // namespace mallbots::test
