// The kiosk gateway as a service of the mall: REST for customers (openapi.json, README.md).
//
// Who calls: whoever makes the mall's services (Host). Settings: README.md. Its port is taken when
// it is made; its address is published (Host::publish_address). Errors: those of
// gateways::Server::start and Host.
#pragma once

#include <cstdint>
#include <memory>

#include "services/runtime/host.h"

namespace mallbots::kiosk {

class KioskService : public Service {
 public:
  [[nodiscard]] virtual std::uint16_t port() const noexcept = 0;
  /// What its timer does once a minute: gives back what is held for submits that nobody completed.
  [[nodiscard]] virtual Outcome<void> sweep(std::int64_t now_ms) = 0;
};

[[nodiscard]] Result<std::unique_ptr<KioskService>> open_kiosk(Host& host);
/// The same, as the mall wants it.
[[nodiscard]] Result<std::unique_ptr<Service>> make_kiosk(Host& host);

}  // namespace mallbots::kiosk
