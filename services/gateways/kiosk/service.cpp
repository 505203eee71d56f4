#include "services/gateways/kiosk/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "services/gateways/http/server.h"
#include "services/gateways/kiosk/kiosk.h"
#include "services/gateways/kiosk/pages.h"
#include "services/payments/contract.h"
#include "services/runtime/spans.h"
#include "shm/base/clock.h"

namespace mallbots::kiosk {
namespace {

constexpr std::int64_t kSweepMs = 60'000;
constexpr std::int64_t kTimeoutMs = 2'000;

/// A port, a count, milliseconds.
Result<std::int64_t> setting_up_to(Host& host, std::string_view name, std::int64_t otherwise,
                                   std::int64_t most) {
  const auto value = host.number(name, otherwise);
  if (!value || *value <= most) return value;
  return fail(ErrorCode::kBadConfig, fmt::format("{} = {}: at most {}", name, *value, most));
}

Result<gateways::ServerOptions> server_options(Host& host) {
  gateways::ServerOptions options;
  options.name = "kiosk";
  options.bind = host.setting("kiosk.bind", "127.0.0.1");
  options.tls_certificate = host.setting("kiosk.tls_certificate", "");
  options.tls_key = host.setting("kiosk.tls_key", "");
  options.host_names = gateways::host_names_in(host.setting("kiosk.host_names", ""));
  options.log = host.log();
  const auto port = setting_up_to(host, "kiosk.port", 0, 65'535);
  if (!port) return std::unexpected(port.error());
  options.port = static_cast<std::uint16_t>(*port);
  const auto workers = setting_up_to(host, "kiosk.workers", 16, 1'000);
  if (!workers) return std::unexpected(workers.error());
  options.workers = static_cast<std::size_t>(std::max<std::int64_t>(*workers, 1));
  const auto rate = setting_up_to(host, "kiosk.requests_per_s", 200, 1'000'000);
  if (!rate) return std::unexpected(rate.error());
  options.requests_per_s = static_cast<double>(*rate);
  options.burst = 2 * options.requests_per_s;
  return options;
}

class KioskGateway final : public KioskService {
 public:
  KioskGateway(Host& host, std::int64_t timeout_ms)
      : devices_(gateways::devices_file(host.options().data_dir)),
        contexts_([&host](const std::string& name) { return host.channel(name); }, timeout_ms) {}

  [[nodiscard]] Result<void> start(Host& host);
  [[nodiscard]] std::uint16_t port() const noexcept override { return server_->port(); }
  [[nodiscard]] Outcome<void> sweep(std::int64_t now_ms) override { return kiosk_->sweep(now_ms); }

 private:
  gateways::Devices devices_;
  Contexts contexts_;
  std::unique_ptr<toolkit::OtlpFile> spans_;  ///< null: off
  std::optional<Secrets> secrets_;
  std::unique_ptr<Submissions> submissions_;
  std::optional<Kiosk> kiosk_;
  std::unique_ptr<gateways::Server> server_;  ///< last: no handler runs when the rest goes
};

Result<void> KioskGateway::start(Host& host) {
  const auto store = host.open_store("kiosk");
  if (!store) return std::unexpected(store.error());
  MALLBOTS_TRY(host.ensure_topics(
      {payments::topic_names().topic_of(toolkit::kMessageType<paymentsapi::ReleasePayment>)}));
  auto secrets = Secrets::open(host.options().data_dir + "/kiosk.key");
  if (!secrets) return std::unexpected(std::move(secrets).error());
  secrets_ = *std::move(secrets);
  auto submissions = Submissions::open(Units(store->database, store->outbox));
  if (!submissions) return std::unexpected(std::move(submissions).error());
  submissions_ = *std::move(submissions);
  const bool needs_credential = host.setting("kiosk.loopback_credential", "off") == "on";
  auto spans = open_spans(host.options(), "kiosk");
  if (!spans) return std::unexpected(std::move(spans).error());
  spans_ = std::move(*spans);
  kiosk_.emplace(KioskParts{&contexts_, &*secrets_, submissions_.get(), &devices_, host.log(),
                            needs_credential, spans_.get()});
  host.every(kSweepMs, "kiosk.sweep", [this] { return kiosk_->sweep(wall_now_ms()); });

  auto options = server_options(host);
  if (!options) return std::unexpected(std::move(options).error());
  gateways::Router router = kiosk_->routes();
  add_pages(router);
  auto server = gateways::Server::start(*std::move(options), std::move(router));
  if (!server) return std::unexpected(std::move(server).error());
  server_ = *std::move(server);
  return host.publish_address("kiosk", server_->address());
}

}  // namespace

Result<std::unique_ptr<KioskService>> open_kiosk(Host& host) {
  const auto timeout_ms = setting_up_to(host, "kiosk.timeout_ms", kTimeoutMs, 60'000);
  if (!timeout_ms) return std::unexpected(timeout_ms.error());
  auto gateway = std::make_unique<KioskGateway>(host, std::max<std::int64_t>(*timeout_ms, 1));
  MALLBOTS_TRY(gateway->start(host));
  return gateway;
}

Result<std::unique_ptr<Service>> make_kiosk(Host& host) {
  auto gateway = open_kiosk(host);
  if (!gateway) return std::unexpected(std::move(gateway).error());
  return std::unique_ptr<Service>(*std::move(gateway));
}

}  // namespace mallbots::kiosk
