// The fleet gateway as a service of the mall: gRPC for robots, the local door, positions.
//
// Who calls: whoever makes the mall's services (Host). Settings: README.md. Its port is taken when
// it is made, and logged. Errors: those of StreamDoor::open and Host.
#pragma once

#include <memory>

#include "services/gateways/fleet/robots.h"
#include "services/runtime/host.h"

namespace mallbots::fleet {

class FleetService : public Service {
 public:
  [[nodiscard]] virtual int port() const noexcept = 0;
  [[nodiscard]] virtual FleetNumbers numbers() const = 0;
};

[[nodiscard]] Result<std::unique_ptr<FleetService>> open_fleet(Host& host);
/// The same, as the mall wants it.
[[nodiscard]] Result<std::unique_ptr<Service>> make_fleet(Host& host);

}  // namespace mallbots::fleet
