// The session of one command with the broker that the global options name, and waiting for the end
// that a person asks for. Main thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "clients/cli/command.h"
#include "clients/connection.h"

namespace mallbots::client::cli {

/// `command` is shown in `mallbots clients`. Errors: those of Connection::open.
[[nodiscard]] Result<std::unique_ptr<Connection>> connect(const Context& context,
                                                          const std::string& command,
                                                          std::int64_t patience_ms = 5'000);

/// From now on SIGINT and SIGTERM only make stop_requested() true, and end pause_for() early.
void catch_stop_signals();
[[nodiscard]] bool stop_requested() noexcept;
/// Waits so long, or until a stop is requested.
void pause_for(std::int64_t milliseconds);

}  // namespace mallbots::client::cli
