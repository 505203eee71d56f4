// SimulatedSms: a carrier that writes text messages into a table instead of the air, each key once;
// numbers masked, because the table is a file.
//
// Who calls: Notifications, any thread; tests and staff look. A message that was sent survives a
// power cut. Errors: those of the database.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "clients/toolkit/clock.h"
#include "clients/toolkit/store/database.h"
#include "services/notifications/app/ports.h"

namespace mallbots::notifications {

class SimulatedSms final : public SmsCarrier {
 public:
  struct Carried {
    std::string key;
    std::string masked_number;
    std::string text;
  };

  /// Makes its table if it is not there. Both live longer.
  [[nodiscard]] static Result<std::unique_ptr<SimulatedSms>> open(toolkit::Database& database,
                                                                  toolkit::Clock& clock);

  [[nodiscard]] Result<void> send(const Sms& sms) override;
  /// Oldest first.
  [[nodiscard]] Result<std::vector<Carried>> carried() const;

 private:
  SimulatedSms(toolkit::Database& database, toolkit::Clock& clock) noexcept
      : database_(&database), clock_(&clock) {}

  toolkit::Database* database_;
  toolkit::Clock* clock_;
};

}  // namespace mallbots::notifications
