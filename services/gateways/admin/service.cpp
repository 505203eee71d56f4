#include "services/gateways/admin/service.h"

#include <fmt/format.h>

#include <span>

#include "services/gateways/access/secret.h"
#include "services/gateways/admin/api.h"
#include "services/gateways/admin/feed.h"
#include "services/gateways/admin/operations.h"
#include "services/gateways/admin/plan.h"
#include "services/gateways/fleet/topics.h"
#include "services/gateways/http/assets.h"
#include "services/gateways/http/server.h"
#include "services/runtime/read_file.h"

namespace mallbots::gateways {
std::span<const Asset> admin_page();
}  // namespace mallbots::gateways

namespace mallbots::admin {
namespace {

constexpr std::int64_t kPollMs = 2'000;

Result<std::string> plan_of(const Host& host) {
  const std::string file = host.setting("bots.map", "");
  if (file.empty()) return plan_json("mall.map", own_map());
  const auto text = read_file(file);
  if (!text) return std::unexpected(text.error());
  return plan_json(file.substr(file.rfind('/') + 1), *text);
}

/// As the fleet gateway makes the topic of positions.
std::vector<Topic> topics() {
  std::vector<Topic> all;
  for (const std::string& name : gateways::Board::event_topics()) all.emplace_back(name);
  all.push_back(
      {fleet::kPositionsTopic, {{"storage", "memory"}, {"slots", "8"}, {"slot.bytes", "1MiB"}}});
  return all;
}

class Admin final : public AdminService {
 public:
  Admin(Host& host, std::string plan)
      : board_(gateways::random_token().substr(0, 16)),
        staff_(host.setting("access.staff", staff_file(host.options().data_dir))),
        feed_({.instance = host.options().instance,
               .runtime_dir = host.options().runtime_dir,
               .name = host.options().name + "-board",
               .waiting = client::Waiting::kBlock},
              board_, host.log()),
        operations_({.connection = &host.connection(),
                     .board = &board_,
                     .socket_dir = host.options().socket_dir,
                     .channels = channels_of(host),
                     .viewers = [this] { return api_.viewers(); },
                     .behind = [this] { return feed_.behind(); }}),
        api_({.channels = channels_of(host),
              .staff = &staff_,
              .board = &board_,
              .freshness = [this] { return freshness(); },
              .further = operations_.calls(),
              .plan = std::move(plan),
              .log = host.log(),
              .clock = &host.clock()}) {}
  ~Admin() override {
    if (server_) server_->stop();
  }

  [[nodiscard]] Result<void> start(Host& host);
  [[nodiscard]] std::uint16_t port() const noexcept override { return server_->port(); }
  [[nodiscard]] std::string address() const override { return server_->address(); }

 private:
  [[nodiscard]] static Channels channels_of(Host& host) {
    return [&host](const std::string& name) { return host.channel(name); };
  }
  [[nodiscard]] gateways::Freshness freshness() const { return feed_.freshness(); }
  void watch(const std::stop_token& stop);

  gateways::Board board_;
  gateways::StaffBook staff_;
  Feed feed_;
  Operations operations_;
  Api api_;
  std::unique_ptr<gateways::Server> server_;
};

void Admin::watch(const std::stop_token& stop) {
  toolkit::Clock& clock = toolkit::system_clock();
  BootNanos next_sample_ns = 0;
  do {
    (void)operations_.poll();
    if (clock.now_ns() < next_sample_ns) continue;
    operations_.sample(clock.wall_ms());
    next_sample_ns = clock.now_ns() + (kSampleMs - kPollMs / 2) * kMillisecond;
  } while (clock.pause_until(clock.now_ns() + kPollMs * kMillisecond, stop));
}

Result<void> Admin::start(Host& host) {
  const auto port = host.number("admin.port", 0);
  if (!port) return std::unexpected(port.error());
  if (*port > 65'535)
    return fail(ErrorCode::kBadConfig, fmt::format("admin.port = {}: at most 65535", *port));
  const std::string public_origin = host.setting("admin.public_origin", "");
  gateways::Router router;
  api_.add_to(router);
  router.assets("/", gateways::admin_page());
  router.assets("/page/", gateways::shared_page());
  auto server = gateways::Server::start(
      {.name = "admin",
       .bind = host.setting("admin.bind", "127.0.0.1"),
       .port = static_cast<std::uint16_t>(*port),
       .tls_certificate = host.setting("admin.tls_certificate", ""),
       .tls_key = host.setting("admin.tls_key", ""),
       .host_names = gateways::host_names_in(host.setting("admin.host_names", "")),
       .public_origin = public_origin,
       .log = host.log()},
      std::move(router));
  if (!server) return std::unexpected(std::move(server).error());
  server_ = std::move(*server);
  std::vector<std::string> heard = gateways::Board::event_topics();
  heard.emplace_back(fleet::kPositionsTopic);
  host.declare_reader("admin.board", std::move(heard));
  host.run_beside("admin.feed", [this](const std::stop_token& stop) { feed_.run(stop); });
  host.run_beside("admin.viewers", [this](const std::stop_token& stop) { api_.run(stop); });
  host.run_beside("admin.watch", [this](const std::stop_token& stop) { watch(stop); });
  host.announce("admin");
  return host.publish_address("admin",
                              (public_origin.empty() ? server_->address() : public_origin) + "/");
}

}  // namespace

std::string staff_file(const std::string& data_dir) { return data_dir + "/staff.json"; }

Result<std::unique_ptr<AdminService>> open_admin(Host& host) {
  auto plan = plan_of(host);
  if (!plan) return std::unexpected(std::move(plan).error());
  MALLBOTS_TRY(host.ensure_topics(topics()));
  auto admin = std::make_unique<Admin>(host, std::move(*plan));
  MALLBOTS_TRY(admin->start(host));
  return admin;
}

Result<std::unique_ptr<Service>> make_admin(Host& host) { return open_admin(host); }

}  // namespace mallbots::admin
