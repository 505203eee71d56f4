// RecordFinder: single records of one topic by their offsets, in memory or in files. What an
// EventStore follows a stream with.
//
// From its owner's thread. A message is valid until the next call. Waits only for the broker.
// Errors: Evicted (retention took it), Truncated (a power cut did), Damaged, Timeout, TopicGone,
// ConnectionLost, and as Cursor.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "clients/internal/readings.h"

namespace mallbots::client {

class RecordFinder {
 public:
  RecordFinder(Link& link, std::string topic);

  [[nodiscard]] Result<const Message*> at(PartitionIndex partition, Offset offset,
                                          Deadline deadline);

 private:
  [[nodiscard]] Result<Cursor*> cursor_of(PartitionIndex partition, Deadline deadline);
  [[nodiscard]] Result<void> attach(Deadline deadline);

  std::string name_;
  Readings readings_;
  std::vector<Message> out_;
};

}  // namespace mallbots::client
