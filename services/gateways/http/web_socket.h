// WebSockets of a gateway: one handler object for each connection, one bounded queue towards it.
//
//   router.web_socket("/admin/v1/socket", [&](const Request& request) -> AcceptedSocket {
//     if (!is_signed_in(request)) return problem({...});   // answered instead of the upgrade
//     return std::make_unique<BoardSocket>(...);
//   });
//
// Who calls what: the server calls the handler, one call at a time for each connection, on a
// worker; the next message is read when on_text has returned, so a handler that is slow slows its
// own peer down. Anybody may send() at any time from any thread; it never waits.
//
// A peer that does not read fills its queue: send() says kFull and nothing is queued. When the
// queue has emptied, on_room() says so: then send a snapshot. A peer that takes nothing for 30 s,
// or that does not answer pings for 30 s, is closed. Text is UTF-8, a message has at most 64 KiB,
// else the peer is closed (1007, 1009); binary messages close it too (1003).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "services/gateways/http/message.h"

namespace mallbots::gateways {

enum class Sent : std::uint8_t { kQueued, kFull, kClosed };

/// The way to one peer; lives as long as anybody holds it, also after the connection's end.
class SocketPeer {
 public:
  SocketPeer() = default;
  SocketPeer(const SocketPeer&) = delete;
  SocketPeer& operator=(const SocketPeer&) = delete;
  virtual ~SocketPeer() = default;
  [[nodiscard]] virtual Sent send(std::string text) = 0;
  /// What is queued is not sent any more. 1000: done, 1008: not allowed, 1013: try again later.
  virtual void close(std::uint16_t code, std::string reason) = 0;
};

class SocketHandler {
 public:
  SocketHandler() = default;
  SocketHandler(const SocketHandler&) = delete;
  SocketHandler& operator=(const SocketHandler&) = delete;
  virtual ~SocketHandler() = default;
  /// First. The peer may be kept.
  virtual void on_open(std::shared_ptr<SocketPeer> peer) = 0;
  virtual void on_text(const std::string& text) = 0;
  /// After a kFull: there is room again.
  virtual void on_room() {}
  /// Last; the object is destroyed afterwards.
  virtual void on_close() {}
};

/// A handler, or the answer that says why not.
using AcceptedSocket = std::variant<Response, std::unique_ptr<SocketHandler>>;
using AcceptSocket = std::function<AcceptedSocket(const Request&)>;

struct SocketLimits {
  std::size_t queued_messages = 256;
  std::size_t queued_bytes = 1024 * 1024;
  std::int64_t stuck_ms = 30'000;
};

}  // namespace mallbots::gateways
