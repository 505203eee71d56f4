// History: what the log of the mall holds, read once from its first record to the end that it has
// at the start: events, internal ones included, commands and replies, each as a Fact.
//
// Who calls: `mall order` and `mall audit`, one thread. Payloads that no contract knows are facts
// without fields. Errors: those of client::Connection and client::Consumer.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clients/connection.h"
#include "clients/toolkit/message.h"

namespace mallbots::mall {

struct Fact {
  std::string topic;
  PartitionIndex partition = 0;
  Offset offset = 0;
  UnixMillis at_ms = 0;
  std::string id;
  std::string name;  ///< of the message, without its version
  std::string key;
  std::string correlation;  ///< of the request that it all came from
  std::string causation;
  std::string actor;
  /// Of the payload, in the order of the contract, shown as text.
  std::vector<std::pair<std::string, std::string>> fields;

  /// Empty: it has none of that name.
  [[nodiscard]] std::string_view field(std::string_view name) const noexcept;
  [[nodiscard]] bool is_event() const noexcept;
};

[[nodiscard]] Fact fact_of(const toolkit::Message& message);

/// Topics of the mall, but for those that say where robots are and those of dead letters.
[[nodiscard]] bool is_of_history(std::string_view topic) noexcept;

[[nodiscard]] Result<std::vector<Fact>> read_history(const client::ConnectionOptions& where);

}  // namespace mallbots::mall
