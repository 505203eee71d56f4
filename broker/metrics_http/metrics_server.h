// MetricsServer: GET /metrics for Prometheus, on a thread of its own (Boost.Beast), off unless
// `metrics.listen` is set. Serves loopback addresses and Unix sockets only.
//
// Nothing is counted for it while nobody asks: a request makes request_fd() readable, the control
// thread calls answer() with a fresh snapshot, the metrics thread writes it out. A control thread
// that does not answer within 2 s gives the client a 503. One request at a time, 5 s each; a slow
// or hostile client holds up other scrapes, never the broker.
//
// start() and stop (the destructor) on the control thread. Errors: BadConfig (not a loopback
// address, not ADDRESS:PORT), Io (cannot bind).
#pragma once

#include <memory>
#include <string>

#include "broker/metrics_http/snapshot.h"
#include "shm/base/result.h"

namespace mallbots::broker {

class MetricsServer {
 public:
  [[nodiscard]] static Result<std::unique_ptr<MetricsServer>> start(const std::string& listen);
  /// What start() would refuse; for --check-config.
  [[nodiscard]] static Result<void> check(const std::string& listen);
  ~MetricsServer();

  /// Readable when somebody asks; answer() empties it.
  [[nodiscard]] int request_fd() const noexcept;
  void answer(MetricsSnapshot snapshot);
  /// The port, if it listens on TCP (0 was asked for: a free one).
  [[nodiscard]] unsigned short port() const noexcept;

 private:
  class Server;
  explicit MetricsServer(std::unique_ptr<Server> server);
  std::unique_ptr<Server> server_;
};

/// The text format of Prometheus, by prometheus-cpp's serializer.
[[nodiscard]] std::string metrics_text(const MetricsSnapshot& snapshot);

}  // namespace mallbots::broker
