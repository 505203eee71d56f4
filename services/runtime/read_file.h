// read_file: a small file whole, such as a PEM certificate or a floor plan.
//
// Who calls: any thread, at start. Errors: Io (it cannot be read), TooLarge (kMaxFileBytes).
#pragma once

#include <cstddef>
#include <string>

#include "shm/base/result.h"

namespace mallbots {

inline constexpr std::size_t kMaxFileBytes = 64 * 1024 * 1024;

[[nodiscard]] Result<std::string> read_file(const std::string& path);

}  // namespace mallbots
