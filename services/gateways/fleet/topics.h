// Topics of the fleet gateway (README.md): key = the robot's id in all of them.
#pragma once

namespace mallbots::fleet {

inline constexpr const char* kReportsTopic = "mallbots.fleet.reports";        ///< FromRobot
inline constexpr const char* kDirectivesTopic = "mallbots.fleet.directives";  ///< ToRobot
inline constexpr const char* kPositionsTopic = "mallbots.fleet.positions";    ///< RobotAt

}  // namespace mallbots::fleet
