#include "clients/toolkit/store/refused.h"

namespace mallbots::toolkit {

Result<std::vector<RefusedMessage>> newest_refused(Database& database, std::size_t at_most) {
  const auto rows = database.read(
      "select id, topic, key, refused, added_ms from outbox where refused is not null"
      " order by id desc limit ?",
      {at_most});
  if (!rows) return std::unexpected(rows.error());
  std::vector<RefusedMessage> all;
  for (const Row& row : *rows)
    all.push_back({.row = row.integer(0),
                   .topic = std::string{row.text(1)},
                   .key = std::string{row.text(2)},
                   .reason = std::string{row.text(3)},
                   .added_ms = row.integer(4)});
  return all;
}

}  // namespace mallbots::toolkit
