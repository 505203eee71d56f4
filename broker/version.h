// The version of this build, from CMakeLists.txt.
#pragma once

namespace mallbots::broker {

inline constexpr const char* kVersion = MALLBOTS_VERSION;

}  // namespace mallbots::broker
