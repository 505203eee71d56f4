#include "services/gateways/http/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <thread>

#include "services/gateways/http/internal/engine.h"
#include "services/gateways/http/internal/target.h"
#include "services/runtime/port_owner.h"

namespace mallbots::gateways {
namespace {

using asio::ip::tcp;

Result<void> load_tls(Engine& engine) {
  const ServerOptions& options = engine.options;
  if (options.tls_certificate.empty() && options.tls_key.empty()) return {};
  if (options.tls_certificate.empty() || options.tls_key.empty()) {
    return fail(ErrorCode::kBadConfig,
                fmt::format("{0}.tls_certificate and {0}.tls_key go together, one is missing",
                            options.name));
  }
  auto& tls = engine.tls.emplace(asio::ssl::context::tls_server);
  boost::system::error_code bad;
  static_cast<void>(
      tls.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                          asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 |
                          asio::ssl::context::no_tlsv1_1,
                      bad));
  if (!bad) static_cast<void>(tls.use_certificate_chain_file(options.tls_certificate, bad));
  if (bad) {
    return fail(
        ErrorCode::kBadConfig,
        fmt::format("{}.tls_certificate = '{}': {}; it must be a readable PEM file with the "
                    "certificate first",
                    options.name, options.tls_certificate, bad.message()));
  }
  static_cast<void>(tls.use_private_key_file(options.tls_key, asio::ssl::context::pem, bad));
  if (bad) {
    return fail(ErrorCode::kBadConfig,
                fmt::format("{}.tls_key = '{}': {}; it must be a readable PEM file with the "
                            "certificate's key, without a password",
                            options.name, options.tls_key, bad.message()));
  }
  return {};
}

/// Its name may stand in Host.
Result<void> heed_public_origin(ServerOptions& options) {
  if (options.public_origin.empty()) return {};
  constexpr std::string_view kScheme = "https://";
  const std::string_view text = options.public_origin;
  const std::string_view host = text.substr(std::min(kScheme.size(), text.size()));
  const bool is_plain = text.starts_with(kScheme) &&
                        host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.:[]") ==
                            std::string_view::npos &&
                        !host.ends_with(':') && !host.ends_with(":443");
  std::string name = is_plain ? host_without_port(host) : std::string();
  if (name.empty()) {
    return fail(ErrorCode::kBadConfig,
                fmt::format("{}.public_origin = '{}' is not as browsers write an origin: "
                            "https://mall.example, in small letters, with a port unless it is 443, "
                            "and nothing behind it",
                            options.name, text));
  }
  options.host_names.push_back(std::move(name));
  return {};
}

Result<tcp::endpoint> endpoint_of(const ServerOptions& options) {
  boost::system::error_code bad;
  const std::string text = options.bind == "localhost" ? "127.0.0.1" : options.bind;
  const auto address = asio::ip::make_address(text, bad);
  if (bad) {
    return fail(ErrorCode::kBadConfig,
                fmt::format("{}.bind = '{}' is no IP address; use 127.0.0.1, ::1 or one of this "
                            "machine's",
                            options.name, options.bind));
  }
  if (!address.is_loopback() && options.tls_certificate.empty()) {
    return fail(ErrorCode::kBadConfig,
                fmt::format("{0}.bind = '{1}' is open to other machines, and there is no TLS: set "
                            "{0}.tls_certificate and {0}.tls_key to PEM files, or bind 127.0.0.1",
                            options.name, options.bind));
  }
  return tcp::endpoint{address, options.port};
}

Result<void> listen(tcp::acceptor& acceptor, const tcp::endpoint& endpoint,
                    const std::string& name) {
  boost::system::error_code bad;
  static_cast<void>(acceptor.open(endpoint.protocol(), bad));
  if (!bad) static_cast<void>(acceptor.set_option(tcp::acceptor::reuse_address{true}, bad));
  if (!bad) static_cast<void>(acceptor.bind(endpoint, bad));
  if (!bad) static_cast<void>(acceptor.listen(asio::socket_base::max_listen_connections, bad));
  if (!bad) return {};
  const std::string where = fmt::format("{}.bind, {}.port: {}:{}", name, name,
                                        endpoint.address().to_string(), endpoint.port());
  if (bad != asio::error::address_in_use) {
    return fail(ErrorCode::kBadConfig, fmt::format("{}: {}", where, bad.message()));
  }
  const auto owner = owner_of_port(endpoint.port());
  const std::string who =
      owner ? fmt::format("process {} ({}) has it", owner->pid, owner->name) : "somebody has it";
  return fail(ErrorCode::kBadConfig,
              fmt::format("{}: {}; end it, or set {}.port to another port or 0", where, who, name));
}

}  // namespace

