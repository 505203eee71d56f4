// A subscription of a group in queue mode: many threads on one client::QueueConsumer.
//
//   granted ──take──▶ ready ──hand out──▶ out ──ack, nack, reject──▶ settled, when the broker says
//   so
//                       ▲                  │
//                       └──due── deferred ◀┘ defer: stays locked here
//
// The broker knows which message may go to whom and how often it was tried; here is only what this
// member holds. Any thread; one lock. One thread at a time sleeps on the broker's word (the
// leader), the others on a condition variable that it rings.
//
// Errors: those of client::QueueConsumer; Fenced for a delivery whose lock has ended.
#pragma once

#include <memory>

#include "clients/connection.h"
#include "clients/toolkit/bus.h"

namespace mallbots::toolkit {

/// Joins, on a connection of its own.
[[nodiscard]] Result<std::unique_ptr<Subscription>> open_queue(
    const client::ConnectionOptions& where, const SubscribeOptions& options);

}  // namespace mallbots::toolkit
