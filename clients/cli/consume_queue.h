// `consume --queue`: as a member of a queue. docs/CLI.md, "A queue". Main thread.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "clients/cli/command.h"
#include "clients/cli/record_format.h"

namespace mallbots::client::cli {

struct QueueOptions {
  std::string group;  ///< empty: not a queue
  std::string ack = "auto";
  std::string lock = "30s";
  std::uint32_t in_flight = 64;
  std::uint32_t max_deliveries = 10;
  // As of every `consume`.
  std::vector<std::string> topics;
  std::uint64_t count = 0;  ///< 0: without end
  bool to_end = false;
  bool json = false;
};

/// The options that only queues have; gives back --queue.
CLI::Option* add_queue_options(CLI::App* command, QueueOptions& options);

[[nodiscard]] Result<ExitCode> consume_queue(const Context& context, const QueueOptions& options,
                                             const RecordPattern& pattern);

}  // namespace mallbots::client::cli
