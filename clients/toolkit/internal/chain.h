// Chain: a handler inside its middlewares. Two parts are always there: an exception, a middleware's
// too, is a failure before any middleware around it sees it, and what the handler published goes
// out when it has succeeded and before anything outside counts it as done.
//
// Who calls: the router, when a handler is added; the chain itself is called by its workers.
#pragma once

#include <span>
#include <vector>

#include "clients/toolkit/bus.h"
#include "clients/toolkit/handler.h"
#include "shm/base/result.h"

namespace mallbots::toolkit {

/// BadArgument names the two that stand the wrong way round, or twice.
[[nodiscard]] Result<void> check_order(std::span<const Middleware> middlewares);

/// Those of the router and those of the handler in one order: by layer, the router's first; one
/// that may stand anywhere stays behind the one before it. Both are in order.
[[nodiscard]] std::vector<Middleware> merge_layers(std::span<const Middleware> of_router,
                                                   std::span<const Middleware> of_handler);

/// Told which topics the handler published to.
using PublishedTo = std::function<void(const std::string& topic)>;

[[nodiscard]] Handler build_chain(Handler handler, std::span<const Middleware> middlewares,
                                  const HandlerInfo& of, Publisher& bus, PublishedTo published_to);

/// Calls it; an exception is a failure named after its type.
[[nodiscard]] Handled call(const Handler& handler, Context& context, const Message& message);

/// Publishes what the context collected. Those of one topic go in one call.
[[nodiscard]] Handled publish_outputs(Context& context, Publisher& bus,
                                      const PublishedTo& published_to);

}  // namespace mallbots::toolkit
