// Outboxes: what the services of the mall have committed and not yet published, whichever processes
// they run in. Each process tells of its own (host_api.proto, on the sockets of its services);
// OutboxWatch asks all sockets there are. gRPC and not a topic: an outbox grows when the broker is
// away.
//
// Who calls: make_host_api() the host; OutboxWatch::ask() any thread, one after the other; it takes
// 500 ms if a process does not answer, else a few.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "clients/toolkit/store/refused.h"

namespace grpc {
class Service;
}
namespace prometheus {
class Registry;
}

namespace mallbots {

inline constexpr std::size_t kShownRefused = 10;

struct OutboxBacklog {
  std::string service;
  std::int64_t waiting = 0;
  std::int64_t oldest_ms = 0;                             ///< age
  std::int64_t refused = 0;                               ///< set aside: no bus will ever take them
  std::vector<toolkit::RefusedMessage> newest_refused{};  ///< newest first, kShownRefused at most
  /// False: its process does not answer; the figures are what it told last.
  bool is_current = true;
};

/// Asked for a service that has some; any thread.
using RefusedOf = std::function<std::vector<toolkit::RefusedMessage>(const std::string& service)>;

/// HostService over what toolkit::ServiceMetrics keeps there.
[[nodiscard]] std::shared_ptr<grpc::Service> make_host_api(
    std::shared_ptr<prometheus::Registry> metrics, RefusedOf refused_of);

class OutboxWatch {
 public:
  explicit OutboxWatch(std::string socket_dir);
  OutboxWatch(const OutboxWatch&) = delete;
  OutboxWatch& operator=(const OutboxWatch&) = delete;
  ~OutboxWatch();

  /// By service. A process that has never told has none here.
  [[nodiscard]] std::vector<OutboxBacklog> ask();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mallbots
