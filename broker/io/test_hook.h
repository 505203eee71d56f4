// The hook of the I/O door: builds with MALLBOTS_CRASH_POINTS may put a disk of their own in front
// of the engine (tests/support/lying_disk.cpp, negative controls of the power cuts). Product builds
// have neither the hook nor what hangs on it. Called once by open_disk().
#pragma once

#include <memory>

#include "broker/io/disk.h"

namespace mallbots::broker {

#if defined(MALLBOTS_CRASH_POINTS) && MALLBOTS_CRASH_POINTS
[[nodiscard]] std::unique_ptr<Disk> disk_for_test(std::unique_ptr<Disk> disk, bool direct);
#else
[[nodiscard]] inline std::unique_ptr<Disk> disk_for_test(std::unique_ptr<Disk> disk,
                                                         bool /*direct*/) noexcept {
  return disk;
}
#endif

}  // namespace mallbots::broker
