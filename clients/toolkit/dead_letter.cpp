#include "clients/toolkit/dead_letter.h"

#include <algorithm>

namespace mallbots::toolkit {
namespace {

constexpr std::size_t kMaxText = 1024;

std::string cut(const std::string& text) { return text.substr(0, kMaxText); }

}  // namespace

DeadLetter::DeadLetter(const client::Message& message, const Obituary& obituary) {
  const std::pair<std::string_view, std::string> own[] = {
      {kDeadTopic, std::string{message.topic}},
      {kDeadPartition, std::to_string(message.partition)},
      {kDeadOffset, std::to_string(message.offset)},
      {kDeadGroup, obituary.group},
      {kDeadReason, obituary.reason == DeadReason::kRejected ? "rejected" : "attempts"},
      {kDeadAttempts, std::to_string(obituary.attempts)},
      {kDeadType, cut(obituary.last.type)},
      {kDeadText, cut(obituary.last.text)},
      {kDeadHandler, cut(obituary.last.handler)},
      {kDeadFirstType, cut(obituary.first.type)},
      {kDeadFirstText, cut(obituary.first.text)},
      {kDeadFirstTime, std::to_string(obituary.first_time_ms)},
      {kDeadLastTime, std::to_string(obituary.last_time_ms)},
  };
  for (const client::Header header : message.headers())
    if (!header.name.starts_with(kDeadLetterPrefix)) headers_.push_back(header);
  values_.reserve(std::size(own));  // headers point into it
  for (const auto& [name, value] : own) headers_.push_back({name, values_.emplace_back(value)});
  record_ = {.payload = message.payload,
             .key = message.key,
             .headers = headers_,
             .trace_context = message.trace_context(),
             .is_tombstone = message.is_tombstone};
}

}  // namespace mallbots::toolkit
