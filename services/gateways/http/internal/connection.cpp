// One connection that speaks HTTP, until it ends or becomes a WebSocket.
#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <chrono>
#include <ctime>

#include "services/gateways/http/internal/socket_connection.h"

namespace mallbots::gateways {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Message = http::response<http::span_body<const char>>;

constexpr std::size_t kReadBytes = 4096;
constexpr seconds kLinger{2};
constexpr milliseconds kCancelAgain{100};
constexpr std::size_t kLingerBytes = 1024 * 1024;

/// As RFC 9110 wants it: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string date_text() {
  const std::time_t seconds_now = wall_now_ms() / 1000;
  std::tm parts{};
  gmtime_r(&seconds_now, &parts);
  std::array<char, 40> text{};
  const auto size = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text.data(), size};
}

bool has(const Response& answer, std::string_view name) {
  return std::ranges::any_of(answer.headers, [&](const auto& pair) { return pair.first == name; });
}

Response run_handler(const Engine& engine, const Handler& handler, const Request& request) {
  std::string reason;
  try {
    return handler(request);
  } catch (const std::exception& error) {
    reason = error.what();
  }
  if (engine.options.log) {
    engine.options.log({toolkit::Severity::kError,
                        "a handler failed",
                        {{"gateway", engine.options.name}, {"reason", reason}}});
  }
  return problem({500, "failed", "the gateway failed at this request", "tell the operator"});
}

/// A body of which nobody but who wrote it knows where it ends: a proxy in front may see another
/// next request in it than we (RFC 9112, 6.1).
bool has_unknown_end(const http::request_header<http::fields>& head) {
  if (head.count(http::field::transfer_encoding) == 0) return false;
  return head.version() < 11 || !beast::iequals(head[http::field::transfer_encoding], "chunked");
}

/// The answer to bytes that are no request; status 0: just the end.
Response answer_to(beast::error_code bad, bool has_line) {
  using Code = http::error;
  if (bad == Code::header_limit && !has_line) {
    return problem({414, "address-too-long", "the address is too long", "send less in it"});
  }
  if (bad == Code::header_limit || bad == Code::buffer_overflow) {
    return problem({431, "headers-too-large", "the headers are too large", "send fewer of them"});
  }
  if (bad == Code::body_limit) {
    return problem({413, "too-large", "the body is too large", "send less"});
  }
  const bool is_ours = bad.category() == beast::error_code{Code::bad_method}.category();
  if (!is_ours || bad == Code::end_of_stream || bad == Code::partial_message) {
    return {.status = 0};
  }
  return problem({400, "invalid", fmt::format("this is no HTTP/1.1: {}", bad.message()),
                  "correct the request"});
}

