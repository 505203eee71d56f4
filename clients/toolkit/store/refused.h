// Refused messages: what a Relay has set aside because no bus will ever take it (relay.h), for
// whoever shows it or mends it. It stays in the outbox, with its payload, until somebody deletes
// the row.
//
// Who calls: any thread. Errors: those of Database::read().
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "clients/toolkit/store/database.h"
#include "shm/base/clock.h"

namespace mallbots::toolkit {

struct RefusedMessage {
  std::int64_t row = 0;  ///< `id` in the table `outbox`
  std::string topic{};
  std::string key{};  ///< any bytes
  std::string reason{};
  UnixMillis added_ms = 0;
};

/// The newest ones, newest first. The database has an outbox.
[[nodiscard]] Result<std::vector<RefusedMessage>> newest_refused(Database& database,
                                                                 std::size_t at_most);

}  // namespace mallbots::toolkit
