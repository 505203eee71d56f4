// robots.connected: 1,000 simulated robots connect to a running mall, half of them by gRPC streams,
// half as local controllers over the broker's topics, and drive about; what the mall's process
// (all contexts and the fleet gateway) and the simulator's cost then.
//
// A robot counts as connected with its first position on the topic of positions, which the gateway
// writes once the depot has admitted it. The clock runs from the simulator's exec.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "bench/harness/clock.h"
#include "bench/scenarios/mall.h"
#include "bench/scenarios/scenarios.h"
#include "bench/scenarios/stage.h"

namespace mallbots::bench {
namespace {

constexpr const char* kPositions = "mallbots.fleet.positions";
constexpr std::uint64_t kWatchS = 10;

// Budgets; their reasons are in bench/README.md.
constexpr double kConnectedNs = 3e9;
constexpr double kMallPercent = 10;
constexpr double kBytesOfARobot = 1024.0 * 1024 * 1024 / 10'000;

Result<void> hear_of(client::Consumer& positions, std::size_t robots) {
  std::set<std::string> seen;
  return wait_until(fmt::format("{} robots", robots), [&] {
    const auto batch = positions.poll(Deadline::after_ms(10), 1'000);
    if (batch)
      for (const client::Message& at : *batch) seen.emplace(at.key_text());
    return seen.size() >= robots;
  });
}

Result<Figures> measure_in(const RunContext& run, Stage& stage) {
  const std::uint64_t robots = run.times(1'000, 50);
  const std::string map = run.scratch_dir / "hall.map";
  std::ofstream hall(map);
  hall << "type octile\nheight 80\nwidth 80\nmap\n";
  for (int row = 0; row < 80; ++row) hall << std::string(80, '.') << '\n';
  hall.close();
  auto mall = run_services(
      run, stage,
      {"customers", "orders", "depot", "payments", "stores", "search", "notifications", "fleet"});
  if (!mall) return std::unexpected(mall.error());
  const double idle_bytes = memory_bytes(mall->pid());
  auto connection = stage.connect();
  if (!connection) return std::unexpected(connection.error());
  auto positions = read_from_now(**connection, kPositions);
  if (!positions) return std::unexpected(positions.error());

  const std::uint64_t started = ticks();
  auto bots = run_services(
      run, stage,
      {"bots", "--set", fmt::format("bots.count={}", robots), "--set", "bots.map=" + map});
  if (!bots) return std::unexpected(bots.error());
  MALLBOTS_TRY(hear_of(**positions, robots));
  const double connected_ns = ticks_to_ns(ticks() - started);

  const double mall_s = cpu_s(mall->pid());
  const double bots_s = cpu_s(bots->pid());
  const std::uint64_t watch_s = run.times(kWatchS, 1);
  std::this_thread::sleep_for(std::chrono::seconds{watch_s});
  const auto percent = [&](double seconds) { return 100 * seconds / static_cast<double>(watch_s); };
  const double bytes = memory_bytes(mall->pid());
  Figures figures{{"connected", connected_ns},
                  {"mall_cpu", percent(cpu_s(mall->pid()) - mall_s)},
                  {"bots_cpu", percent(cpu_s(bots->pid()) - bots_s)},
                  {"mall_memory", bytes},
                  {"mall_idle_memory", idle_bytes},
                  {"robot_memory", (bytes - idle_bytes) / static_cast<double>(robots)},
                  {"bots_memory", memory_bytes(bots->pid())}};
  MALLBOTS_TRY(end_services(*bots));
  MALLBOTS_TRY(end_services(*mall));
  return figures;
}

Result<Figures> measure(const RunContext& run) {
  auto stage = Stage::open(run, {});
  if (!stage) return std::unexpected(stage.error());
  auto figures = measure_in(run, **stage);
  remove_mall(run);
  std::error_code refused;
  std::filesystem::remove(run.scratch_dir / "hall.map", refused);
  return figures;
}

}  // namespace

void add_robot_rows(Registry& registry) {
  registry.add(Row{
      .name = "robots.connected",
      .placement = "the daemon, the mall's eight services in one process and the simulator in"
                   " another, not pinned; half by gRPC streams, half by topics",
      .peer = "",
      .probe = ProbeRule::kShownOnly,
      .lines = {Line{.work = "1,000 robots connected",
                     .figure = "connected",
                     .bound = Bound::kAtMost,
                     .budget = kConnectedNs},
                Line{.work = "  the mall's processor time, of one core",
                     .figure = "mall_cpu",
                     .unit = Unit::kPercent,
                     .bound = Bound::kAtMost,
                     .budget = kMallPercent},
                Line{.work = "  the simulator's", .figure = "bots_cpu", .unit = Unit::kPercent},
                Line{.work = "  the mall's memory for one robot",
                     .figure = "robot_memory",
                     .unit = Unit::kBytes,
                     .bound = Bound::kAtMost,
                     .budget = kBytesOfARobot},
                Line{.work = "  the mall's memory", .figure = "mall_memory", .unit = Unit::kBytes},
                Line{.work = "  the mall's memory without them",
                     .figure = "mall_idle_memory",
                     .unit = Unit::kBytes},
                Line{.work = "  the simulator's memory",
                     .figure = "bots_memory",
                     .unit = Unit::kBytes}},
      .measure = measure});
}

}  // namespace mallbots::bench
