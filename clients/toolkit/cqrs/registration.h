// Registration: a typed handler as a router takes it. EventGroup, CommandProcessor, Requests and
// SagaRunner make them; add() gives them to a router.
//
//   MALLBOTS_TRY(add(router, mails.registration()));
//   MALLBOTS_TRY(add(router, commands.registrations(),
//                    {.workers = 4, .middlewares = {transactional(*database, *inbox, *outbox)}}));
//
// Errors: those of Router::add. Who calls: any thread.
#pragma once

#include <vector>

#include "clients/toolkit/handler.h"
#include "clients/toolkit/router.h"

namespace mallbots::toolkit {

/// What a router is given.
struct Registration {
  HandlerInfo info;
  Handler handler;
};

/// Name, group and topics are the registration's, whatever `options` says.
[[nodiscard]] Result<void> add(Router& router, Registration registration,
                               HandlerOptions options = {});
/// All of them, up to the first error.
[[nodiscard]] Result<void> add(Router& router, std::vector<Registration> registrations,
                               const HandlerOptions& options = {});

}  // namespace mallbots::toolkit
