// Report: the numbers of analytics, from the tables that its feed fills, and the text of them.
//
// Who calls: any thread. Errors: those of the database.
#pragma once

#include <string>

#include "clients/toolkit/store/database.h"
#include "services/analytics/api.pb.h"

namespace mallbots::analytics {

/// Without its text.
[[nodiscard]] Result<analyticspb::Report> report_from(toolkit::Database& database,
                                                      const analyticspb::Progress& progress);
[[nodiscard]] std::string shown(const analyticspb::Report& report);
/// "read 120 of 4,000 events of the log", or that it is up to date.
[[nodiscard]] std::string shown(const analyticspb::Progress& progress);

}  // namespace mallbots::analytics
