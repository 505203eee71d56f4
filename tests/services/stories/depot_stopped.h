// What customers notice while the depot stands still (SIGSTOP: neither working nor gone), or is
// gone (SIGKILL, and nobody starts it again): nothing. Customers submit all the time, before,
// during and after.
#pragma once

#include <cstdint>
#include <string>

namespace mallbots::test {

struct Patience {
  std::int64_t before_ms = 0;
  std::int64_t stopped_ms = 0;
  double limit_s = 0;      ///< for all of it
  bool is_killed = false;  ///< instead of stopped
};

struct Noticed {
  std::size_t submits = 0;
  std::size_t failed = 0;
  double p99_before_ms = 0;
  double p99_stopped_ms = 0;
  std::size_t submits_stopped = 0;
  std::size_t approved = 0;  ///< in the end
  std::string trouble;       ///< the first refusal
};

[[nodiscard]] Noticed shop_while_the_depot_stands(const Patience& patience);

}  // namespace mallbots::test
