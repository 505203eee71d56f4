// mall run: some services in this process, until SIGINT or SIGTERM.
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "services/mall/command.h"
#include "services/mall/metrics_page.h"
#include "services/mall/registry.h"
#include "services/runtime/service_log.h"

namespace mallbots::mall {
namespace {

struct Options {
  Place place;
  std::vector<std::string> names;
  std::string log_file;
  bool ends_with_parent = false;
};

std::string known_names() {
  std::string names;
  for (const Entry& entry : registry()) names.append(names.empty() ? "" : ", ").append(entry.name);
  return names;
}

Result<std::vector<Entry>> chosen(const Options& options) {
  std::vector<Entry> entries;
  for (const std::string& name : options.names) {
    const auto found = std::ranges::find(registry(), name, &Entry::name);
    if (found == registry().end())
      return fail(ErrorCode::kBadArgument,
                  "there is no service '" + name + "'; there are " + known_names());
    entries.push_back(*found);
  }
  return entries;
}

/// Nobody else takes them: every thread of the process comes after this.
sigset_t block_ends() {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  return ends;
}

/// One for each robot, kiosk and page that is connected (docs/LIMITS.md).
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

Done run(const Options& options) {
  const sigset_t ends = block_ends();
  raise_descriptor_limit();
  if (options.ends_with_parent) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == 1) return {};  // gone already
  }
  const auto entries = chosen(options);
  if (!entries) return std::unexpected(entries.error());
  auto host_options = options.place.host_options(options.names.size() == 1 ? options.names.front()
                                                                           : std::string{"mall"});
  if (!host_options) return std::unexpected(std::move(host_options).error());
  auto log = service_log(host_options->name, options.log_file);
  if (!log) return std::unexpected(std::move(log).error());
  host_options->log = *log;
  auto host = Host::open(*std::move(host_options));
  if (!host) return std::unexpected(std::move(host).error());

  std::vector<std::unique_ptr<Service>> services;
  for (const Entry& entry : *entries) {
    (*host)->announce(std::string{entry.name});
    auto service = entry.make(**host);
    if (!service) {
      Error why = std::move(service).error();
      why.detail = std::string{entry.name} + ": " + why.detail;
      return std::unexpected(std::move(why));
    }
    services.push_back(*std::move(service));
  }
  const auto metrics = serve_metrics(**host);
  if (!metrics) return std::unexpected(metrics.error());
  MALLBOTS_TRY((*host)->start());
  (*log)({toolkit::Severity::kInfo, "ready", {{"pid", std::to_string(getpid())}}});
  int signal = 0;
  sigwait(&ends, &signal);
  (*log)({toolkit::Severity::kInfo, "ending", {{"signal", std::to_string(signal)}}});
  (*host)->stop();
  return {};
}

}  // namespace

void add_run_command(CLI::App& mall, Done& done) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *mall.add_subcommand("run", "some services in this process");
  command.add_option("name", options->names, "services: " + known_names())->required();
  options->place.add_options(command);
  command.add_option("--log-file", options->log_file, "instead of standard error");
  command.add_flag("--ends-with-parent", options->ends_with_parent,
                   "end when the process that started this one does");
  command.footer(
      "Ends cleanly on SIGINT and SIGTERM. Examples:\n"
      "  mall run orders payments\n"
      "  mall run kiosk --set kiosk.port=8080 --runtime-dir /run/mallbots/default");
  command.callback([options, &done] { done = run(*options); });
}

}  // namespace mallbots::mall
