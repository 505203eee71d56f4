#include "clients/toolkit/store/inbox.h"

namespace mallbots::toolkit {

Result<std::unique_ptr<Inbox>> Inbox::open(Database& database, const InboxOptions& options) {
  MALLBOTS_TRY(
      database.ensure("create table if not exists inbox ("
                      "  consumer text not null,"
                      "  id text not null,"
                      "  handled_ms integer not null,"
                      "  primary key (consumer, id)) without rowid;"
                      "create index if not exists inbox_age on inbox (handled_ms);"));
  return std::unique_ptr<Inbox>{new Inbox{database, options}};
}

Result<bool> Inbox::enter(Transaction& transaction, std::string_view consumer,
                          std::string_view id) {
  const UnixMillis now = wall_now_ms();
  // Twice as many as come in, so that the table shrinks to what must be kept.
  const auto forgotten = transaction.run(
      "delete from inbox where (consumer, id) in"
      " (select consumer, id from inbox where handled_ms < ? order by handled_ms limit 2)",
      {now - options_.keep_ms});
  if (!forgotten) return std::unexpected(forgotten.error());
  const auto entered =
      transaction.run("insert or ignore into inbox (consumer, id, handled_ms) values (?, ?, ?)",
                      {consumer, id, now});
  if (!entered) return std::unexpected(entered.error());
  return *entered == 1;
}

Result<Once> Inbox::handle_once(std::string_view consumer, std::string_view id,
                                const std::function<Result<void>(Transaction&)>& body) {
  return database_->transact([&](Transaction& transaction) -> Result<Once> {
    const auto is_new = enter(transaction, consumer, id);
    if (!is_new) return std::unexpected(is_new.error());
    if (!*is_new) return Once::kDuplicate;
    MALLBOTS_TRY(body(transaction));
    return Once::kHandled;
  });
}

Result<void> Inbox::forget(Transaction& transaction, std::string_view consumer) {
  const auto done = transaction.run("delete from inbox where consumer = ?", {consumer});
  if (!done) return std::unexpected(done.error());
  return {};
}

}  // namespace mallbots::toolkit
