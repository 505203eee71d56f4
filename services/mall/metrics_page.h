// The metrics page: the metrics of one process of the mall, for Prometheus, at /metrics of a port
// of 127.0.0.1; off unless the setting metrics.port is there.
//
// Who calls: `mall run`, when its services are made; the page ends before the host does. Errors:
// BadConfig (metrics.port is no port, or somebody has it), Io.
#pragma once

#include <memory>
#include <string_view>

#include "services/gateways/http/server.h"
#include "services/runtime/host.h"

namespace mallbots::mall {

/// Its address is published as metrics.PROCESS. Null: off.
[[nodiscard]] Result<std::unique_ptr<gateways::Server>> serve_metrics(Host& host);

/// What the process of one service alone gets as metrics.port: of the first of services.txt the
/// port itself, of the next the next one; 0 (any free one) for all. BadConfig: there are not as
/// many ports.
[[nodiscard]] Result<std::string> metrics_port_of(std::string_view service,
                                                  const std::string& first);

}  // namespace mallbots::mall
