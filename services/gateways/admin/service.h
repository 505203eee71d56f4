// The admin gateway as a service of the mall: REST and the live socket for staff, and their page.
//
// Who calls: whoever makes the mall's services (Host). Settings: README.md. Its port is taken when
// it is made, and logged. Errors: those of gateways::Server::start and Host.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "services/runtime/host.h"

namespace mallbots::admin {

class AdminService : public Service {
 public:
  [[nodiscard]] virtual std::uint16_t port() const noexcept = 0;
  [[nodiscard]] virtual std::string address() const = 0;  ///< "http://127.0.0.1:8081"
};

[[nodiscard]] Result<std::unique_ptr<AdminService>> open_admin(Host& host);
/// The same, as the mall wants it.
[[nodiscard]] Result<std::unique_ptr<Service>> make_admin(Host& host);

/// Where accounts are kept, unless the setting access.staff says so.
[[nodiscard]] std::string staff_file(const std::string& data_dir);

}  // namespace mallbots::admin
