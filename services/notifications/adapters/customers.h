// Whom to call, asked of the context customers by gRPC when there is something to say: numbers are
// in no event and in no other database.
//
// Who calls: service.cpp makes it; Notifications calls it, any thread. A call waits up to 2 s.
#pragma once

#include <memory>

#include "services/notifications/app/ports.h"

namespace grpc {
class Channel;
}

namespace mallbots::notifications {

[[nodiscard]] std::unique_ptr<Numbers> make_numbers(const std::shared_ptr<grpc::Channel>& channel);

}  // namespace mallbots::notifications
