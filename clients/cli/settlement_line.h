// How `consume --ack manual` names a delivery, and the lines that settle one. docs/CLI.md, "A
// queue". Pure functions; a text outside the grammar is BadArgument with the text in its detail.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "clients/queue_consumer.h"
#include "shm/base/result.h"

namespace mallbots::client::cli {

/// `TOPIC/PARTITION/OFFSET/ATTEMPT`; no topic has a '/' in its name.
[[nodiscard]] std::string token_text(const QueueToken& token);

struct SettlementLine {
  enum class Verb : std::uint8_t { kAck, kNack, kReject, kExtend };
  Verb verb = Verb::kAck;
  QueueToken token;
  std::uint32_t delay_ms = 0;  ///< kNack; at most 24 h
  std::string reason;          ///< kReject
};

/// `ack TOKEN`, `nack TOKEN [DELAY]`, `reject TOKEN [REASON...]` or `extend TOKEN`.
[[nodiscard]] Result<SettlementLine> parse_settlement_line(std::string_view line);

}  // namespace mallbots::client::cli
