// PartitionStreams: the streams of one partition of an event topic, from the start of the broker to
// its end: index built from checkpoint and log, the admission that the sequencer asks, checkpoints
// now and then.
//
// Control thread, but for admission(), which is the sequencer's. start() blocks: about a second for
// a million streams and as many records behind the checkpoint.
//
// Promise: when start() returns, the index has every committed record of the partition. Retention
// takes no record that no checkpoint covers; when it waits for one, one is begun. A checkpoint that
// is missing, damaged or of another log costs time, and what only it knew, and is told. Errors of
// start(): Io, NotPermitted (files of the log).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "broker/log/partition.h"
#include "broker/storage/epoch_log.h"
#include "broker/streams/checkpoint_writer.h"
#include "broker/streams/stream_admission.h"

namespace mallbots::broker {

/// What a start did, for log and tests.
struct StreamsStart {
  bool from_checkpoint = false;
  Offset from = 0;            ///< the log was read from here
  std::uint64_t records = 0;  ///< applied
  std::string finding;        ///< what was wrong; empty: nothing
};

class PartitionStreams {
 public:
  struct Parts {
    Disk& disk;
    Partition& partition;
    const EpochLog& epochs;
    std::string folder;  ///< of the partition
  };
  [[nodiscard]] static Result<std::unique_ptr<PartitionStreams>> start(const Parts& parts);

  [[nodiscard]] const std::shared_ptr<StreamAdmission>& admission() const noexcept {
    return admission_;
  }
  [[nodiscard]] const StreamTable& table() const noexcept { return *table_; }
  [[nodiscard]] const StreamsStart& how_started() const noexcept { return how_started_; }

  /// Begins a checkpoint when one is due, goes on with the one under way. Submits requests, the
  /// caller kicks. A failure, once: what to tell.
  [[nodiscard]] std::optional<Error> duty(BootNanos now);
  /// The log is closed and durable: true once a last checkpoint is done, or failed.
  [[nodiscard]] bool drain(BootNanos now);
  [[nodiscard]] bool busy() const noexcept { return writer_.busy(); }

  /// Records after which a checkpoint is due; more if there are more streams.
  static constexpr std::uint64_t kCheckpointRecords = 262'144;

 private:
  explicit PartitionStreams(const Parts& parts);
  [[nodiscard]] std::unique_ptr<StreamIndex> load(Offset& from);
  [[nodiscard]] Result<void> read_log(StreamIndex& index, Offset from);
  [[nodiscard]] bool is_due(std::uint64_t records) const;
  void bound_retention();

  Parts parts_;
  /// Shared with the admission: the sequencer may hold that longer than this lives.
  std::shared_ptr<StreamTable> table_;
  std::shared_ptr<StreamAdmission> admission_;
  CheckpointWriter writer_;
  StreamsStart how_started_;
  BootNanos not_before_ = 0;
  bool last_done_ = false;
};

}  // namespace mallbots::broker
