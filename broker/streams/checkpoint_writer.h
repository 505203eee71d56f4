// CheckpointWriter: puts a StreamTable on the disk while it goes on changing. CheckpointLoader
// reads it again. broker/RECOVERY.md, "The index of streams".
//
//   idle ──begin──▶ writing ──last block──▶ waiting ──durable──▶ flushing ──▶ naming ──▶ idle
//                      │                     (for the log)          │            │
//                      └──────────── a failure: the file goes, ─────┴────────────┘
//                                    the next one is tried later
//
// Control thread alone: duty() on turns of its loop, completions through Disk::reap() on the same
// thread. Creating and renaming the file are blocking calls, once a checkpoint each. A crash
// anywhere leaves the checkpoint before it, or the whole new one.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "broker/io/disk.h"
#include "broker/streams/stream_table.h"
#include "shm/base/clock.h"

namespace mallbots::broker {

class CheckpointWriter final : private IoHandler {
 public:
  /// `path`: of the finished file. disk and table outlive it.
  CheckpointWriter(Disk& disk, const StreamTable& table, std::string path, PartitionId partition);
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;
  /// The caller has waited until it is not busy.
  ~CheckpointWriter() = default;

  /// Starts a checkpoint of what the table knows from now on; not while one is under way. `epoch`:
  /// of the log. Errors: as Disk::open.
  [[nodiscard]] Result<void> begin(LogEpoch epoch);
  /// Goes on if the log is durable far enough. True if a disk request was submitted.
  bool duty(Offset durable);

  /// A request to the disk is in flight.
  [[nodiscard]] bool busy() const noexcept { return busy_; }
  [[nodiscard]] bool idle() const noexcept { return state_ == State::kIdle; }
  /// `from` of the last checkpoint that is whole on the disk.
  [[nodiscard]] std::optional<Offset> done() const noexcept { return done_; }
  void note_loaded(Offset from) noexcept { done_ = from; }
  /// Why the last one was given up; taken once.
  [[nodiscard]] std::optional<Error> take_failure() noexcept {
    return std::exchange(failure_, std::nullopt);
  }

 private:
  enum class State : std::uint8_t { kIdle, kWriting, kWaiting, kFlushing, kNaming };
  void io_done(std::uint64_t tag, int error) override;
  void write_next();
  void put_in_place();
  void give_up(Error error);

  Disk& disk_;
  const StreamTable& table_;
  std::string path_;
  CheckpointFrame frame_;
  State state_ = State::kIdle;
  bool busy_ = false;
  File file_;
  File folder_;
  AlignedBuffer buffer_;
  std::uint32_t block_ = 0;
  std::uint32_t next_ = 0;  ///< stream to be written next
  bool more_ = true;
  Offset end_ = 0;
  std::optional<Offset> done_;
  std::optional<Error> failure_;
};

struct LoadedCheckpoint {
  std::unique_ptr<StreamIndex> index;
  Offset from = 0;  ///< the log is to be applied from here on
  Offset end = 0;
  LogEpoch log_epoch = 0;
};
/// Nothing: there is no checkpoint. Errors: Corrupt, WrongVersion, Io: the log tells everything
/// that it tells.
[[nodiscard]] Result<std::optional<LoadedCheckpoint>> load_checkpoint(Disk& disk,
                                                                      const std::string& path,
                                                                      PartitionId partition);

}  // namespace mallbots::broker
