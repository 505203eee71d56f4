// A command of `mall`: its options, and what it does. main.cpp lists them; each is a file of its
// own. What all of them need to know of where the mall is stands in Place.
//
// Exit codes are those of `mallbots` (docs/CLI.md): 0 done, 1 failed, 2 usage, 3 no broker, 4 not
// permitted.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/runtime/host.h"

namespace CLI {
class App;
}

namespace mallbots::mall {

/// Where the broker and the mall are. Options of every command that talks to them.
struct Place {
  std::string instance = "default";
  std::string runtime_dir;  ///< of the broker
  std::string data_dir;     ///< of the mall: databases, logs, the broker it starts
  std::string socket_dir;
  std::vector<std::string> settings;  ///< NAME=VALUE

  void add_options(CLI::App& command);
  /// Empty folders become what user and machine say. BadConfig: neither tells, a setting is no
  /// NAME=VALUE or has another name now.
  [[nodiscard]] Result<HostOptions> host_options(std::string name) const;
};

/// What a command returns; main() says the error and makes the exit code of it.
using Done = Result<void>;

/// Each adds itself to `mall`; its callback stores the outcome in `done`.
void add_run_command(CLI::App& mall, Done& done);
void add_order_command(CLI::App& mall, Done& done);
void add_audit_command(CLI::App& mall, Done& done);
void add_device_command(CLI::App& mall, Done& done);
void add_staff_command(CLI::App& mall, Done& done);
void add_up_command(CLI::App& mall, Done& done);

/// The token of a link for the account `admin`, which is made, if the mall has no account yet.
[[nodiscard]] Result<std::optional<std::string>> first_link(const HostOptions& where);

}  // namespace mallbots::mall
