// SparePool: a few files of zeros, written and flushed ahead of need, shared by all partitions of
// an instance. A new segment takes one by renaming it, so that rolling neither allocates blocks nor
// changes sizes on the hot path. Zero-written, not fallocated: an unwritten extent costs a journal
// commit at its first flush.
//
// On the broker's thread alone. take() is one rename; refill() submits writes and goes on by
// completions. An empty pool is no failure: the segment is then made from nothing, which is slower.
// A power cut leaves whole, half-written or no spares; open() removes what it finds (they hold
// nothing).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "broker/io/disk.h"
#include "shm/base/clock.h"

namespace mallbots::broker {

/// So many bytes of zeros as pieces of a write: one shared block, named again and again.
[[nodiscard]] std::vector<iovec> zero_pieces(std::uint64_t bytes);

struct SparePoolOptions {
  std::string folder;  ///< DATA/spares; made if missing; same file system as the partitions
  std::size_t files = 2;
  std::uint64_t zero_bytes = 4ULL << 20;  ///< of each, the header block included
  /// How long refill() rests after a failure: twice as long after each one in a row.
  BootNanos retry_first_ns = 100 * kMillisecond;
  BootNanos retry_last_ns = 5 * kSecond;
};

class SparePool final : private IoHandler {
 public:
  /// Empties the folder. Errors as of Disk.
  [[nodiscard]] static Result<std::unique_ptr<SparePool>> open(Disk& disk,
                                                               SparePoolOptions options);

  /// An open file of zeros at `path`, which did not exist: a renamed spare, or a new empty file.
  /// The name is durable only after a sync of its folder.
  struct Taken {
    File file;
    std::uint64_t zero_bytes = 0;  ///< how much of it is written
  };
  [[nodiscard]] Result<Taken> take(const std::string& path);

  /// Starts what is missing to be full again if the disk is idle: called while it has room. Rests
  /// after a failure, so that its own completion does not start the next one.
  void refill();
  [[nodiscard]] std::size_t ready() const noexcept { return ready_.size(); }
  [[nodiscard]] bool idle() const noexcept { return !making_; }

 private:
  SparePool(Disk& disk, SparePoolOptions options);
  void io_done(std::uint64_t tag, int error) override;
  void rest();

  struct Spare {
    File file;
    std::string path;
  };
  Disk& disk_;
  SparePoolOptions options_;
  std::vector<Spare> ready_;
  Spare in_making_;
  bool making_ = false;
  std::uint64_t next_name_ = 0;
  BootNanos retry_at_ = 0;
  BootNanos retry_after_ns_;
};

}  // namespace mallbots::broker
