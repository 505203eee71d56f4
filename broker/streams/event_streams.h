// EventStreams: the streams of all event topics of an instance; what the broker's loop, the rings
// and the commands ask.
//
// Control thread. Errors of start() and of(): as PartitionStreams::start.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "broker/log/topics.h"
#include "broker/streams/partition_streams.h"

namespace mallbots::broker {

class EventStreams {
 public:
  struct Parts {
    Disk& disk;
    const DataDirectory& data;
    Topics& topics;
    std::uint64_t memory_max_bytes;  ///< of the instance, the index included
  };
  explicit EventStreams(const Parts& parts) : parts_(parts) {}

  /// The streams of every event topic there is. `log_line` gets one sentence per finding.
  [[nodiscard]] Result<void> start(const std::function<void(const std::string&)>& log_line);
  /// Of one partition; those of a topic that was made since are begun.
  [[nodiscard]] Result<PartitionStreams*> of(Topic& topic, PartitionIndex partition);
  /// What the sequencer asks; null if the topic is none of events, or its streams cannot be had
  /// (told by on_trouble).
  [[nodiscard]] std::shared_ptr<Admission> admission_of(Topic& topic, PartitionIndex partition);
  /// Right after Topics::remove(), and after its rings are gone.
  void topic_gone(const Topic& topic);

  /// Checkpoints; whether streams may still be added.
  void duty(BootNanos now);
  /// After the log has been drained: true when the last checkpoints are done.
  [[nodiscard]] bool drain(BootNanos now);

  [[nodiscard]] std::uint64_t memory_bytes() const;
  [[nodiscard]] std::uint64_t memory_bytes(const Topic& topic) const;
  [[nodiscard]] std::uint64_t streams() const;
  /// By the start, of the log.
  [[nodiscard]] std::uint64_t records_read() const;

  void on_trouble(std::function<void(const std::string&)> say) { say_ = std::move(say); }

 private:
  using Key = std::pair<TopicId, PartitionIndex>;

  Parts parts_;
  std::map<Key, std::unique_ptr<PartitionStreams>> streams_;
  std::vector<std::unique_ptr<PartitionStreams>> dying_;  ///< with a request in flight
  BootNanos next_memory_look_ = 0;
  std::function<void(const std::string&)> say_;
};

}  // namespace mallbots::broker
