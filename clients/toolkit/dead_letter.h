// Dead letters: where messages go that a group cannot handle, and what they say there.
//
// The topic of the dead letters is TOPIC.GROUP.dlq. A dead letter is the message itself (key,
// payload, headers, trace) and the headers below; replaying it means publishing it to `dlq.topic`
// without them. Its failure fingerprint, by which letters are counted together, is
// (dlq.handler, dlq.type).
//
// Who calls: the buses and whoever reads dead letters; any thread. No errors of its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "clients/message.h"
#include "clients/producer.h"
#include "clients/toolkit/bus.h"
#include "shm/base/dead_letter.h"

namespace mallbots::toolkit {

using mallbots::kDeadAttempts;
using mallbots::kDeadFirstText;
using mallbots::kDeadFirstTime;
using mallbots::kDeadFirstType;
using mallbots::kDeadGroup;
using mallbots::kDeadHandler;
using mallbots::kDeadLastTime;
using mallbots::kDeadLetterPrefix;
using mallbots::kDeadOffset;
using mallbots::kDeadPartition;
using mallbots::kDeadReason;
using mallbots::kDeadText;
using mallbots::kDeadTopic;
using mallbots::kDeadType;

enum class DeadReason : std::uint8_t { kRejected, kAttempts };

/// What happened to a message before it died.
struct Obituary {
  std::string group;
  DeadReason reason = DeadReason::kRejected;
  std::uint32_t attempts = 0;
  Failure first;
  Failure last;
  UnixMillis first_time_ms = 0;
  UnixMillis last_time_ms = 0;
};

/// BadTopicName at its first use if that has more than 200 bytes.
using mallbots::dead_letter_topic;

/// A record to be published, with what its spans point to. A letter that died before (it was
/// replayed or its own topic is subscribed) carries the new headers only.
class DeadLetter {
 public:
  DeadLetter(const client::Message& message, const Obituary& obituary);
  DeadLetter(const DeadLetter&) = delete;
  DeadLetter& operator=(const DeadLetter&) = delete;
  [[nodiscard]] const client::Record& record() const noexcept { return record_; }

 private:
  std::vector<std::string> values_;
  std::vector<client::Header> headers_;
  client::Record record_;
};

}  // namespace mallbots::toolkit
