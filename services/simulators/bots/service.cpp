#include "services/simulators/bots/service.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "services/gateways/access/devices.h"
#include "services/gateways/fleet/topics.h"
#include "services/runtime/private_file.h"
#include "services/runtime/read_file.h"
#include "services/simulators/bots/places.h"

namespace mallbots::bots {
namespace {

using gateways::DeviceKind;
using gateways::Devices;
using nlohmann::json;

class Bots final : public BotsService {
 public:
  explicit Bots(std::unique_ptr<Simulator> simulator) : simulator_(std::move(simulator)) {}
  [[nodiscard]] SimulatorNumbers numbers() const override { return simulator_->numbers(); }
  void run(const std::stop_token& stop) { simulator_->run(stop); }

 private:
  std::unique_ptr<Simulator> simulator_;
};

Result<double> speed_of(const Host& host) {
  const std::string text = host.setting("bots.speed", "1");
  double speed = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), speed);
  if (read.ec == std::errc{} && read.ptr == text.data() + text.size() && speed > 0) return speed;
  return fail(ErrorCode::kBadConfig, "bots.speed=" + text + ": a number above 0 is wanted");
}

Result<SimulatorOptions> options_of(const Host& host) {
  SimulatorOptions options;
  DriverOptions& driver = options.driver;
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, std::int64_t*>>{
           {"bots.step_ms", &options.step_ms},
           {"bots.pick_ms", &driver.pick_ms},
           {"bots.unavailable", &driver.unavailable},
           {"bots.decline", &driver.decline},
           {"bots.disconnect", &driver.disconnect},
           {"bots.twice", &driver.twice},
           {"bots.slow_ack", &driver.slow_ack},
           {"bots.slow_ack_ms", &driver.slow_ack_ms},
           {"bots.breakdown", &driver.breakdown},
           {"bots.breakdown_ms", &driver.breakdown_ms}}) {
    const auto given = host.number(name, *value);
    if (!given) return std::unexpected(given.error());
    *value = *given;
  }
  const auto speed = speed_of(host);
  if (!speed) return std::unexpected(speed.error());
  options.speed = *speed;
  return options;
}

Result<StreamLines::Options> gateway_of(const Host& host) {
  StreamLines::Options gateway{.address =
                                   host.setting("bots.fleet", "unix:" + host.socket_of("fleet"))};
  const std::string roots = host.setting("bots.tls_roots", "");
  if (roots.empty()) return gateway;
  auto pem = read_file(roots);
  if (!pem) return std::unexpected(std::move(pem).error());
  gateway.root_certificate = std::move(*pem);
  return gateway;
}

/// Secrets of simulated robots, which no operator hands to them: issued here where one is missing.
Result<std::map<std::string, std::string>> secrets_for(const Host& host,
                                                       const std::vector<std::string>& ids) {
  const std::string& folder = host.options().data_dir;
  Devices devices(host.setting("access.devices", gateways::devices_file(folder)));
  std::map<std::string, std::string> secrets;
  MALLBOTS_TRY(PrivateFile(folder + "/bots.secrets.json")
                   .change([&](const std::string& content) -> Result<std::string> {
                     const json known = json::parse(content, nullptr, false);
                     std::vector<std::string> missing;
                     for (const std::string& id : ids) {
                       const auto there = devices.knows(DeviceKind::kBot, id);
                       if (!there) return std::unexpected(there.error());
                       const bool is_kept = known.is_object() && known.contains(id);
                       if (*there && is_kept) secrets[id] = known.value(id, "");
                       if (*there && is_kept) continue;
                       if (*there) {
                         const auto revoked = devices.revoke(DeviceKind::kBot, id);
                         if (!revoked) return std::unexpected(revoked.error());
                       }
                       missing.push_back(id);
                     }
                     const auto fresh = devices.add(DeviceKind::kBot, missing);
                     if (!fresh) return std::unexpected(fresh.error());
                     for (std::size_t i = 0; i < missing.size(); ++i)
                       secrets[missing[i]] = (*fresh)[i];
                     return json(secrets).dump(1) + "\n";
                   }));
  return secrets;
}

Result<std::vector<Driver::Identity>> robots_of(const Host& host) {
  const auto count = host.number("bots.count", 20);
  if (!count) return std::unexpected(count.error());
  const auto local_percent = host.number("bots.local_percent", 50);
  if (!local_percent) return std::unexpected(local_percent.error());
  const auto seed = host.number("bots.seed", 1);
  if (!seed) return std::unexpected(seed.error());
  const auto lost = host.number("bots.lost", 0);
  if (!lost) return std::unexpected(lost.error());
  std::vector<std::string> ids;
  for (std::int64_t i = 1; i <= *count; ++i) ids.push_back(fmt::format("bot-{:04}", i));
  auto secrets = secrets_for(host, ids);
  if (!secrets) return std::unexpected(std::move(secrets).error());
  std::vector<Driver::Identity> robots;
  for (std::int64_t i = 0; i < *count; ++i) {
    const std::string& id = ids[static_cast<std::size_t>(i)];
    // Spread evenly: every second one of a half.
    const bool is_local = (i + 1) * *local_percent / 100 != i * *local_percent / 100;
    robots.push_back({id, is_local ? "" : (*secrets)[id], is_local,
                      static_cast<std::uint64_t>(*seed * 1'000'003 + i), i < *lost});
  }
  return robots;
}

}  // namespace

Result<std::unique_ptr<BotsService>> open_bots(Host& host) {
  auto plan = plan_of(host.setting("bots.map", ""));
  if (!plan) return std::unexpected(std::move(plan).error());
  const auto options = options_of(host);
  if (!options) return std::unexpected(options.error());
  const auto gateway = gateway_of(host);
  if (!gateway) return std::unexpected(gateway.error());
  auto robots = robots_of(host);
  if (!robots) return std::unexpected(std::move(robots).error());
  MALLBOTS_TRY(host.ensure_topics(fleet::topics()));
  std::vector<std::string> local_ids;
  for (const Driver::Identity& robot : *robots) {
    local_ids.push_back(robot.is_local ? robot.id : "");
  }
  auto lines = GatewayLines::open(host.connection(), local_ids, *gateway);
  if (!lines) return std::unexpected(std::move(lines).error());
  auto simulator =
      Simulator::open(std::move(*plan), std::move(*robots), *options, std::move(*lines));
  if (!simulator) return std::unexpected(std::move(simulator).error());
  auto bots = std::make_unique<Bots>(std::move(*simulator));
  host.run_beside("bots", [bots = bots.get()](const std::stop_token& stop) { bots->run(stop); });
  return bots;
}

Result<std::unique_ptr<Service>> make_bots(Host& host) { return open_bots(host); }

}  // namespace mallbots::bots