std::vector<std::string> host_names_in(const std::string& list) {
  std::vector<std::string> names;
  std::size_t from = 0;
  while (from < list.size()) {
    const auto comma = std::min(list.find(',', from), list.size());
    if (comma > from) names.push_back(list.substr(from, comma - from));
    from = comma + 1;
  }
  return names;
}

class Server::Parts {
 public:
  Parts(ServerOptions options, Router router)
      : engine_(std::move(options), std::move(router)), acceptor_(engine_.io), rest_(engine_.io) {}
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  ~Parts() { stop(); }

  Result<void> start() {
    auto endpoint = endpoint_of(engine_.options);
    if (!endpoint) return std::unexpected(std::move(endpoint).error());
    engine_.is_loopback = endpoint->address().is_loopback();
    MALLBOTS_TRY(heed_public_origin(engine_.options));
    MALLBOTS_TRY(load_tls(engine_));
    MALLBOTS_TRY(listen(acceptor_, *endpoint, engine_.options.name));
    bound_ = acceptor_.local_endpoint();
    accept();
    has_work_.emplace(engine_.io.get_executor());
    thread_ = std::thread{[this] { engine_.io.run(); }};
    return {};
  }

  void stop() {
    if (!thread_.joinable()) return;
    asio::post(engine_.io, [this] {
      engine_.is_stopping = true;
      acceptor_.close();
      rest_.cancel();
      for (const auto& connection : engine_.lobby.all()) connection->stop();
    });
    engine_.lobby.wait_until_empty(engine_.options.stop_ms);
    engine_.io.stop();
    thread_.join();
    engine_.workers.reset();
    engine_.socket_workers.reset();
    for (const auto& connection : engine_.lobby.all()) connection->abandon();
  }

  [[nodiscard]] const tcp::endpoint& bound() const noexcept { return bound_; }
  [[nodiscard]] Engine& engine() noexcept { return engine_; }

 private:
  void accept() {
    acceptor_.async_accept([this](boost::system::error_code bad, tcp::socket socket) {
      if (bad == asio::error::operation_aborted) return;
      if (bad) return rest();
      greet(std::move(socket));
      accept();
    });
  }
  /// Out of descriptors, perhaps: not again at once.
  void rest() {
    rest_.expires_after(std::chrono::milliseconds{100});
    rest_.async_wait([this](boost::system::error_code canceled) {
      if (!canceled) accept();
    });
  }

  void greet(tcp::socket socket) {
    boost::system::error_code bad;
    const auto peer = socket.remote_endpoint(bad);
    if (bad) return;
    static_cast<void>(socket.set_option(tcp::no_delay{true}, bad));
    auto place = engine_.lobby.enter(peer.address().to_string(), peer.address().is_loopback());
    if (place) return begin_connection(engine_, std::move(socket), std::move(place));
    ++engine_.counters.overloaded;
    if (engine_.tls) return;
    // So few bytes fit into any socket's buffer: nobody waits for the peer.
    static constexpr std::string_view kFull =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
        "Connection: close\r\n\r\n";
    static_cast<void>(socket.non_blocking(true, bad));
    static_cast<void>(socket.write_some(asio::buffer(kFull), bad));
  }

  Engine engine_;
  tcp::acceptor acceptor_;
  asio::steady_timer rest_;
  /// While a worker has the only request there is nothing else to wait for.
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> has_work_;
  tcp::endpoint bound_;
  std::thread thread_;
};

Server::Server(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Router router) {
  auto parts = std::make_unique<Parts>(std::move(options), std::move(router));
  MALLBOTS_TRY(parts->start());
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

void Server::stop() { parts_->stop(); }

std::uint16_t Server::port() const noexcept { return parts_->bound().port(); }

std::string Server::address() const {
  const auto address = parts_->bound().address();
  const std::string host =
      address.is_v6() ? fmt::format("[{}]", address.to_string()) : address.to_string();
  return fmt::format("{}://{}:{}", parts_->engine().tls ? "https" : "http", host, port());
}

ServerFigures Server::figures() const noexcept {
  Engine& engine = parts_->engine();
  const Counters& counters = engine.counters;
  ServerFigures figures;
  figures.requests = counters.requests;
  figures.answered_4xx = counters.answered_4xx;
  figures.answered_5xx = counters.answered_5xx;
  figures.overloaded = counters.overloaded;
  figures.connections_now = engine.lobby.size();
  figures.sockets_now = counters.sockets_now;
  figures.sockets_full = counters.sockets_full;
  return figures;
}

}  // namespace mallbots::gateways
