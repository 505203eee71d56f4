// StreamTable: the index of one partition's streams behind a lock, with how much of the log is in
// it. The sequencer decides and notes by it; the control thread copies it into checkpoints and
// lists it, a little at a time, so that the sequencer never waits for more than some microseconds.
//
// Any thread.
#pragma once

#include <mutex>
#include <vector>

#include "broker/streams/checkpoint_format.h"
#include "broker/streams/stream_rules.h"
#include "shm/layout/control.h"

namespace mallbots::broker {

class StreamTable {
 public:
  /// What `index` knows of the log below `end`. Before anybody else calls.
  void begin(std::unique_ptr<StreamIndex> index, Offset end);

  [[nodiscard]] StreamState state_of(const StreamKey& key) const;
  /// The same into `state`, and what end() is then.
  [[nodiscard]] Offset look_up(const StreamKey& key, StreamState& state) const;
  /// The log goes up to `end` now, and with it the stream is so.
  void put(const StreamKey& key, const StreamState& state, Offset end);

  /// First offset whose record is not in the index.
  [[nodiscard]] Offset end() const;
  [[nodiscard]] std::uint32_t streams() const;
  [[nodiscard]] std::uint64_t memory_bytes() const;

  /// Fills a block with streams from number `next` on and moves it behind them; returns what end()
  /// was after the last one. False in `more`: there are no further ones.
  [[nodiscard]] Offset fill(CheckpointBlock& block, std::uint32_t& next, bool& more) const;
  /// Streams from `from` on, `count` at most.
  [[nodiscard]] shm::ListStreamsReply list(std::uint32_t from, std::uint32_t count) const;

 private:
  mutable std::mutex lock_;
  std::unique_ptr<StreamIndex> index_ = std::make_unique<StreamIndex>();
  Offset end_ = 0;
};

}  // namespace mallbots::broker
