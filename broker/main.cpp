// mallbotsd: options, configuration, folders, keeper. What follows is in broker.h.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "broker/broker.h"
#include "broker/config.h"
#include "broker/event_log.h"
#include "broker/folders.h"
#include "broker/keeper/keeper.h"
#include "broker/metrics_http/metrics_server.h"
#include "broker/version.h"

namespace mallbots::broker {
namespace {

constexpr const char* kFooter = R"(
Examples:
  mallbotsd                              the instance "default", in the folders of this user
  mallbotsd --instance lab --data-dir /srv/lab
  mallbotsd --config /etc/mallbots/default.toml
  mallbotsd --config lab.toml --check-config     prints what would be used

A configuration file has lines like  memory.max = "2GiB"; --check-config shows every key.
Without root the folders are $XDG_RUNTIME_DIR/mallbots/NAME and $XDG_STATE_HOME/mallbots/NAME,
as root /run/mallbots/NAME and /var/lib/mallbots/NAME.

Exit codes: 0 done (also: stopped and drained), 1 failed, 2 usage or configuration,
4 not permitted or wrong owner, 6 corruption found.
)";

struct Options {
  std::string instance;
  std::string data_dir;
  std::string runtime_dir;
  std::string config_file;
  bool check_config = false;
};

int refuse(const Error& error) {
  fmt::print(stderr, "mallbotsd: {}\n", error.sentence());
  return static_cast<int>(error_entry(error.code).exit_code);
}

Result<Config> make_config(const Options& options) {
  Config config;
  if (!options.config_file.empty()) MALLBOTS_TRY(read_config_file(config, options.config_file));
  const std::pair<const char*, const std::string&> given[] = {{"instance", options.instance},
                                                              {"data-dir", options.data_dir},
                                                              {"runtime-dir", options.runtime_dir}};
  for (const auto& [key, value] : given)
    if (!value.empty()) MALLBOTS_TRY(set_config(config, key, value));
  MALLBOTS_TRY(complete_config(config));
  if (!config.metrics_listen.empty()) MALLBOTS_TRY(MetricsServer::check(config.metrics_listen));
  return config;
}

int serve(const Config& config) {
  start_event_log(config.log_level, "keeper");
  if (auto made = make_parents(config.data_dir); !made) return refuse(made.error());
  auto runtime = open_runtime_folder(config.runtime_dir);
  if (!runtime) return refuse(runtime.error());
  log_event(Level::kInfo, "keeper started",
            {{"instance", config.instance},
             {"runtime_dir", config.runtime_dir},
             {"data_dir", config.data_dir},
             {"version", kVersion}});
  return run_keeper({.restarts = {.deaths = config.restart_deaths,
                                  .window_ns = config.restart_window_ms * kMillisecond},
                     .broker = [&](BrokerStart start) {
                       // The lock is the keeper's alone: who finds it free knows that the keeper
                       // is gone, and waits for its broker, which drains.
                       runtime->lock.reset();
                       return run_broker(config, *runtime, std::move(start));
                     }});
}

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"mallbotsd: the MallBots broker. Stays in the foreground."};
  app.add_option("--instance", options.instance, "name of the instance, for its default folders");
  app.add_option("--data-dir", options.data_dir, "folder of the records on disk");
  app.add_option("--runtime-dir", options.runtime_dir, "folder of the control socket");
  app.add_option("--config", options.config_file, "configuration file (TOML)");
  app.add_flag("--check-config", options.check_config, "print the configuration and exit");
  app.set_version_flag("--version", fmt::format("mallbotsd {}", kVersion));
  app.footer(kFooter);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& stopped) {
    const bool asked_for_text = stopped.get_exit_code() == 0;
    app.exit(stopped);
    return static_cast<int>(asked_for_text ? ExitCode::kDone : ExitCode::kUsage);
  }
  const auto config = make_config(options);
  if (!config) return refuse(config.error());
  if (options.check_config) {
    fmt::print("{}", write_config(*config));
    return static_cast<int>(ExitCode::kDone);
  }
  return serve(*config);
}

}  // namespace
}  // namespace mallbots::broker

int main(int argc, char** argv) { return mallbots::broker::main(argc, argv); }
