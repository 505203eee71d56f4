#include "services/notifications/adapters/simulated_sms.h"

#include "services/runtime/text.h"

namespace mallbots::notifications {

Result<std::unique_ptr<SimulatedSms>> SimulatedSms::open(toolkit::Database& database,
                                                         toolkit::Clock& clock) {
  MALLBOTS_TRY(
      database.ensure("create table if not exists carried_sms (key text primary key,"
                      " masked_number text not null, text text not null, at_ms integer not null)"
                      " strict"));
  return std::unique_ptr<SimulatedSms>(new SimulatedSms(database, clock));
}

Result<void> SimulatedSms::send(const Sms& sms) {
  return database_->transact([&](toolkit::Transaction& transaction) -> Result<void> {
    MALLBOTS_TRY(transaction.run("insert or ignore into carried_sms values (?, ?, ?, ?)",
                                 {sms.key, masked_phone(sms.number), sms.text, clock_->wall_ms()}));
    return {};
  });
}

Result<std::vector<SimulatedSms::Carried>> SimulatedSms::carried() const {
  const auto rows =
      database_->read("select key, masked_number, text from carried_sms order by rowid");
  if (!rows) return std::unexpected(rows.error());
  std::vector<Carried> all;
  for (const toolkit::Row& row : *rows) {
    all.push_back({std::string(row.text(0)), std::string(row.text(1)), std::string(row.text(2))});
  }
  return all;
}

}  // namespace mallbots::notifications
