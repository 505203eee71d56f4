#include "clients/toolkit/store/transactional.h"

#include "shm/base/check.h"

namespace mallbots::toolkit {

Handled handle_in_transaction(Database& database, Inbox& inbox, Outbox& outbox,
                              const Handler& handler, Context& context, const Message& message) {
  auto transaction = database.begin();
  if (!transaction) return std::unexpected(HandlerFailure{transaction.error()});
  const auto is_new = inbox.enter(*transaction, context.handler().group, message.id());
  if (!is_new) return std::unexpected(HandlerFailure{is_new.error()});
  if (!*is_new) return {};
  context.put(*transaction);
  if (auto handled = handler(context, message); !handled) {
    static_cast<void>(context.take_outputs());  // a retry around us starts afresh
    return handled;
  }
  for (Output& output : context.take_outputs()) {
    const auto added =
        outbox.add(*transaction, output.topic, std::move(output.draft), context.cause());
    if (!added) return std::unexpected(HandlerFailure{added.error()});
  }
  if (const auto committed = transaction->commit(); !committed)
    return std::unexpected(HandlerFailure{committed.error()});
  return {};
}

Middleware transactional(Database& database, Inbox& inbox, Outbox& outbox) {
  return {.name = "transactional",
          .layer = Layer::kHandler,
          .wrap = [&database, &inbox, &outbox](const Handler& next, const HandlerInfo&) -> Handler {
            return [&database, &inbox, &outbox, next](Context& context, const Message& message) {
              return handle_in_transaction(database, inbox, outbox, next, context, message);
            };
          }};
}

Transaction& transaction_of(Context& context) {
  auto* transaction = context.find<Transaction>();
  CHECK(transaction != nullptr);
  return *transaction;
}

}  // namespace mallbots::toolkit
