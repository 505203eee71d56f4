// Messages: what the gateway makes of the depot's words for robots, and of theirs for the depot.
// Pure; who calls: Robots.
#pragma once

#include <cstdint>
#include <string>

#include "services/gateways/fleet/depot_door.h"

namespace mallbots::fleet {

/// CHECK: it is no report.
[[nodiscard]] depotpb::ReportRequest report_of(const fleetpb::FromRobot& message,
                                               const std::string& bot_id, std::uint64_t epoch);
/// Which list a report is about; empty for anything else.
[[nodiscard]] std::string list_of(const fleetpb::FromRobot& message);
[[nodiscard]] fleetpb::ToRobot offer_of(const depotpb::ShoppingList& list);
[[nodiscard]] fleetpb::ToRobot released(const std::string& list_id);
[[nodiscard]] fleetpb::ToRobot rejection(std::uint64_t sequence, const CallFailure& why);

}  // namespace mallbots::fleet
