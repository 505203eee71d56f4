// Dead letters: where they go and what they say, for broker and clients alike. A dead letter is the
// message itself (key, payload, headers, trace) and the headers below; its topic is
// TOPIC.GROUP.dlq. Replaying one means publishing it to `dlq.topic` without them.
#pragma once

#include <string>
#include <string_view>

namespace mallbots {

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

/// TOPIC.GROUP.dlq.
[[nodiscard]] inline std::string dead_letter_topic(std::string_view topic, std::string_view group) {
  return std::string{topic}.append(".").append(group).append(".dlq");
}

}  // namespace mallbots
