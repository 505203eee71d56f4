// The robots' simulator as a service of the mall. Settings: README.md.
//
// Who calls: whoever makes the mall's services (Host). Errors: BadConfig; those of plan_of, Devices
// and Simulator::open.
#pragma once

#include <memory>

#include "services/runtime/host.h"
#include "services/simulators/bots/simulator.h"

namespace mallbots::bots {

class BotsService : public Service {
 public:
  [[nodiscard]] virtual SimulatorNumbers numbers() const = 0;
};

[[nodiscard]] Result<std::unique_ptr<BotsService>> open_bots(Host& host);
/// The same, as the mall wants it.
[[nodiscard]] Result<std::unique_ptr<Service>> make_bots(Host& host);

}  // namespace mallbots::bots