template <class Stream>
class HttpConnection final : public Connection,
                             public std::enable_shared_from_this<HttpConnection<Stream>> {
  static constexpr bool kIsTls = std::is_same_v<Stream, TlsStream>;

 public:
  HttpConnection(Engine& engine, Stream stream, std::unique_ptr<Lobby::Place> place)
      : engine_(engine),
        stream_(std::move(stream)),
        timer_(engine.io),
        buffer_(engine.options.header_bytes + kReadBytes),
        place_(std::move(place)) {
    beast::error_code bad;
    const auto endpoint = beast::get_lowest_layer(stream_).socket().remote_endpoint(bad);
    peer_ = {place_->peer(), !bad && is_loopback_address(endpoint.address()), kIsTls};
  }

  static bool is_loopback_address(const asio::ip::address& address) {
    if (address.is_v6() && address.to_v6().is_v4_mapped()) {
      return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).is_loopback();
    }
    return address.is_loopback();
  }

  void begin() {
    place_->seat(this->shared_from_this());
    if constexpr (kIsTls) {
      lowest().expires_after(milliseconds{engine_.options.request_ms});
      stream_.async_handshake(asio::ssl::stream_base::server,
                              [self = this->shared_from_this()](beast::error_code bad) {
                                if (!bad) self->wait();
                              });
    } else {
      wait();
    }
  }

  void stop() override {
    if (is_idle_) lowest().close();
  }

 private:
  beast::tcp_stream& lowest() { return beast::get_lowest_layer(stream_); }

  // --- In

  /// For the first byte of a request.
  void wait() {
    lowest().expires_never();
    if (engine_.is_stopping) return finish();
    if (buffer_.size() > 0) return read_head();
    is_idle_ = true;
    lowest().expires_after(milliseconds{engine_.options.idle_ms});
    stream_.async_read_some(
        buffer_.prepare(kReadBytes),
        [self = this->shared_from_this()](beast::error_code bad, std::size_t size) {
          self->is_idle_ = false;
          if (bad) return;
          self->buffer_.commit(size);
          self->read_head();
        });
  }

  void read_head() {
    ++engine_.counters.requests;
    limit_request();
    keep_alive_ = false;
    is_head_ = false;
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(engine_.options.header_bytes));
    parser_->body_limit(engine_.body_bytes);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = this->shared_from_this()](beast::error_code bad, std::size_t) {
                              if (bad) return self->broken(bad);
                              self->decide();
                            });
  }

  /// The whole request within one limit; not the stream's own, which leaves no way to answer.
  void limit_request() {
    lowest().expires_never();
    is_late_ = false;
    is_reading_ = true;
    end_after(milliseconds{engine_.options.request_ms});
  }
  /// Again and again: what has just been read is not there to be canceled, and is read on from.
  void end_after(milliseconds limit) {
    timer_.expires_after(limit);
    timer_.async_wait([self = this->shared_from_this()](beast::error_code canceled) {
      if (canceled || !self->is_reading_) return;
      self->is_late_ = true;
      self->lowest().cancel();
      self->end_after(kCancelAgain);
    });
  }

  void broken(beast::error_code bad) {
    end_reading();
    if (is_late_) {
      return answer(problem(
          {408, "too-slow", "the request did not come in in time", "send it faster, or in parts"}));
    }
    Response refusal = answer_to(bad, !parser_->get().target().empty());
    if (refusal.status == 0) return finish();
    answer(std::move(refusal));
  }
  void end_reading() {
    is_reading_ = false;
    timer_.cancel();
  }

  void decide() {
    const auto& head = parser_->get();
    if (has_unknown_end(head)) {
      end_reading();
      return answer(problem({400, "invalid", "the Transfer-Encoding is not plainly chunked",
                             "send a Content-Length, or chunks in HTTP/1.1"}));
    }
    BodyAhead ahead{parser_->chunked(), std::nullopt};
    if (const auto length = parser_->content_length()) ahead.length = *length;
    intake_ = take_in(engine_, peer_, head.base(), ahead);
    is_head_ = intake_.is_head;
    const bool has_body = !parser_->is_done();
    keep_alive_ = parser_->keep_alive();
    if (intake_.answer) {
      end_reading();
      // What is left of the body cannot be told from a next request.
      if (has_body) keep_alive_ = false;
      return answer(*std::move(intake_.answer));
    }
    if (!has_body) return dispatch();
    if (beast::iequals(head[http::field::expect], "100-continue")) return invite();
    read_body();
  }

  void invite() {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(stream_, asio::buffer(kContinue),
                      [self = this->shared_from_this()](beast::error_code bad, std::size_t) {
                        if (bad) return self->broken(bad);
                        self->read_body();
                      });
  }

  void read_body() {
    http::async_read(stream_, buffer_, *parser_,
                     [self = this->shared_from_this()](beast::error_code bad, std::size_t) {
                       self->keep_alive_ = !bad && self->parser_->keep_alive();
                       if (bad) return self->broken(bad);
                       self->dispatch();
                     });
  }

  // --- What is asked for

  void dispatch() {
    end_reading();
    if (intake_.route->accept) return accept_socket();
    if (intake_.route->body == Body::kJson) {
      intake_.request.body = std::move(parser_->get().body());
      if (intake_.request.body.size() > intake_.route->body_bytes) {
        return answer(answer_to(http::error::body_limit, true));
      }
    }
    const bool is_taken = engine_.workers->submit([self = this->shared_from_this()] {
      auto response = std::make_shared<Response>(
          run_handler(self->engine_, self->intake_.route->handler, self->intake_.request));
      asio::post(self->engine_.io, [self, response] { self->answer(std::move(*response)); });
    });
    if (!is_taken) overloaded();
  }

  void overloaded() {
    ++engine_.counters.overloaded;
    answer(unavailable("the gateway has more requests than it can handle"));
  }

  void accept_socket() {
    if (!beast::websocket::is_upgrade(parser_->get())) {
      Response refusal = problem({426, "socket-only", "a WebSocket is spoken here, not plain HTTP",
                                  "ask for an upgrade to websocket, version 13"});
      return answer(std::move(refusal.with("Upgrade", "websocket")));
    }
    const bool is_taken = engine_.workers->submit([self = this->shared_from_this()] {
      auto accepted = std::make_shared<AcceptedSocket>(Response{.status = 500});
      const Handler accept = [&](const Request& request) {
        *accepted = self->intake_.route->accept(request);
        auto* refusal = std::get_if<Response>(accepted.get());
        return refusal == nullptr ? Response{} : std::move(*refusal);
      };
      auto response =
          std::make_shared<Response>(run_handler(self->engine_, accept, self->intake_.request));
      asio::post(self->engine_.io, [self, accepted, response] {
        auto* handler = std::get_if<std::unique_ptr<SocketHandler>>(accepted.get());
        if (handler == nullptr) return self->answer(std::move(*response));
        self->upgrade(std::move(*handler));
      });
    });
    if (!is_taken) overloaded();
  }

  void upgrade(std::unique_ptr<SocketHandler> handler) {
    if (engine_.is_stopping || buffer_.size() > 0) {
      return answer(unavailable("the socket cannot be opened now"));
    }
    begin_socket(engine_, std::move(stream_),
                 {std::move(handler), std::move(place_),
                  http::request<http::empty_body>(std::move(parser_->get().base()))});
  }

  // --- Out

  void answer(Response response) {
    if (response.status >= 500) ++engine_.counters.answered_5xx;
    if (response.status >= 400 && response.status < 500) ++engine_.counters.answered_4xx;
    if (engine_.is_stopping) keep_alive_ = false;
    answer_ = std::move(response);
    const std::string_view bytes = answer_.bytes();
    Message& message = message_.emplace();
    message.version(11);
    message.result(static_cast<unsigned>(answer_.status));
    message.set(http::field::date, date_text());
    message.set("X-Content-Type-Options", "nosniff");
    if (!has(answer_, "Cache-Control")) message.set(http::field::cache_control, "no-store");
    for (const auto& [name, value] : answer_.headers) message.insert(name, value);
    message.keep_alive(keep_alive_);
    const bool has_none = answer_.status == 204 || answer_.status == 304;
    if (!has_none) message.content_length(bytes.size());
    if (!has_none && !is_head_) message.body() = {bytes.data(), bytes.size()};
    lowest().expires_after(milliseconds{engine_.options.write_ms});
    http::async_write(stream_, message,
                      [self = this->shared_from_this()](beast::error_code bad, std::size_t) {
                        if (bad) return;
                        if (self->keep_alive_) return self->wait();
                        self->finish();
                      });
  }

  /// Lets the peer read what was said before the connection goes: bytes that are still coming would
  /// make the system throw it away.
  void finish() {
    lowest().expires_after(kLinger);
    if constexpr (kIsTls) {
      stream_.async_shutdown(
          [self = this->shared_from_this()](beast::error_code) { self->lowest().close(); });
    } else {
      beast::error_code ignored;
      static_cast<void>(lowest().socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored));
      drain(kLingerBytes);
    }
  }
  void drain(std::size_t most) {
    buffer_.clear();
    lowest().async_read_some(
        buffer_.prepare(kReadBytes),
        [self = this->shared_from_this(), most](beast::error_code bad, std::size_t size) {
          if (bad || size >= most) return self->lowest().close();
          self->drain(most - size);
        });
  }

  Engine& engine_;
  Stream stream_;
  asio::steady_timer timer_;
  beast::flat_buffer buffer_;
  std::unique_ptr<Lobby::Place> place_;
  Peer peer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  Intake intake_;
  Response answer_;
  std::optional<Message> message_;
  bool is_idle_ = false;     ///< no request has begun
  bool is_reading_ = false;  ///< a request
  bool is_late_ = false;
  bool is_head_ = false;
  bool keep_alive_ = false;
};

}  // namespace

void begin_connection(Engine& engine, asio::ip::tcp::socket socket,
                      std::unique_ptr<Lobby::Place> place) {
  if (engine.tls) {
    std::make_shared<HttpConnection<TlsStream>>(engine, TlsStream(std::move(socket), *engine.tls),
                                                std::move(place))
        ->begin();
  } else {
    std::make_shared<HttpConnection<PlainStream>>(engine, PlainStream(std::move(socket)),
                                                  std::move(place))
        ->begin();
  }
}

}  // namespace mallbots::gateways
