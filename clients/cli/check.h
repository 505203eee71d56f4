// `mallbots check`: the state of a broker in the language of monitoring systems. Pure judgements
// over what the broker says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "clients/admin.h"

namespace mallbots::client::cli {

struct CheckLimits {
  std::optional<std::uint64_t> max_lag;  ///< records per partition; nothing: not checked
  std::uint64_t min_free_bytes = 0;
};

struct Verdict {
  enum class State : std::uint8_t { kOk = 0, kWarning = 1, kCritical = 2 };  ///< = exit code
  std::string check;
  State state = State::kOk;
  std::string detail;
};

/// broker, partitions, damage, disk, memory.
[[nodiscard]] std::vector<Verdict> judge_status(const InstanceStatus& status,
                                                const CheckLimits& limits);
/// `worst`: the partition with the greatest lag, nothing if no group has one.
struct WorstLag {
  std::string group;
  GroupPartition partition;
};
[[nodiscard]] Verdict judge_lag(const std::optional<WorstLag>& worst, std::uint64_t max_lag);

}  // namespace mallbots::client::cli
