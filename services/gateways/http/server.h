// Server: HTTP/1.1 and WebSockets for the gateways, on TCP, with or without TLS.
//
// Who calls: a gateway; start(), stop() and the rest from any one thread. One thread of the server
// moves bytes; handlers run on `workers` others, because they wait for contexts. More requests than
// `workers` + `waiting_requests` are answered with 503 and Retry-After at once.
//
// Limits on peers: the fields below. Answers to what breaks them: 400 malformed, 408 too slow, 411
// a body without a length, 413, 414, 415, 421 a Host that is not ours, 429, 431, 503; never a
// crash, and the connection ends where its bytes cannot be told apart any more. A page of another
// origin (header Origin) may only read (403). Pipelined requests are answered in order.
//
// Errors of start(): BadConfig (an address that is none; one that is not loopback without TLS: the
// sentence names the settings that mend it; a certificate or key that cannot be read; a port that
// is taken: names the process that has it, if this user may see it; a public origin of another
// form), Io.
//
// stop() takes no new connections, lets requests that are being handled finish (at most
// `stop_ms`), then closes everything. No handler runs after it. A crash leaves nothing behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "clients/toolkit/log.h"
#include "services/gateways/http/router.h"
#include "services/gateways/http/web_socket.h"
#include "shm/base/result.h"

namespace mallbots::gateways {

struct ServerOptions {
  std::string name;  ///< of the gateway: prefix of its settings in messages ("kiosk.port")
  std::string bind = "127.0.0.1";
  std::uint16_t port = 0;         ///< 0: any free one
  std::string tls_certificate{};  ///< PEM file, the chain; empty: no TLS
  std::string tls_key{};          ///< PEM file
  /// Names under which pages reach it, beside the address and localhost: "mall.example". Only these
  /// are accepted in Host when bound to loopback (a page elsewhere may point its name there).
  std::vector<std::string> host_names{};
  /// What browsers call this server if somebody in front of it ends TLS, as they write it in
  /// Origin: "https://mall.example". Then requests count as come over TLS, pages of this origin
  /// alone are its own, and its name is one of host_names. Empty: nobody is in front.
  std::string public_origin{};

  std::size_t workers = 16;
  std::size_t waiting_requests = 256;
  std::size_t connections = 1024;
  std::size_t connections_of_peer = 256;  ///< of one address; loopback has no such limit
  double requests_per_s = 200;            ///< of one address that is not loopback; 0: no limit
  double burst = 400;
  std::size_t header_bytes = 16 * 1024;
  std::size_t target_bytes = 4 * 1024;
  std::int64_t request_ms = 10'000;  ///< from a request's first byte to its last
  std::int64_t idle_ms = 60'000;     ///< between requests
  std::int64_t write_ms = 30'000;    ///< for an answer to be taken
  std::int64_t stop_ms = 10'000;
  SocketLimits socket{};
  toolkit::Log log{};  ///< none: silent
};

/// ServerOptions::host_names of a setting that has commas between them.
[[nodiscard]] std::vector<std::string> host_names_in(const std::string& list);

struct ServerFigures {
  std::uint64_t requests = 0;
  std::uint64_t answered_5xx = 0;
  std::uint64_t answered_4xx = 0;
  std::uint64_t overloaded = 0;  ///< 503 because the workers were full
  std::uint64_t connections_now = 0;
  std::uint64_t sockets_now = 0;   ///< WebSockets
  std::uint64_t sockets_full = 0;  ///< messages not queued because the peer was behind
};

class Server {
 public:
  /// The router is whole.
  [[nodiscard]] static Result<std::unique_ptr<Server>> start(ServerOptions options, Router router);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();  ///< stop()

  void stop();
  [[nodiscard]] std::uint16_t port() const noexcept;
  [[nodiscard]] std::string address() const;  ///< "http://127.0.0.1:8080"
  [[nodiscard]] ServerFigures figures() const noexcept;

 private:
  class Parts;
  explicit Server(std::unique_ptr<Parts> parts) noexcept;
  std::unique_ptr<Parts> parts_;
};

}  // namespace mallbots::gateways
