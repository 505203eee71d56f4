// transactional(): a middleware that puts a transaction around a handler. In it are the handler's
// own statements, the inbox mark of the message, and what the handler publishes through its Context
// (as outbox rows). So all of that happens once for each message and group, or not at all.
//
//   router.add({..., .middlewares = {transactional(*database, *inbox, *outbox)}}, make_booking);
//
//   Handled make_booking(Context& context, const Message& message) {
//     Transaction& transaction = transaction_of(context);
//     ...
//   }
//
// A handler that fails leaves nothing: no rows, no messages, no mark; its message comes again. A
// duplicate is done without a call of the handler. Publications of publish_now() are not part of
// it.
//
// Who calls: the worker threads of a router; handlers of one database run one after the other while
// they hold the transaction, so calls to other services belong outside.
#pragma once

#include "clients/toolkit/handler.h"
#include "clients/toolkit/store/inbox.h"
#include "clients/toolkit/store/outbox.h"

namespace mallbots::toolkit {

/// All three must outlive the router. Stands innermost (Layer::kHandler).
[[nodiscard]] Middleware transactional(Database& database, Inbox& inbox, Outbox& outbox);

/// The same around one call, for handlers that are called without a router.
[[nodiscard]] Handled handle_in_transaction(Database& database, Inbox& inbox, Outbox& outbox,
                                            const Handler& handler, Context& context,
                                            const Message& message);

/// CHECKs that there is one: the handler was added without transactional().
[[nodiscard]] Transaction& transaction_of(Context& context);

}  // namespace mallbots::toolkit
