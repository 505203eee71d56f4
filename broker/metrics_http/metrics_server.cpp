#include "broker/metrics_http/metrics_server.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "broker/event_log.h"
#include "broker/folders.h"
#include "broker/units.h"
#include "shm/region/fd.h"

namespace mallbots::broker {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::chrono::seconds kAnswerLimit{2};
constexpr std::chrono::seconds kClientLimit{5};
constexpr std::size_t kRequestBytes = 8192;
constexpr std::string_view kUnixPrefix = "unix:";

/// One of the two.
struct Address {
  std::optional<asio::ip::tcp::endpoint> tcp;
  std::string unix_path;
};

Result<Address> parse_address(const std::string& listen) {
  Address address;
  if (listen.starts_with(kUnixPrefix)) {
    address.unix_path = listen.substr(kUnixPrefix.size());
    if (!address.unix_path.starts_with('/') || address.unix_path.size() > 107)
      return fail(ErrorCode::kBadConfig,
                  fmt::format("metrics.listen = '{}': the path must be absolute and at most 107 "
                              "bytes long",
                              listen));
    return address;
  }
  const auto colon = listen.rfind(':');
  std::string host = listen.substr(0, colon == std::string::npos ? 0 : colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto port =
      colon == std::string::npos ? std::nullopt : parse_number(listen.substr(colon + 1));
  boost::system::error_code bad;
  const auto ip = asio::ip::make_address(host, bad);
  if (bad || !port || *port > 65'535)
    return fail(ErrorCode::kBadConfig,
                fmt::format("metrics.listen = '{}' is neither ADDRESS:PORT nor unix:PATH", listen));
  if (!ip.is_loopback())
    return fail(ErrorCode::kBadConfig,
                fmt::format("metrics.listen = '{}' is open to other machines, and there is no "
                            "password on it: use 127.0.0.1, [::1] or unix:PATH",
                            listen));
  address.tcp = asio::ip::tcp::endpoint{ip, static_cast<unsigned short>(*port)};
  return address;
}

}  // namespace

/// The thread and all that it touches. Single-threaded inside; mutex_ guards the hand-over.
class MetricsServer::Server {
 public:
  using Protocol = asio::generic::stream_protocol;
  using Acceptor = asio::basic_socket_acceptor<Protocol>;

  Result<void> open(const std::string& listen, const Address& address) {
    request_ = shm::UniqueFd{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    boost::system::error_code bad;
    if (address.tcp) {
      static_cast<void>(acceptor_.open(Protocol{address.tcp->protocol()}, bad));
      if (!bad)
        static_cast<void>(acceptor_.set_option(asio::socket_base::reuse_address{true}, bad));
      if (!bad) static_cast<void>(acceptor_.bind(Protocol::endpoint{*address.tcp}, bad));
    } else {
      unix_path_ = address.unix_path;
      MALLBOTS_TRY(remove_stale_socket(unix_path_));
      static_cast<void>(acceptor_.open(Protocol{asio::local::stream_protocol{}}, bad));
      if (!bad)
        static_cast<void>(acceptor_.bind(
            Protocol::endpoint{asio::local::stream_protocol::endpoint{unix_path_}}, bad));
    }
    if (!bad) static_cast<void>(acceptor_.listen(asio::socket_base::max_listen_connections, bad));
    if (bad || !request_)
      return fail(ErrorCode::kIo, fmt::format("metrics.listen = '{}': {}", listen, bad.message()));
    thread_ = std::thread{[this] { serve(); }};
    return {};
  }

  ~Server() {
    {
      const std::lock_guard lock{mutex_};
      stopping_ = true;
    }
    answered_.notify_all();
    context_.stop();
    if (thread_.joinable()) thread_.join();
    if (!unix_path_.empty()) static_cast<void>(remove_stale_socket(unix_path_));
  }

  void answer(MetricsSnapshot snapshot) {
    std::uint64_t count = 0;
    static_cast<void>(read(request_.get(), &count, sizeof count));
    {
      const std::lock_guard lock{mutex_};
      snapshot_ = std::move(snapshot);
    }
    answered_.notify_all();
  }

  [[nodiscard]] int request_fd() const noexcept { return request_.get(); }
  [[nodiscard]] unsigned short port() const noexcept {
    boost::system::error_code bad;
    const auto endpoint = acceptor_.local_endpoint(bad);
    if (bad || !unix_path_.empty()) return 0;
    asio::ip::tcp::endpoint tcp;
    std::memcpy(tcp.data(), endpoint.data(), std::min(endpoint.size(), tcp.capacity()));
    return tcp.port();
  }

 private:
  void serve() {
    accept();
    context_.run();
  }

  void accept() {
    acceptor_.async_accept([this](boost::system::error_code bad, Protocol::socket socket) {
      if (bad == asio::error::operation_aborted) return;
      if (bad) return rest();
      begin(std::move(socket));
    });
  }

  /// Out of descriptors, perhaps: not again at once.
  void rest() {
    timer_.expires_after(std::chrono::milliseconds{100});
    timer_.async_wait([this](boost::system::error_code) { accept(); });
  }

  using Stream = beast::basic_stream<Protocol>;

  void begin(Protocol::socket socket) {
    stream_.emplace(std::move(socket));
    stream_->expires_after(kClientLimit);
    buffer_.emplace(kRequestBytes);
    request_message_ = {};
    http::async_read(*stream_, *buffer_, request_message_,
                     [this](boost::system::error_code bad, std::size_t) {
                       if (bad) return finish();
                       reply();
                     });
  }

  void reply() {
    response_ = {};
    response_.version(request_message_.version());
    response_.keep_alive(false);
    response_.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    if (request_message_.target() != "/metrics") {
      response_.result(http::status::not_found);
      response_.body() = "the page is /metrics\n";
    } else if (request_message_.method() != http::verb::get) {
      response_.result(http::status::method_not_allowed);
      response_.body() = "GET only\n";
    } else if (auto snapshot = ask()) {
      response_.body() = metrics_text(*snapshot);
    } else {
      response_.result(http::status::service_unavailable);
      response_.body() = "the broker did not answer in time\n";
    }
    response_.prepare_payload();
    stream_->expires_after(kClientLimit);
    http::async_write(*stream_, response_,
                      [this](boost::system::error_code, std::size_t) { finish(); });
  }

  /// Asks the control thread. Nothing else is going on in this thread meanwhile.
  std::optional<MetricsSnapshot> ask() {
    std::unique_lock lock{mutex_};
    snapshot_.reset();
    const std::uint64_t one = 1;
    static_cast<void>(write(request_.get(), &one, sizeof one));
    answered_.wait_for(lock, kAnswerLimit, [this] { return snapshot_ || stopping_; });
    return std::exchange(snapshot_, std::nullopt);
  }

  void finish() {
    stream_.reset();
    accept();
  }

  asio::io_context context_{1};
  Acceptor acceptor_{context_};
  asio::steady_timer timer_{context_};
  std::string unix_path_;
  std::optional<Stream> stream_;
  std::optional<beast::flat_buffer> buffer_;
  http::request<http::empty_body> request_message_;
  http::response<http::string_body> response_;

  shm::UniqueFd request_;
  std::mutex mutex_;
  std::condition_variable answered_;
  std::optional<MetricsSnapshot> snapshot_;
  bool stopping_ = false;
  std::thread thread_;
};

MetricsServer::MetricsServer(std::unique_ptr<Server> server) : server_(std::move(server)) {}
MetricsServer::~MetricsServer() = default;

Result<void> MetricsServer::check(const std::string& listen) {
  if (auto address = parse_address(listen); !address)
    return std::unexpected(std::move(address).error());
  return {};
}

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(const std::string& listen) {
  const auto address = parse_address(listen);
  if (!address) return std::unexpected(address.error());
  auto server = std::make_unique<Server>();
  MALLBOTS_TRY(server->open(listen, *address));
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(server)));
}

int MetricsServer::request_fd() const noexcept { return server_->request_fd(); }
void MetricsServer::answer(MetricsSnapshot snapshot) { server_->answer(std::move(snapshot)); }
unsigned short MetricsServer::port() const noexcept { return server_->port(); }

}  // namespace mallbots::broker
