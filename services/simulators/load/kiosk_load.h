// KioskLoad: many kiosks that order over and over, and what their customers wait for (README.md).
//
// Who calls: main.cpp, one thread; each kiosk is a thread of its own, and one more reads the topic
// of orders. Errors: those of client::Connection::open and of the store's calls; Timeout (a kiosk
// was not answered for two minutes).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/simulators/http_client.h"

namespace mallbots::load {

struct LoadOptions {
  simulators::HttpAddress kiosk;
  std::string instance = "default";
  std::string runtime_dir{};  ///< of the broker; the mall's sockets are in its folder mall/
  std::size_t kiosks = 1;
  double seconds = 5;
};

/// Times in microseconds.
struct LoadFigures {
  std::uint64_t failures = 0;
  std::uint64_t repetitions = 0;
  double seconds = 0;
  std::vector<std::int64_t> submit_us{};    ///< sorted
  std::vector<std::int64_t> approved_us{};  ///< sorted; one an order
  std::string first_failure{};
};

/// `sorted`: the value that `percent` of them do not exceed; 0 if there is none.
[[nodiscard]] std::int64_t percentile(const std::vector<std::int64_t>& sorted, double percent);

/// The store and the products that all of them buy. What stands already stays.
[[nodiscard]] Result<void> open_store(const std::string& socket);
[[nodiscard]] Result<LoadFigures> run_load(const LoadOptions& options);

}  // namespace mallbots::load
