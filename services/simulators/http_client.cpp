#include "services/simulators/http_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <chrono>
#include <optional>
#include <thread>

#include "shm/base/clock.h"

namespace mallbots::simulators {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::chrono::seconds kOnePatience{15};
constexpr std::int64_t kFirstPauseMs = 20;
constexpr std::int64_t kLastPauseMs = 1'000;
constexpr std::size_t kMaxAnswerBytes = 64 << 20;

Error trouble(const HttpAddress& address, std::string_view what) {
  return {ErrorCode::kIo, fmt::format("{}:{}: {}", address.host, address.port, what)};
}

int number_of(std::string_view text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

http::request<http::string_body> message_of(const Question& question, const HttpAddress& address) {
  http::request<http::string_body> message;
  message.method_string(question.method);
  message.target(question.path);
  message.version(11);
  message.set(http::field::host, fmt::format("{}:{}", address.host, address.port));
  for (const auto& [name, value] : question.headers) message.set(name, value);
  if (!question.body.empty()) {
    message.set(http::field::content_type, "application/json");
    message.body() = question.body;
  }
  message.prepare_payload();
  return message;
}

}  // namespace

struct HttpClient::Connection {
  asio::io_context io;
  beast::tcp_stream stream{io};
  beast::flat_buffer buffer;

  /// Runs one asynchronous operation to its end, at most kOnePatience.
  template <class Begin>
  beast::error_code complete(const Begin& begin) {
    beast::error_code ended;
    io.restart();
    stream.expires_after(kOnePatience);
    begin([&ended](beast::error_code error, auto&&...) { ended = error; });
    io.run();
    return ended;
  }
};

Result<HttpAddress> HttpAddress::parse(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  std::string_view rest = url;
  HttpAddress address;
  if (rest.starts_with(kScheme)) {
    rest.remove_prefix(kScheme.size());
    while (rest.ends_with('/')) rest.remove_suffix(1);
    const std::size_t colon = rest.rfind(':');
    address.host = rest.substr(0, colon);
    if (colon != std::string_view::npos) {
      const std::string_view port = rest.substr(colon + 1);
      const char* const end = port.data() + port.size();
      const auto parsed = std::from_chars(port.data(), end, address.port);
      if (parsed.ec != std::errc{} || parsed.ptr != end) address.port = 0;
    }
  }
  if (address.host.empty() || address.port == 0) {
    return std::unexpected(
        Error{ErrorCode::kBadArgument, fmt::format("'{}' is not http://HOST:PORT", url)});
  }
  return address;
}

HttpClient::HttpClient(HttpAddress address, std::int64_t patience_ms)
    : address_(std::move(address)), patience_ms_(patience_ms) {}
HttpClient::~HttpClient() = default;

Result<Answer> HttpClient::ask_once(const Question& question) {
  if (!connection_) {
    connection_ = std::make_unique<Connection>();
    beast::error_code error;
    const auto host =
        asio::ip::make_address(address_.host == "localhost" ? "127.0.0.1" : address_.host, error);
    if (error) return std::unexpected(trouble(address_, "not an IP address"));
    error = connection_->complete([&](auto done) {
      connection_->stream.async_connect(asio::ip::tcp::endpoint{host, address_.port}, done);
    });
    if (error) return std::unexpected(trouble(address_, error.message()));
    connection_->stream.socket().set_option(asio::ip::tcp::no_delay{true}, error);
  }
  const auto message = message_of(question, address_);
  beast::error_code error = connection_->complete(
      [&](auto done) { http::async_write(connection_->stream, message, done); });
  if (error) return std::unexpected(trouble(address_, error.message()));
  http::response_parser<http::string_body> parser;
  parser.body_limit(kMaxAnswerBytes);
  error = connection_->complete(
      [&](auto done) { http::async_read(connection_->stream, connection_->buffer, parser, done); });
  if (error) return std::unexpected(trouble(address_, error.message()));
  auto response = parser.release();
  Answer answer{.status = static_cast<int>(response.result_int()),
                .body = std::move(response.body())};
  const std::string_view cookie = response[http::field::set_cookie];
  answer.cookie = cookie.substr(0, cookie.find(';'));
  answer.retry_after_s = number_of(response[http::field::retry_after]);
  if (!response.keep_alive()) connection_.reset();
  return answer;
}

Result<Answer> HttpClient::ask(const Question& question) {
  const Deadline deadline = Deadline::after_ms(patience_ms_);
  std::string in_the_way;
  ++questions_;
  for (std::int64_t pause_ms = kFirstPauseMs;; pause_ms = std::min(2 * pause_ms, kLastPauseMs)) {
    auto answer = ask_once(question);
    if (answer && answer->status != 429 && answer->status != 503) return answer;
    if (!answer) connection_.reset();
    in_the_way = answer ? fmt::format("{} {}", answer->status, answer->body.substr(0, 300))
                        : answer.error().sentence();
    if (deadline.has_passed()) {
      return std::unexpected(Error{ErrorCode::kTimeout,
                                   fmt::format("{} {}: no answer within {} s: {}", question.method,
                                               question.path, patience_ms_ / 1'000, in_the_way)});
    }
    ++repetitions_;
    const std::int64_t wanted_ms = answer ? answer->retry_after_s * 1'000 : 0;
    // sleep: a person waits before asking again, as Retry-After says
    std::this_thread::sleep_for(
        std::chrono::milliseconds{std::clamp(wanted_ms, pause_ms, 5 * kLastPauseMs)});
  }
}

}  // namespace mallbots::simulators
