// What `mall up` looks at before it starts anything: settings that a service would refuse when
// others run already.
//
// Whole numbers and their limits; addresses, TLS files and ports of the gateways and of the metrics
// pages: each is listened on, all at the same time, so that one that is taken, or wanted twice, is
// found. Who comes meanwhile (some milliseconds) is told to come again (503).
//
// Who calls: `mall up`, once. Errors: BadConfig, with the setting's name.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "shm/base/result.h"

namespace mallbots::mall {

using Settings = std::map<std::string, std::string, std::less<>>;

/// Those that are there, whether or not their service is to run.
[[nodiscard]] Result<void> check_numbers(const Settings& settings);

struct UpPlan {
  std::vector<std::string> services;
  bool is_separate = false;  ///< each in a process of its own
  Settings settings{};
};
[[nodiscard]] Result<void> check_before_start(const UpPlan& plan);

}  // namespace mallbots::mall
