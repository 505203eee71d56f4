// The frame of the `mallbots` command: global options, one add_...() per command that hangs it into
// the CLI11 tree, and run_command(), the one place where an Error becomes a sentence on stderr and
// an exit code.
//
// Called once, by main(), from its only thread. Exit codes: ExitCode in shm/base/error.h.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "clients/cli/output.h"
#include "shm/base/error.h"
#include "shm/base/result.h"

namespace mallbots::client::cli {

enum class Format : std::uint8_t { kText, kJson };

/// Options that every command takes, and the command that was asked for.
struct Context {
  std::string instance = "default";
  std::string runtime_dir;  ///< empty: the instance's
  Format format = Format::kText;
  std::function<Result<ExitCode>()> run;

  [[nodiscard]] bool json() const noexcept { return format == Format::kJson; }
  /// Prints whichever form is asked for; an Io error if stdout does not take it.
  [[nodiscard]] Result<ExitCode> show(const Table& table, ExitCode code = ExitCode::kDone) const;
  [[nodiscard]] Result<ExitCode> show(const Facts& facts, ExitCode code = ExitCode::kDone) const;
  [[nodiscard]] Result<ExitCode> show(const Json& json, const std::string& text,
                                      ExitCode code = ExitCode::kDone) const;
};

/// `mallbots` with every command.
void add_all(CLI::App& root, Context& context);

void add_topic(CLI::App& root, Context& context);
void add_produce(CLI::App& root, Context& context);
void add_consume(CLI::App& root, Context& context);
void add_dlq(CLI::App& root, Context& context);
void add_events(CLI::App& root, Context& context);
void add_group(CLI::App& root, Context& context);
void add_lake(CLI::App& root, Context& context);
void add_schedule(CLI::App& root, Context& context);
void add_status(CLI::App& root, Context& context);
void add_clients(CLI::App& root, Context& context);
void add_top(CLI::App& root, Context& context);
void add_trace(CLI::App& root, Context& context);
void add_check(CLI::App& root, Context& context);
void add_doctor(CLI::App& root, Context& context);
void add_verify(CLI::App& root, Context& context);
void add_dump(CLI::App& root, Context& context);
void add_errors(CLI::App& root, Context& context);

/// A command of `parent` with the house form: a description, examples below its --help, an action.
CLI::App* add_command(CLI::App& parent, const std::string& name, const std::string& description,
                      const std::string& examples);
/// What `command` does when it is the one given.
void set_action(CLI::App* command, Context& context, std::function<Result<ExitCode>()> action);

/// Parses, runs, reports. Never throws.
[[nodiscard]] ExitCode run_command(int argc, const char* const* argv);

}  // namespace mallbots::client::cli
