// CausalTree: messages of one request, each under the one that caused it; drawn as a waterfall for
// a terminal and as a Mermaid sequence diagram (mermaid.js.org/syntax/sequenceDiagram).
//
// Pure, main thread. What messages say of each other is data: causes may be missing, named twice,
// or go in circles; every message is drawn exactly once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "clients/cli/output.h"
#include "shm/base/ids.h"

namespace mallbots::client::cli {

struct TracedMessage {
  std::string topic;
  PartitionIndex partition = 0;
  Offset offset = 0;
  UnixMillis time_ms = 0;
  std::string id;
  std::string name;  ///< empty: none
  std::string key;
  std::string actor;
  std::string correlation_id;
  std::string causation_id;
  std::string trace_id;
};

class CausalTree {
 public:
  explicit CausalTree(std::vector<TracedMessage> messages);

  /// `width`: columns of the terminal; 0: as wide as it gets.
  [[nodiscard]] std::string text(std::size_t width) const;
  [[nodiscard]] std::string mermaid() const;
  [[nodiscard]] Json json() const;

 private:
  struct Node {
    std::size_t message = 0;
    std::optional<std::size_t> parent{};  ///< place in nodes_
    std::size_t depth = 0;
    bool is_again = false;  ///< the same message lies in the log before
    std::string branch{};   ///< drawn before its name
  };
  void place(std::size_t message, std::optional<std::size_t> parent, const std::string& indent,
             bool is_last);

  std::vector<TracedMessage> messages_;             ///< by time
  std::vector<std::vector<std::size_t>> children_;  ///< of each message
  std::vector<bool> is_placed_;
  std::vector<bool> is_again_;
  std::vector<Node> nodes_;  ///< in the order of drawing
};

}  // namespace mallbots::client::cli
