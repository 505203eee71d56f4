#include "clients/toolkit/store/outbox.h"

#include <chrono>
#include <limits>

#include "clients/toolkit/store/internal/header_block.h"
#include "shm/base/clock.h"

namespace mallbots::toolkit {

Result<std::unique_ptr<Outbox>> Outbox::open(Database& database) {
  MALLBOTS_TRY(
      database.ensure("create table if not exists outbox ("
                      "  id integer primary key autoincrement,"
                      "  topic text not null,"
                      "  key blob not null,"
                      "  payload blob not null,"
                      "  headers blob not null,"
                      "  trace text not null,"
                      "  tombstone integer not null,"
                      "  publish_at_ms integer,"
                      "  added_ms integer not null,"
                      "  published_ms integer,"
                      "  refused text);"
                      "create index if not exists outbox_waiting on outbox (topic, id)"
                      "  where published_ms is null and refused is null;"
                      "create index if not exists outbox_published on outbox (published_ms)"
                      "  where published_ms is not null;"
                      "create index if not exists outbox_refused on outbox (id)"
                      "  where refused is not null;"));
  return std::unique_ptr<Outbox>{new Outbox{database}};
}

Result<void> Outbox::add(Transaction& transaction, const std::string& topic, Draft draft,
                         const Cause& cause) {
  fill(draft, cause);
  const DraftRecord record{draft};
  return add(transaction, topic, {&record.record(), 1}, draft.publish_at);
}

Result<void> Outbox::add(Transaction& transaction, const std::string& topic,
                         std::span<const client::Record> records,
                         std::optional<UnixMillis> publish_at) {
  for (const client::Record& record : records) {
    const auto headers = pack_headers(record.headers);
    if (!headers) return std::unexpected(headers.error());
    const auto added = transaction.run(
        "insert into outbox"
        " (topic, key, payload, headers, trace, tombstone, publish_at_ms, added_ms)"
        " values (?, ?, ?, ?, ?, ?, ?, ?)",
        {topic, record.key, record.payload, client::as_bytes(*headers), record.trace_context,
         record.is_tombstone, publish_at ? SqlValue{*publish_at} : SqlValue{nullptr},
         wall_now_ms()});
    if (!added) return std::unexpected(added.error());
  }
  if (!records.empty()) transaction.after_commit([this] { ring(); });
  return {};
}

Result<OutboxBacklog> Outbox::backlog() const {
  const auto waiting = database_->read(
      "select count(*), min(added_ms) from outbox where published_ms is null and refused is null");
  if (!waiting) return std::unexpected(waiting.error());
  const auto refused = database_->read("select count(*) from outbox where refused is not null");
  if (!refused) return std::unexpected(refused.error());
  OutboxBacklog backlog{.waiting = static_cast<std::uint64_t>(waiting->front().integer(0)),
                        .refused = static_cast<std::uint64_t>(refused->front().integer(0))};
  if (backlog.waiting > 0) {
    const std::int64_t age = wall_now_ms() - waiting->front().integer(1);
    backlog.oldest_age_ms = age > 0 ? age : 0;
  }
  return backlog;
}

void Outbox::ring() {
  const std::scoped_lock lock{mutex_};
  ++rings_;
  rung_.notify_all();
}

bool Outbox::wait(std::uint64_t seen, const std::stop_token& stop,
                  std::optional<std::int64_t> at_most_ms) {
  std::unique_lock lock{mutex_};
  const auto is_rung = [&] { return rings_ != seen; };
  if (at_most_ms)
    rung_.wait_for(lock, stop, std::chrono::milliseconds{*at_most_ms}, is_rung);
  else
    rung_.wait(lock, stop, is_rung);
  return !stop.stop_requested();
}

}  // namespace mallbots::toolkit
