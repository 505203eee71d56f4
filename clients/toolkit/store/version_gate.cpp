#include "clients/toolkit/store/version_gate.h"

namespace mallbots::toolkit {

Result<std::unique_ptr<VersionGate>> VersionGate::open(Database& database, std::string consumer) {
  MALLBOTS_TRY(
      database.ensure("create table if not exists entity_versions (consumer text, entity text,"
                      " version integer not null, primary key (consumer, entity)) without rowid;"));
  return std::unique_ptr<VersionGate>{new VersionGate{std::move(consumer)}};
}

Result<Entry> VersionGate::enter(Transaction& transaction, std::string_view entity,
                                 std::int64_t version) {
  const auto rows = transaction.rows(
      "select version from entity_versions where consumer = ? and entity = ?", {consumer_, entity});
  if (!rows) return std::unexpected(rows.error());
  const std::int64_t applied = rows->empty() ? 0 : rows->front().integer(0);
  if (version <= applied) return Entry::kStale;
  if (version > applied + 1) return Entry::kGap;
  MALLBOTS_TRY(transaction.run("insert or replace into entity_versions values (?, ?, ?)",
                               {consumer_, entity, version}));
  return Entry::kNext;
}

}  // namespace mallbots::toolkit
