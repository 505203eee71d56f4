#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "services/mall/command.h"
#include "services/runtime/settings.h"

namespace mallbots::mall {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread
  return value == nullptr ? "" : value;
}

/// Beside the broker's own, which holds nothing but its log.
Result<std::string> usual_data_dir(const std::string& instance) {
  std::string base = geteuid() == 0 ? "/var/lib" : environment("XDG_STATE_HOME");
  if (base.empty() && !environment("HOME").empty()) base = environment("HOME") + "/.local/state";
  if (base.empty())
    return fail(ErrorCode::kBadConfig, "neither XDG_STATE_HOME nor HOME is set: name a --data-dir");
  return base + "/mallbots/" + instance + ".mall";
}

}  // namespace

void Place::add_options(CLI::App& command) {
  command.add_option("--instance", instance, "the broker's instance")->capture_default_str();
  command.add_option("--runtime-dir", runtime_dir, "where the broker's socket is");
  command.add_option("--data-dir", data_dir, "where the mall keeps its databases and logs");
  command.add_option("--socket-dir", socket_dir, "where services listen (RUNTIME-DIR/mall)");
  command.add_option("--set", settings, "a setting of a service, NAME=VALUE; any number of times")
      ->allow_extra_args(false);
}

Result<HostOptions> Place::host_options(std::string name) const {
  HostOptions options{.name = std::move(name),
                      .instance = instance,
                      .runtime_dir = runtime_dir,
                      .data_dir = data_dir,
                      .socket_dir = socket_dir};
  if (options.runtime_dir.empty()) options.runtime_dir = client::default_runtime_dir(instance);
  if (options.socket_dir.empty()) options.socket_dir = options.runtime_dir + "/mall";
  if (options.data_dir.empty()) {
    auto folder = usual_data_dir(instance);
    if (!folder) return std::unexpected(std::move(folder).error());
    options.data_dir = *std::move(folder);
  }
  for (const std::string& setting : settings) {
    const auto equals = setting.find('=');
    if (equals == 0 || equals == std::string::npos)
      return fail(ErrorCode::kBadConfig, "--set " + setting + ": it takes NAME=VALUE");
    options.settings[setting.substr(0, equals)] = setting.substr(equals + 1);
  }
  MALLBOTS_TRY(refuse_old_names(options.settings));
  return options;
}

}  // namespace mallbots::mall
