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

namespace mallbots::toolkit {

// clang-format off
inline constexpr std::string_view kDeadLetterPrefix = "dlq.";
inline constexpr std::string_view kDeadTopic = "dlq.topic";          // where it was read
inline constexpr std::string_view kDeadPartition = "dlq.partition";
inline constexpr std::string_view kDeadOffset = "dlq.offset";
inline constexpr std::string_view kDeadGroup = "dlq.group";          // who could not handle it
inline constexpr std::string_view kDeadReason = "dlq.reason";        // "rejected" or "attempts"
inline constexpr std::string_view kDeadAttempts = "dlq.attempts";    // how often it was handed out
inline constexpr std::string_view kDeadType = "dlq.type";            // Failure of the last attempt
inline constexpr std::string_view kDeadText = "dlq.text";
inline constexpr std::string_view kDeadHandler = "dlq.handler";
inline constexpr std::string_view kDeadFirstType = "dlq.first_type"; // Failure of the first attempt
inline constexpr std::string_view kDeadFirstText = "dlq.first_text";
inline constexpr std::string_view kDeadFirstTime = "dlq.first_time"; // Unix ms of the first failure
inline constexpr std::string_view kDeadLastTime = "dlq.last_time";   // Unix ms of the last failure
// clang-format on

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

/// TOPIC.GROUP.dlq. BadTopicName at its first use if that has more than 200 bytes.
[[nodiscard]] std::string dead_letter_topic(std::string_view topic, std::string_view group);

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
