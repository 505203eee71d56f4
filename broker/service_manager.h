// What the service manager is told (sd_notify(3)): nothing happens unless NOTIFY_SOCKET is set.
// Any process of the daemon; the unit says NotifyAccess=all.
#pragma once

#include <string>

namespace mallbots::broker {

/// One or more `NAME=value` lines.
void tell_service_manager(const std::string& state);

}  // namespace mallbots::broker
