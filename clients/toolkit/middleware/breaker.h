// Breaker: after so many failures in a row the handler is not called for a while, so that what it
// calls can recover. The messages are not lost, not tried and not counted: they come again when the
// time is over. Then one of them is tried: if it succeeds all go on, else the while begins anew.
//
//   closed --failures in a row--> open --open_ms--> trying --success--> closed
//                                   ▲────────failure───┘
//
// Each handler has a circuit of its own. Failures for good (give_up) are the message's fault and
// do not count.
//
// Who calls: any thread. No errors of its own.
#pragma once

#include <cstdint>
#include <functional>

#include "clients/toolkit/handler.h"

namespace mallbots::toolkit {

enum class Circuit : std::uint8_t { kClosed, kOpen, kTrying };

struct BreakerOptions {
  std::uint32_t failures = 5;
  std::int64_t open_ms = 10'000;
  /// Told of every change, under the circuit's lock.
  std::function<void(const HandlerInfo&, Circuit)> on_change{};
};

[[nodiscard]] Middleware breaker(BreakerOptions options = {});

}  // namespace mallbots::toolkit
