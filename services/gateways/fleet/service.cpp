#include "services/gateways/fleet/service.h"

#include "clients/toolkit/cqrs/processors.h"
#include "services/depot/contract.h"
#include "services/gateways/access/devices.h"
#include "services/gateways/fleet/depot_calls.h"
#include "services/gateways/fleet/local_door.h"
#include "services/gateways/fleet/outgoing.h"
#include "services/gateways/fleet/stream_door.h"
#include "services/gateways/fleet/topics.h"

namespace mallbots::fleet {
namespace {

using toolkit::Context;
using toolkit::Handled;

constexpr std::int64_t kTickMs = 100;
/// Reports of local controllers that are handled side by side.
constexpr std::size_t kLocalWorkers = 8;

class Fleet final : public FleetService {
 public:
  Fleet(Host& host, std::string devices_file, const RobotsOptions& options)
      : devices_(std::move(devices_file)),
        calls_(host.channel("depot")),
        outgoing_(host.bus(), host.log()),
        robots_({calls_,
                 [this, log = host.log()](const auto& hello, bool is_local) {
                   return admits(hello, is_local, log);
                 },
                 [] { return boot_now_ns(); },
                 [this](const std::string& bot_id, const fleetpb::RobotAt& at) {
                   outgoing_.add(kPositionsTopic, bot_id, at.SerializeAsString());
                 }},
                options),
        local_(robots_, outgoing_) {}
  ~Fleet() override {
    robots_.close();
    if (door_) door_->close();
    calls_.close();
  }

  [[nodiscard]] Result<void> start(Host& host);
  [[nodiscard]] int port() const noexcept override { return door_->port(); }
  [[nodiscard]] FleetNumbers numbers() const override { return robots_.numbers(); }

 private:
  [[nodiscard]] bool admits(const fleetpb::Hello& hello, bool is_local, const toolkit::Log& log);
  [[nodiscard]] toolkit::Registration events();
  void tick(const std::stop_token& stop);

  gateways::Devices devices_;
  DepotCalls calls_;
  Outgoing outgoing_;
  Robots robots_;
  LocalDoor local_;
  std::unique_ptr<StreamDoor> door_;
};

bool Fleet::admits(const fleetpb::Hello& hello, bool is_local, const toolkit::Log& log) {
  using gateways::DeviceKind;
  const auto admitted = is_local ? devices_.knows(DeviceKind::kBot, hello.bot_id())
                                 : devices_.check(DeviceKind::kBot, hello.bot_id(), hello.secret());
  if (!admitted) {
    log({toolkit::Severity::kError,
         "credentials cannot be read: nobody is admitted",
         {{"problem", admitted.error().sentence()}}});
  }
  return admitted.value_or(false);
}

/// Each says only where to look: a robot, a list.
toolkit::Registration Fleet::events() {
  toolkit::EventGroup group("fleet", depot::topic_names());
  const auto look = [this](const std::string& bot_id, const std::string& list_id) -> Handled {
    robots_.look(bot_id, list_id);
    return {};
  };
  group
      .on<depotapi::ShoppingListAssigned>(
          [look](Context&, const auto& event) { return look(event.bot_id(), event.id()); })
      .on<depotapi::ShoppingListAvailable>(
          [look](Context&, const auto& event) { return look({}, event.id()); })
      .on<depotapi::ShoppingStranded>(
          [look](Context&, const auto& event) { return look(event.bot_id(), event.id()); })
      .on<depotapi::ShoppingListCompleted>(
          [look](Context&, const auto& event) { return look({}, event.id()); })
      .on<depotapi::ShoppingListCanceled>(
          [look](Context&, const auto& event) { return look(event.bot_id(), event.id()); })
      .on<depotapi::BotWentOffline>(
          [look](Context&, const auto& event) { return look(event.id(), {}); })
      .on<depotapi::BotCameOnline>([this](Context&, const auto& event) -> Handled {
        robots_.came_online(event.id(), event.epoch());
        return {};
      });
  return group.registration();
}

void Fleet::tick(const std::stop_token& stop) {
  toolkit::Clock& clock = toolkit::system_clock();
  while (clock.pause_until(clock.now_ns() + kTickMs * kMillisecond, stop)) {
    robots_.tick();
    door_->tick();
  }
  robots_.close();  // or the host waits for streams that nobody ends
}

Result<void> Fleet::start(Host& host) {
  const auto port = host.number("fleet.port", 0);
  if (!port) return std::unexpected(port.error());
  auto door =
      StreamDoor::open(robots_, {.bind = host.setting("fleet.bind", "127.0.0.1"),
                                 .port = *port,
                                 .tls_certificate = host.setting("fleet.tls_certificate", ""),
                                 .tls_key = host.setting("fleet.tls_key", "")});
  if (!door) return std::unexpected(std::move(door).error());
  door_ = std::move(*door);
  MALLBOTS_TRY(host.ensure_topics(topics()));
  MALLBOTS_TRY(host.handle(events()));
  toolkit::Registration local{
      {.name = "fleet.local", .group = "fleet.local", .topics = {kReportsTopic}},
      [this](Context&, const toolkit::Message& message) { return local_.handle(message); }};
  MALLBOTS_TRY(host.handle(std::move(local), {.workers = kLocalWorkers, .max_deliveries = 0}));
  host.serve("fleet", door_->service());
  host.run_beside("fleet.tick", [this](const std::stop_token& stop) { tick(stop); });
  host.run_beside("fleet.outgoing", [this](const std::stop_token& stop) { outgoing_.run(stop); });
  const std::string bind = host.setting("fleet.bind", "127.0.0.1");
  MALLBOTS_TRY(host.publish_address("fleet", (bind.contains(':') ? "[" + bind + "]" : bind) + ":" +
                                                 std::to_string(door_->port())));
  return {};
}

}  // namespace

Result<std::unique_ptr<FleetService>> open_fleet(Host& host) {
  const auto max_robots = host.number("fleet.max_robots", 10'000);
  if (!max_robots) return std::unexpected(max_robots.error());
  RobotsOptions options;
  options.max_robots = static_cast<std::size_t>(*max_robots);
  auto fleet = std::make_unique<Fleet>(
      host, host.setting("access.devices", gateways::devices_file(host.options().data_dir)),
      options);
  MALLBOTS_TRY(fleet->start(host));
  return fleet;
}

Result<std::unique_ptr<Service>> make_fleet(Host& host) { return open_fleet(host); }

}  // namespace mallbots::fleet
