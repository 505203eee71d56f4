// The header Idempotency-Key: 16 to 128 visible ASCII characters.
//
// Who calls: handlers, any thread. Pure.
#pragma once

#include <expected>
#include <optional>
#include <string>

#include "services/gateways/http/message.h"

namespace mallbots::kiosk {

/// Nothing: there is none. The refusal, if it is not usable.
[[nodiscard]] std::expected<std::optional<std::string>, gateways::Response> idempotency_key(
    const gateways::Request& request);

}  // namespace mallbots::kiosk
