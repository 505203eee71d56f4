// StreamDoor: robots over gRPC, one bidirectional stream each, on TCP with or without TLS. No
// thread per stream (callback API).
//
// Who calls: the service that owns it; tick() every 100 ms, any thread. `robots` lives longer, and
// is closed before this one: then close() waits for streams at most 2 s. Errors of open():
// BadConfig (an address that is not loopback without TLS; PEM files that are none; a port that is
// taken), Io (a PEM file cannot be read).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "services/gateways/fleet/robots.h"
#include "shm/base/result.h"

namespace grpc {
class Service;
}

namespace mallbots::fleet {

struct StreamDoorOptions {
  std::string bind = "127.0.0.1";
  std::int64_t port = 0;          ///< 0: any free one
  std::string tls_certificate{};  ///< PEM file, the chain; empty: no TLS
  std::string tls_key{};          ///< PEM file
  int handshake_ms = 10'000;      ///< until a connection that is no HTTP/2 (and TLS) is closed
  int idle_ms = 30'000;           ///< until one without a stream is
};

class StreamDoor {
 public:
  [[nodiscard]] static Result<std::unique_ptr<StreamDoor>> open(Robots& robots,
                                                                const StreamDoorOptions& options);
  ~StreamDoor();

  [[nodiscard]] int port() const noexcept;
  /// The same door, to be opened on another server too.
  [[nodiscard]] grpc::Service& service() noexcept;
  /// Cuts streams that were ended 2 s ago and whose robot does not take the end.
  void tick();
  void close();

 private:
  class Impl;
  explicit StreamDoor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mallbots::fleet
