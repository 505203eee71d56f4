// kiosk.submit.*: the whole mall, asked as customers ask it. mallbotsd, `mall up` in one process
// (without robots) and kiosk_load are started as anybody would; N kiosks order over and over.
#include <fmt/format.h>
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/harness/child_process.h"
#include "bench/harness/clock.h"
#include "bench/scenarios/scenarios.h"
#include "bench/scenarios/stage.h"
#include "shm/base/clock.h"

namespace mallbots::bench {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t kOpenMs = 30'000;
// Budgets are what people notice (bench/README.md, Orders): a tenth of a second is at once, a
// second is no wait.
constexpr double kAtOnceNs = 100e6;
constexpr double kNoWaitNs = 1'000e6;

/// The kiosk's address, as soon as the mall is open.
Result<std::string> wait_for_kiosk(const ChildProcess& mall) {
  for (const Deadline patience = Deadline::after_ms(kOpenMs); !patience.has_passed();) {
    const std::string said = mall.output();
    const auto is_open = said.find("Ctrl-C");
    const auto line = said.find("kiosk  http://");
    if (is_open != std::string::npos && line != std::string::npos) {
      const auto from = line + std::string_view{"kiosk  "}.size();
      return said.substr(from, said.find_first_of(" \n", from) - from);
    }
    // sleep: looked again after a while, before anything is measured
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
  return fail(ErrorCode::kTimeout, "the mall did not open: " + mall.output());
}

Result<Figures> figures_of(const std::string& said) {
  const auto json = nlohmann::json::parse(said, nullptr, false);
  if (!json.is_object() || json.value("orders", 0) == 0)
    return fail(ErrorCode::kIo, "kiosk_load: " + said);
  const auto ns = [&json](const char* name) { return json.value(name, 0.0) * 1'000; };
  return Figures{{"rate", json.value("orders_per_s", 0.0)},
                 {"submit_p50", ns("submit_p50_us")},
                 {"submit_p99", ns("submit_p99_us")},
                 {"p50", ns("approved_p50_us")},
                 {"p99", ns("approved_p99_us")}};
}

Result<Figures> order_at(const RunContext& run, int kiosks) {
  auto stage = Stage::open(run, {});
  if (!stage) return std::unexpected(stage.error());
  const fs::path data = run.scratch_dir / "kiosk";
  auto mall = ChildProcess::start(
      {run.bin_dir / "mall", "up", "--runtime-dir", (*stage)->runtime_dir(), "--data-dir", data});
  if (!mall) return std::unexpected(mall.error());
  const auto address = wait_for_kiosk(*mall);
  if (!address) return std::unexpected(address.error());
  auto load = ChildProcess::start({run.bin_dir / "kiosk_load", "--kiosk", *address, "--runtime-dir",
                                   (*stage)->runtime_dir(), "--kiosks", std::to_string(kiosks),
                                   "--seconds", run.quick ? "0.5" : "4"});
  if (!load) return std::unexpected(load.error());
  const auto code = load->wait(60);
  mall->send(SIGTERM);
  static_cast<void>(mall->wait(30));
  std::error_code ignored;
  fs::remove_all(data, ignored);
  if (!code) return std::unexpected(code.error());
  if (*code != 0) return fail(ErrorCode::kIo, "kiosk_load: " + load->output());
  return figures_of(load->output());
}

std::vector<Line> lines_of(int kiosks) {
  const std::string who = kiosks == 1 ? "1 kiosk" : fmt::format("{} kiosks", kiosks);
  const double patience = kiosks == 1 ? kAtOnceNs : kNoWaitNs;
  return {
      Line{.work = "orders approved, " + who,
           .figure = "rate",
           .unit = Unit::kPerSecond,
           .bound = kiosks == 100 ? Bound::kAtLeast : Bound::kNone,
           .budget = 100},
      Line{.work = "  submit to approved p50, in flushes",
           .figure = "p50",
           .limit = {{"limit.disk_flush", "p50"}}},
      Line{.work = "  submit to approved p99, in flushes",
           .figure = "p99",
           .limit = {{"limit.disk_flush", "p99"}},
           .bound = Bound::kAtMost,
           .budget = patience},
      Line{.work = "  submit's answer p99",
           .figure = "submit_p99",
           .bound = Bound::kAtMost,
           .budget = patience},
  };
}

}  // namespace

void add_kiosk_rows(Registry& registry) {
  for (const int kiosks : {1, 10, 100}) {
    registry.add(Row{.name = fmt::format("kiosk.submit.{}", kiosks),
                     .placement =
                         "mallbotsd, all services in one process, all kiosks in another, not "
                         "pinned, all sleeping; closed loop; databases and topics on the disk",
                     .peer = "",
                     .probe = ProbeRule::kShownOnly,
                     .lines = lines_of(kiosks),
                     .measure = [kiosks](const RunContext& run) { return order_at(run, kiosks); }});
  }
}

}  // namespace mallbots::bench
