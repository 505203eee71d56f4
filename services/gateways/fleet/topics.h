// Topics of the fleet gateway (README.md): key = the robot's id in all of them.
#pragma once

#include <vector>

#include "services/runtime/topics.h"

namespace mallbots::fleet {

inline constexpr const char* kReportsTopic = "mallbots.fleet.reports";        ///< FromRobot
inline constexpr const char* kDirectivesTopic = "mallbots.fleet.directives";  ///< ToRobot
inline constexpr const char* kPositionsTopic = "mallbots.fleet.positions";    ///< RobotAt

/// Of reports and directives what is older than an hour interests nobody; positions are in memory.
[[nodiscard]] inline std::vector<Topic> topics() {
  const std::vector<client::TopicSetting> an_hour = {{"retention.ms", "3600000"},
                                                     {"segment.bytes", "8MiB"}};
  return {{kReportsTopic, an_hour},
          {kDirectivesTopic, an_hour},
          {kPositionsTopic, {{"storage", "memory"}, {"slots", "8"}, {"slot.bytes", "1MiB"}}}};
}

}  // namespace mallbots::fleet
