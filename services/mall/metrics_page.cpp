#include "services/mall/metrics_page.h"

#include <algorithm>
#include <charconv>

#include "clients/toolkit/prometheus_metrics.h"
#include "services/mall/registry.h"

namespace mallbots::mall {
namespace {

constexpr const char* kPort = "metrics.port";

Result<std::uint16_t> port_in(const std::string& text, std::size_t further) {
  std::size_t port = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool is_number = read.ec == std::errc{} && read.ptr == text.data() + text.size();
  if (is_number && (port == 0 || (port <= 65'535 && port + further <= 65'535)))
    return static_cast<std::uint16_t>(port == 0 ? 0 : port + further);
  return fail(ErrorCode::kBadConfig,
              std::string{kPort} + " = " + text + ": a port is wanted, at most " +
                  std::to_string(65'535 - further) + ", or 0 for any free one");
}

}  // namespace

Result<std::unique_ptr<gateways::Server>> serve_metrics(Host& host) {
  const std::string wanted = host.setting(kPort, "");
  if (wanted.empty()) return nullptr;
  const auto port = port_in(wanted, 0);
  if (!port) return std::unexpected(port.error());
  gateways::Router router;
  router.get("/metrics", [metrics = host.metrics()](const gateways::Request&) {
    gateways::Response page{.body = toolkit::metrics_text(*metrics)};
    return page.with("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  });
  auto server = gateways::Server::start(
      {.name = "metrics", .port = *port, .workers = 1, .waiting_requests = 16, .connections = 64},
      std::move(router));
  if (!server) return std::unexpected(std::move(server).error());
  MALLBOTS_TRY(
      host.publish_address("metrics." + host.options().name, (*server)->address() + "/metrics"));
  return server;
}

Result<std::string> metrics_port_of(std::string_view service, const std::string& first) {
  const auto all = registry();
  const auto found = std::ranges::find(all, service, &Entry::name);
  const auto port = port_in(first, static_cast<std::size_t>(found - all.begin()));
  if (!port) return std::unexpected(port.error());
  return std::to_string(*port);
}

}  // namespace mallbots::mall
